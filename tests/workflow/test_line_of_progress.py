"""The line of progress of whole runs, as a terminal shows it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

RUN = "mlp_lr0.1_bs20_seed0"
FOLDER = "results/small"
_REDRAWN = "\r\x1b[K"
_COLUMNS = 100


def _on_a_terminal(workflow, *arguments: str) -> str:
    """All that Snakemake and its jobs write to their terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, _COLUMNS, 0, 0))
    process = subprocess.Popen(
        workflow.command("--cores", "1", "--nocolor", *arguments),
        env=workflow.environment | {"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    try:
        while found := os.read(ours, 2**16):
            written += found
    except OSError:  # so ends a terminal that nobody has open
        pass
    os.close(ours)
    process.wait()
    return written.decode()


def _seen(written: str) -> list[str]:
    """The lines that stay on the screen."""
    return [line.split(_REDRAWN)[-1] for line in written.split("\r\n")]


def test_one_line_tells_what_runs_and_errors_stay_whole(workflow):
    workflow.study["iterations"] = 30_000
    quiet = _on_a_terminal(workflow, f"{FOLDER}/datasets/digits.nc", "--quiet", "all")
    assert "jobs |" not in quiet

    measurements = f"{FOLDER}/measurements/{RUN}.nc"
    written = _on_a_terminal(workflow, measurements)
    lines = [part for part in re.split(r"\r\n|\r\x1b\[K", written) if "jobs |" in part]
    assert lines, written
    assert lines[0].startswith(f"? % | 0/2 jobs | ? left | training {RUN}")
    assert any(re.search(rf" left \| [\d,]+ it/s \| training {RUN} \d+ %", each) for each in lines)
    assert any(re.search(rf"\| 1/2 jobs \| .* measuring {RUN}", each) for each in lines)
    assert all(len(each) < _COLUMNS for each in lines)
    seen = _seen(written)
    assert not [line for line in seen if "jobs |" in line or "steps" in line]
    assert "Finished jobid: 0 (Rule: measure_run)" in seen
    logs = workflow.folder / FOLDER / "logs"
    assert not [path for path in logs.rglob("*") if path.is_file() and path.suffix != ".log"]

    checkpoints = workflow.folder / FOLDER / "runs" / RUN / "checkpoints.safetensors"
    checkpoints.write_bytes(checkpoints.read_bytes()[:-100])
    seen = _seen(_on_a_terminal(workflow, measurements))
    assert any(re.match(rf"{FOLDER}/runs/{RUN}/checkpoints\.safetensors: ", line) for line in seen)
    assert "Error in rule measure_run:" in seen

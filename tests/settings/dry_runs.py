"""`snakemake -n` many times: each in a process of its own that has imported Snakemake already."""

import multiprocessing
import os
import re
import sys
import traceback
from pathlib import Path

# What Snakemake says of `profiles/default` before anything else.
_PROFILE = re.compile(r"^Using workflow specific profile \S+ for setting default .*\n", re.M)
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "snakemake.cli",
        "snakemake.workflow",
        "snakemake_executor_plugin_slurm",
        "flatness.jobs.stages",
    ]
)


def dry_run(snakefile: Path, folder: Path, config: Path, *arguments: str) -> tuple[int, str]:
    """The exit code and everything that is printed."""
    printed = folder / "printed"
    words = [
        "--dry-run",
        "--cores",
        "1",
        "--snakefile",
        str(snakefile),
        "--directory",
        str(folder),
        "--nolock",
        "--quiet",
        "rules",
        "--configfile",
        str(config),
        *arguments,
    ]
    process = _FORKS.Process(target=_run, args=(words, printed))
    process.start()
    process.join(60)
    if process.exitcode is None:
        process.kill()
        process.join()
    text = printed.read_text(encoding="utf-8", errors="replace")
    return process.exitcode, _PROFILE.sub("", text)


def _run(words: list[str], printed: Path) -> None:
    with printed.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["snakemake", *words]
    from snakemake.cli import main

    code = 1
    try:
        main(words)
    except SystemExit as ended:
        code = ended.code
        if isinstance(code, str):  # as Python ends a program
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)

"""A short selection of the faults, and the comparison with the undisturbed run itself."""

import os
import shutil
import sys

import pytest
from safetensors.numpy import load_file, save_file

from tests.faults import table
from tests.faults.fault import Fault
from tests.faults.harness import Harness, Injection
from tests.faults.study import ONE_RUN, TOUCH, LostError
from tests.faults.the_faults import FAULTS

SEED = 1
# One of each family; `make faults` injects all.
CHOSEN = (
    "SIGKILL of the whole process group",
    "the same job twice at the same time",
    "disk full while measuring",
    "measurements with flipped bits",
    "clock set back while a job runs",
    "a run diverges, killed besides",
    "the server cuts an archive off",
)
SELECTION = [fault for fault in FAULTS if fault.name in CHOSEN]


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    return Harness(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def injections(harness):
    """Those of the selection, by the name of the fault."""
    possible = [fault for fault in SELECTION if not fault.missing()]
    found = {fault.name: [] for fault in possible}
    for injection in harness.inject(possible, SEED):
        found[injection.fault.name].append(injection)
    return found


@pytest.mark.parametrize("fault", SELECTION, ids=lambda fault: fault.name)
def test_nothing_is_lost(fault, injections):
    if reason := fault.missing():
        pytest.skip(reason)
    assert injections[fault.name]
    assert not [str(injection) for injection in injections[fault.name] if injection.lost]


def test_the_table_counts_and_keeps_what_was_not_injected_again(tmp_path):
    first, second = (Fault("clock", name, None, 1) for name in ("back", "ahead"))
    other = Fault("disk", "full", None, 1)
    table.write(table.rows([Injection(other, "", "", tmp_path)]), tmp_path)
    made = [Injection(first, "", "", tmp_path)] * 2 + [Injection(second, "", "gone", tmp_path)]
    found = table.merged(tmp_path, table.rows(made))
    assert [(row.family, row.fault, row.injections, row.survived, row.lost) for row in found] == [
        ("clock", "ahead", 1, 0, 1),
        ("clock", "back", 2, 2, 0),
        ("disk", "full", 1, 1, 0),
    ]
    table.write(found, tmp_path)
    assert table.merged(tmp_path, []) == found
    assert "| all |  | 4 | 3 | 1 |" in (tmp_path / "faults.md").read_text()


def test_ways_out_are_documented(root):
    page = (root / "docs/running.md").read_text()
    for command in ("--rerun-incomplete", "snakemake --unlock", TOUCH, "`.*.partial.*`"):
        assert command in page


def test_every_family_is_chosen_from():
    assert {fault.name for fault in SELECTION} == set(CHOSEN)
    # Those of SLURM are in tests/workflow/test_slurm.py.
    assert {fault.family for fault in SELECTION} == {f.family for f in FAULTS} - {"SLURM"}


def _flipped_byte(results):
    path = next(results.glob("measurements/*.nc"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _half_file(results):
    os.truncate(results / "figures/fig1.png", 1000)


def _file_of_another_name(results):
    (results / "measurements/mlp.nc").write_bytes(b"")


def _other_checkpoint(results):
    run = next(results.glob("runs/*"))
    weights = load_file(run / "checkpoints.safetensors")
    first = {name: w for name, w in weights.items() if name.startswith("1/")}
    state = results / "state" / run.name
    state.mkdir(parents=True)
    save_file(
        {f"weights/{name[2:]}": w + 1 for name, w in first.items()},
        state / "0000000001.safetensors",
    )


@pytest.mark.parametrize(
    "harm", [_flipped_byte, _half_file, _file_of_another_name, _other_checkpoint]
)
def test_harm_counts_as_lost(harness, harm):
    def inject(study, draw):
        shutil.rmtree(study.folder)
        study.copy_from(harness.undisturbed(ONE_RUN).folder)
        harm(study.results)
        yield "a result"

    faults = [Fault("harm", name, inject, 1) for name in ("first", "never made")]
    first, second = harness.inject(faults, SEED)
    assert first.lost
    assert second.lost
    assert first.folder.exists()
    assert "LOST" in str(first)


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        (".snakemake/locks/0.input.lock", "is left behind"),
        (f"results/small/state/{ONE_RUN.run}/0000000000.safetensors", "is left behind"),
        ("", "absent after starting again: figures/fig1.png"),
    ],
)
def test_leftovers_and_gaps_count_as_lost(harness, tmp_path, left, reason):
    undisturbed, study = harness.undisturbed(ONE_RUN), harness.study(ONE_RUN, tmp_path.name)
    study.copy_from(undisturbed.folder)
    if left:
        (study.folder / left).parent.mkdir(parents=True, exist_ok=True)
        save_file({}, study.folder / left)
    else:
        (study.results / "figures/fig1.png").unlink()
    with pytest.raises(LostError, match=reason):
        undisturbed.check_whole(study)


def test_a_traceback_on_the_terminal_counts_as_lost(harness, monkeypatch):
    study = harness.study(ONE_RUN, "traceback")
    stumbling = [sys.executable, "-c", "raise RuntimeError"]
    monkeypatch.setattr(study.workflow, "command", lambda *_arguments: stumbling)
    with pytest.raises(LostError, match="a traceback on the terminal"):
        study.call("--dry-run")

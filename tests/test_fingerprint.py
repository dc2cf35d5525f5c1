"""The hash of the code that a stage depends on."""

import shutil
import subprocess
import sys

import pytest

from flatness import stages

STAGES = (
    *("prepare", "train vgg", "train mlp", "measure", "analyse", "correlate", "judge"),
    *("describe", "draw trends", "draw chain"),
)


@pytest.fixture
def fingerprints(root, tmp_path):
    """A function: edit a file in a copy of the package, and get all stages' hashes."""
    shutil.copytree(root / "workflow/flatness", tmp_path / "flatness")

    def after(file=None, old="", new=""):
        if file:
            path = tmp_path / "flatness" / file
            text = path.read_text()
            assert old in text
            path.write_text(text.replace(old, new, 1))
        code = (
            f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
            "from flatness import stages\n"
            "v, m = {'name': 'vgg10'}, {'name': 'mlp'}\n"
            "print(stages.preparing_code({'source': 'digits'}), stages.training_code(v),"
            " stages.training_code(m), stages.measuring_code(v), stages.analysing_code(),"
            " stages.correlating_code(), stages.judging_code(), stages.describing_code(),"
            " stages.drawing_code('trends'), stages.drawing_code('chain'))"
        )
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        return dict(
            zip(
                STAGES,
                run.stdout.split(),
                strict=True,
            )
        )

    return after


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("measurement/sweep.py", "for name, values in", "for  name, values in", set()),
        ("measurement/sweep.py", '"""The sweep', '"""A sweep', set()),
        ("measurement/proof.py", "min(n - 1, 3)", "min(n - 1, 4)", {"measure"}),
        ("experiment/networks/mlp.py", "= 500", "= 501", {"train mlp"}),
        ("experiment/networks/vgg10.py", "HIDDEN = 128", "HIDDEN = 129", {"train vgg", "measure"}),
        ("experiment/datasets/digits.py", "= 1437", "= 1438", {"prepare"}),
        ("stages.py", "def drawing_code", "EXTRA = 1\n\n\ndef drawing_code", set()),
        ("storage.py", "no such file", "not there", set()),
        (
            "errors.py",
            "class DeviceError",
            "class Spare(FlatnessError): ...\n\n\nclass DeviceError",
            set(),
        ),
        ("experiment/batches.py", "0x62617463", "0x62617464", {"train vgg", "train mlp"}),
        (
            "glossary/quantities.py",
            '"sharpness", "1/n',
            '"Sharpness", "1/n',
            {"analyse", "correlate", "judge", "describe", "draw trends", "draw chain"},
        ),
        ("analysis/quantities.py", "slice(3)", "slice(4)", {"analyse"}),
        ("analysis/bounds.py", "one.power * rounding", "one.power + rounding", {"analyse"}),
        (
            "analysis/rounding.py",
            "ROUNDING = 100",
            "ROUNDING = 99",
            {"analyse", "judge", "describe"},
        ),
        ("analysis/claims/verdicts.py", "DIRECTION = 0", "DIRECTION = 1", {"judge", "describe"}),
        ("figures/trends.py", "COLUMNS = 3", "COLUMNS = 4", {"draw trends"}),
    ],
)
def test_an_edit_changes_the_stages_that_it_can_change(fingerprints, file, old, new, stale):
    before, after = fingerprints(), fingerprints(file, old, new)
    assert {stage for stage in before if before[stage] != after[stage]} == stale


def test_a_fingerprint_is_the_same_each_time():
    assert stages.drawing_code("trends") == stages.drawing_code("trends")
    assert len(stages.drawing_code("trends")) == 16

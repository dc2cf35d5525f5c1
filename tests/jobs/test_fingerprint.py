"""The hash of the code that a stage depends on."""

import json
import shutil
import subprocess
import sys

import pytest

STAGES = {
    "prepare": "preparing_code({'source': 'digits'})",
    "train vgg": "training_code({'name': 'vgg10'})",
    "train mlp": "training_code({'name': 'mlp'})",
    "measure": "measuring_code({'name': 'vgg10'})",
    "analyse": "script_code('analyse_run')",
    "correlate": "script_code('correlate')",
    "judge": "script_code('judge_claims')",
    "gather": "script_code('gather')",
    "report": "reporting_code()",
    "draw trends": "drawing_code('trends')",
    "draw chain": "drawing_code('chain')",
    "publish": "publishing_code(['trends'])",
}
DRAWN = {"draw trends", "draw chain", "publish"}


@pytest.fixture(scope="module")
def before(root):
    """All stages' hashes."""
    return _fingerprints(root)


@pytest.fixture
def fingerprints_after(root, tmp_path):
    """A function: edit a file in a copy of the workflow, and get all stages' hashes."""
    shutil.copytree(root / "workflow", tmp_path / "workflow")

    def after(file, old, new):
        path = tmp_path / "workflow" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        return _fingerprints(tmp_path)

    return after


def _fingerprints(folder):
    found = ", ".join(f"{name!r}: stages.{call}" for name, call in STAGES.items())
    code = (
        f"import json, sys; sys.path.insert(0, {str(folder / 'workflow')!r})\n"
        f"from flatness.jobs import stages\nprint(json.dumps({{{found}}}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("measurement/chunk_terms.py", "for name, values in", "for  name, values in", set()),
        ("measurement/chunk_terms.py", '"""N backward', '"""All backward', set()),
        ("measurement/proof.py", "min(n - 1, 3)", "min(n - 1, 4)", {"measure"}),
        ("experiment/networks/mlp.py", "= 500", "= 501", {"train mlp"}),
        ("experiment/networks/vgg10.py", "HIDDEN = 128", "HIDDEN = 129", {"train vgg", "measure"}),
        ("experiment/datasets/digits.py", "= 1437", "= 1438", {"prepare"}),
        ("jobs/stages.py", "def drawing_code", "EXTRA = 1\n\n\ndef drawing_code", set()),
        ("storage.py", "no such file", "not there", set()),
        ("progress/told.py", "_EVERY = 1.0", "_EVERY = 2.0", set()),
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
            {"analyse", "correlate", "judge", "gather", "report"} | DRAWN,
        ),
        ("analysis/quantities.py", "slice(3)", "slice(4)", {"analyse"}),
        ("analysis/bounds.py", "one.power * rounding", "one.power + rounding", {"analyse"}),
        (
            "analysis/rounding.py",
            "ROUNDING = 100",
            "ROUNDING = 99",
            {"analyse", "judge", "report", "publish"},
        ),
        (
            "analysis/claims/verdicts.py",
            "DIRECTION = 0",
            "DIRECTION = 1",
            {"judge", "report", "publish"},
        ),
        ("figures/trends.py", "COLUMNS = 3", "COLUMNS = 4", {"draw trends", "publish"}),
        ("figures/pictures.py", "optimize=True", "optimize=False", {"publish"}),
        ("figures/flatness.mplstyle", "dpi: 160", "dpi: 161", {"report"} | DRAWN),
    ],
)
def test_an_edit_changes_the_stages_that_it_can_change(
    before, fingerprints_after, file, old, new, stale
):
    after = fingerprints_after(f"flatness/{file}", old, new)
    assert {stage for stage in before if before[stage] != after[stage]} == stale


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("scripts/train_run.py", '"""Train one', "# A comment.\n\n", set()),
        (
            "scripts/train_run.py",
            "code=snakemake.params.code",
            "code='code'",
            {"train vgg", "train mlp"},
        ),
        ("scripts/publish.py", ".parent)", ".parent.parent)", {"publish"}),
        ("report/reproduction.md", "#", "##", {"publish"}),
        ("report/report.html", "<main", "<div", {"report", "publish"}),
        ("report/report.css", "0.9rem", "0.8rem", {"report", "publish"}),
        ("report/report.js", "clientX + 14", "clientX + 15", {"report", "publish"}),
    ],
)
def test_a_script_counts_and_its_comments_do_not(before, fingerprints_after, file, old, new, stale):
    if new.startswith("# A comment"):
        new += old
    after = fingerprints_after(file, old, new)
    assert {stage for stage in before if before[stage] != after[stage]} == stale


def test_a_fingerprint_is_the_same_each_time(before, root):
    assert _fingerprints(root) == before
    assert all(len(code) == 16 for code in before.values())

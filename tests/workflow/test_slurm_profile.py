"""What the profile for SLURM says, compared with the plugin that is installed."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest
import snakemake_executor_plugin_slurm as plugin
import yaml

from flatness.errors import SettingsError
from flatness.jobs.preflight import check_no_job_arrays


@pytest.fixture
def profile(root) -> str:
    return (root / "slurm/config.yaml").read_text()


def _names_read_by_the_plugin() -> set[str]:
    """Every attribute that its code reads, by name or through `getattr`; fields are none."""
    names = set()
    for file in Path(plugin.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr":
                names |= {each.value for each in node.args if isinstance(each, ast.Constant)}
    return names


def test_the_plugin_knows_and_reads_every_setting_of_the_profile(profile):
    """Also those that are to be uncommented. `slurm-no-account` is known and yet not read."""
    known = {field.name for field in fields(plugin.ExecutorSettings)}
    read = _names_read_by_the_plugin()
    keys = re.findall(r"^#? ?slurm-([a-z-]+):", profile, re.MULTILINE)
    assert len(keys) >= 3
    for key in keys:
        assert key.replace("-", "_") in known & read, key


def test_the_login_node_is_not_taken_whole(profile):
    assert yaml.safe_load(profile)["local-cores"] <= 4


def test_the_profile_offers_no_job_arrays(profile):
    assert not re.search(r"^#? ?slurm-array", profile, re.MULTILINE)


def test_job_arrays_are_refused():
    check_no_job_arrays(None)
    with pytest.raises(
        SettingsError, match=r"^slurm-array-jobs = 'all' .* Allowed: no job arrays\."
    ):
        check_no_job_arrays("all")


def test_everything_that_may_be_uncommented_is_yaml(profile):
    """Each block by itself; the second one has keys that end in an expression of Snakemake."""
    blocks = re.findall(r"(?:^# (?:[a-z-]+:|  [a-z_]+:).*\n)+", profile, re.MULTILINE)
    read = [yaml.safe_load(re.sub(r"^# ", "", block, flags=re.MULTILINE)) for block in blocks]
    names = [name for block in read for name in block]
    assert names == [
        "default-resources",
        "set-resources",
        "set-resources",
        "seconds-between-status-checks",
    ]
    assert read[1]["set-resources"]["measure_run"] == {"gpu": 0, "gres": "gpu:1"}
    assert read[2]["set-resources"]["train_run"] == {"mem_mb": "16000 * 2 ** (attempt - 1)"}

"""What a configuration says is what `snakemake -n` does: it works, or ends with lines."""

import re
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from flatness.errors import SettingsError
from flatness.settings import as_yaml, load_settings, read_configuration, table_of_runs
from tests.settings.changed import changed, sound
from tests.settings.dry_runs import dry_run
from tests.settings.test_any_file import MALFORMED

# Each takes one to two seconds, so that nothing is tried again to find a smaller example.
FEW = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def attempt(root, tmp_path_factory):
    """A function: a dry run of a configuration in a folder of its own."""

    def run(content: bytes) -> tuple[int, str]:
        folder = Path(tempfile.mkdtemp(dir=tmp_path_factory.getbasetemp()))
        (folder / "my.yaml").write_bytes(content)
        return dry_run(root / "Snakefile", folder, folder / "my.yaml")

    return run


def _written(configuration) -> bytes:
    return as_yaml(configuration).encode()


@FEW
@given(configuration=sound())
def test_accepted_configurations_can_be_run(attempt, configuration):
    runs = table_of_runs(load_settings(configuration, "my.yaml"))
    code, printed = attempt(_written(configuration))
    assert code == 0, printed
    assert re.search(rf"train_run +{len(runs)}\n", printed), printed
    assert "Traceback" not in printed


@FEW
@given(data=st.data())
def test_changed_configurations_are_refused_in_lines_or_can_be_run(attempt, root, data):
    shipped = read_configuration([root / "config/demo.yaml"])
    configuration = data.draw(changed(shipped).filter(_can_be_written))
    code, printed = attempt(_written(configuration))
    assert "Traceback" not in printed
    try:
        load_settings(yaml.safe_load(_written(configuration)), "my.yaml")
    except SettingsError:
        assert code == 1
    event("runs" if code == 0 else "refused")
    if code:
        lines = printed.strip().splitlines()
        assert all("my.yaml: " in line for line in lines), printed


@pytest.mark.parametrize("case", ["binary", "deep JSON", "tab", "list", "twice the same key"])
def test_malformed_files_are_one_line(attempt, case):
    content, message = MALFORMED[case]
    code, printed = attempt(content)
    assert code == 1
    assert re.fullmatch(rf"\S*my\.yaml: .*{message}.*\n", printed), printed


@pytest.mark.parametrize(
    "content",
    [
        "__use_yte__: true\n? __import__('pathlib').Path({!r}).touch()\n: 1\n",
        "name: !!python/object/apply:os.mkdir [{!r}]\n",
    ],
)
def test_no_code_in_a_configuration_is_run(attempt, tmp_path, content):
    code, printed = attempt(content.format(str(tmp_path / "canary")).encode())
    assert code == 1
    assert printed.count("\n") == 1, printed
    assert not (tmp_path / "canary").exists()


def test_an_absent_file_is_one_line(root, tmp_path):
    code, printed = dry_run(root / "Snakefile", tmp_path, tmp_path / "absent.yaml")
    assert code == 1
    assert re.fullmatch(r"\S*absent\.yaml: cannot be read \(No such file .*\n", printed), printed


def test_other_workflows_are_left_alone(tmp_path):
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text("rule all:\n    shell: 'echo {config[name]}'\n")
    (tmp_path / "my.yaml").write_text("name: one\nname: two\n")
    code, printed = dry_run(snakefile, tmp_path, tmp_path / "my.yaml")
    assert code == 0, printed


def _can_be_written(configuration) -> bool:
    try:
        _written(configuration)
    except (yaml.YAMLError, ValueError):
        return False
    return True

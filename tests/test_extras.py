"""A package that is not installed ends in one line that says how to install it."""

import subprocess
import sys

import pytest

from flatness.errors import InstallationError
from flatness.experiment.datasets import load
from flatness.extras import naming_what_is_missing
from flatness.jobs.log import job_log

LINE = (
    "{}: needs the package {!r}, which is not installed. Allowed: an environment with everything "
    "that the workflow needs. Install the extra `workflow`, as `pip install '.[workflow]'` in the "
    "repository does."
)


def test_a_command_that_needs_it():
    words = ["publish", "one.nc", "--output", "page"]
    code = (
        "import sys\nsys.modules['jinja2'] = None\n"
        f"from flatness.__main__ import main\nsys.exit(main({words}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [LINE.format("flatness publish", "jinja2")]


def test_a_job_that_needs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(SystemExit) as caught, job_log(str(tmp_path / "log")):
        load({"source": "digits"}, tmp_path, download=False)
    assert caught.value.code == LINE.format("this job", "sklearn")
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.endswith(f"ERROR {LINE.format('this job', 'sklearn')}")


def test_other_failures_stay_what_they_are():
    with pytest.raises(KeyError), naming_what_is_missing("this"):
        raise KeyError("name")
    with (
        pytest.raises(InstallationError, match="needs the package 'absent'"),
        naming_what_is_missing("this"),
    ):
        import absent.module  # noqa: F401

"""`--sdm conda`: jobs run in an environment that Snakemake makes, without the package itself.

There need be no conda: a program of its name makes a virtual environment, in which all packages of
the present one are found, but not those that are installed from the repository. Snakemake itself
runs in another one of the kind.
"""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

OF_THE_PRESENT = sysconfig.get_path("purelib")
CONDA = f"""#!{sys.executable}
import json, sys, venv
from pathlib import Path

words = sys.argv[1:]
if words == ["--version"]:
    print("conda 25.1.1")
elif words[0] == "info":
    print(json.dumps({{"conda_prefix": str(Path(__file__).parents[1]), "platform": "linux-64"}}))
elif words[0] == "config":
    print(json.dumps({{"get": {{"channel_priority": "strict"}}}}))
elif words[:2] == ["env", "create"]:
    folder = Path(words[words.index("--prefix") + 1])
    venv.create(folder)
    packages = next(folder.glob("lib/python*/site-packages"))
    packages.joinpath("of_the_present.pth").write_text({OF_THE_PRESENT!r})
elif words[0] != "clean":
    sys.exit(f"conda {{words}}")
"""


@pytest.fixture
def conda(tmp_path) -> Path:
    """The folder of the programs `conda` and `activate`."""
    programs = tmp_path / "conda/bin"
    programs.mkdir(parents=True)
    programs.joinpath("activate").write_text('export PATH="$1/bin:$PATH"\n')
    programs.joinpath("conda").write_text(CONDA)
    programs.joinpath("conda").chmod(0o755)
    return programs


@pytest.fixture
def python(tmp_path) -> Path:
    """A Python with Snakemake and without the package."""
    venv.create(tmp_path / "alone")
    packages = next((tmp_path / "alone").glob("lib/python*/site-packages"))
    packages.joinpath("of_the_present.pth").write_text(OF_THE_PRESENT)
    return tmp_path / "alone/bin/python"


def test_the_package_is_found_beside_the_workflow(workflow, conda, python):
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables["PATH"] = f"{conda}:{variables['PATH']}"
    lacking = subprocess.run(
        [python, "-c", "import flatness"], env=variables, stderr=subprocess.DEVNULL
    )
    assert lacking.returncode == 1
    measured = "results/small/measurements/mlp_lr0.1_bs20_seed0.nc"
    words = workflow.command("--cores", "1", measured, "--sdm", "conda")[1:]
    done = subprocess.run([python, *words], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(workflow.folder.glob(".snakemake/conda/*_/bin/python"))
    assert (workflow.folder / measured).exists()

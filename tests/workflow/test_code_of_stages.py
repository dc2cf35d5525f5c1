"""Each stage's parameter `code` covers every module of the package that its job loads."""

import ast
import json
from pathlib import Path

import pytest

from flatness import figures
from flatness.experiment import datasets, networks
from flatness.jobs import stages
from flatness.jobs.fingerprint import is_plumbing
from tests.workflow.small_workflow import ROOT

# Python runs this file when it starts; each job of Snakemake's is a process of its own.
_LISTS_MODULES = """
import atexit, json, os, sys

@atexit.register
def _list_modules():
    script = os.path.basename(sys.argv[0]).partition(".")[2]
    if script in {scripts!r}:
        loaded = sorted(name for name in sys.modules if name.startswith("flatness."))
        with open(os.path.join({folder!r}, f"{{script}}.{{os.getpid()}}.json"), "w") as file:
            json.dump(loaded, file)
"""
SCRIPTS = sorted(path.name for path in (ROOT / "workflow/scripts").glob("*.py"))
MLP, DIGITS = networks.module_name("mlp"), datasets.module_name({"source": "digits"})
TREND = figures.module_name("trends")
# By script, the modules that it imports by a name in the settings.
CHOSEN = {
    "prepare_dataset.py": [DIGITS],
    "train_run.py": [MLP],
    "measure_run.py": [MLP],
    "draw_figure.py": [TREND],
    "publish.py": [TREND],
}
# The configuration's model asks each network for its options, whichever is used.
NETWORKS = {networks.module_name(name) for name in networks.names()}
# Its outputs are those of before with less in them, and no rule depends on them.
NO_RESULTS = {"thin.py"}


@pytest.fixture(scope="module")
def loaded(make_workflow, tmp_path_factory):
    """By script, the modules that its jobs in a whole run of Snakemake had loaded at their end."""
    workflow = make_workflow(tmp_path_factory.mktemp("study"))
    folder = tmp_path_factory.mktemp("loaded")
    hook = tmp_path_factory.mktemp("hook")
    hook.joinpath("sitecustomize.py").write_text(
        _LISTS_MODULES.format(scripts=SCRIPTS, folder=str(folder))
    )
    workflow.study.update(sweep=workflow.study["sweep"][:1], seeds=[0], middle_layers=["3"])
    workflow.succeed(
        "--cores",
        "2",
        "all",
        "publish",
        PYTHONPATH=f"{hook}:{workflow.environment['PYTHONPATH']}",
    )
    found: dict[str, set[str]] = {}
    for file in sorted(folder.iterdir()):
        script = file.name.rsplit(".", 2)[0]
        found[script] = found.get(script, set()) | set(json.loads(file.read_text()))
    return found


@pytest.mark.parametrize("script", sorted(set(SCRIPTS) - NO_RESULTS))
def test_every_module_that_a_job_loads_counts(loaded, script):
    chosen = CHOSEN.get(script, ())
    modules = {name for name in loaded[script] if not is_plumbing(name)}
    modules -= NETWORKS - set(chosen)
    assert modules, "nothing but plumbing decides no result"
    counted = stages.modules_that_count(Path(script).stem, *chosen)
    assert modules - counted == set()


def test_every_rule_that_runs_a_script_has_its_code_among_its_parameters():
    rules = "".join(file.read_text() for file in sorted((ROOT / "workflow/rules").glob("*.smk")))
    ruled = {name for name in SCRIPTS if f"scripts/{name}" in rules}
    assert ruled == set(SCRIPTS)
    for script in set(SCRIPTS) - NO_RESULTS:
        rule = next(part for part in rules.split("\nrule ") if f"scripts/{script}" in part)
        assert "        code=" in rule, script


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_calls_one_function_of_the_library_inside_of_its_log(script):
    """With paths, and with what rules hand over; the function reads and writes.

    What fails to import is then told in the log; and a fingerprint finds imports anywhere.
    """
    words, importing, logged = ast.parse((ROOT / "workflow/scripts" / script).read_text()).body
    assert isinstance(words.value, ast.Constant)
    assert ast.unparse(importing) == "from flatness.jobs.log import job_log"
    assert list(map(ast.unparse, logged.items)) == ["job_log(snakemake.log[0])"]
    *imports, only = logged.body
    assert all(isinstance(each, ast.ImportFrom) for each in imports)
    library = [each for each in imports if each.module.startswith("flatness.")]
    functions = {name.name for each in library for name in each.names if name.name.islower()}
    assert isinstance(only, ast.Expr)
    assert {ast.unparse(only.value.func)} == functions

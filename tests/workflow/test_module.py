"""The workflow as a module of another one, which hands its own configuration over."""

import re
import subprocess
import sys

import yaml

SNAKEFILE = """
configfile: "caller.yaml"
module flatness:
    snakefile: "{source}/Snakefile"
    config: config["sharpness"]
use rule * from flatness as flatness_*
rule all:
    default_target: True
    input: "results/small/figures/fig1.png"
"""


def _planned(workflow):
    (workflow.folder / "caller.yaml").write_text(yaml.safe_dump({"sharpness": workflow.config}))
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--quiet", "rules"],
        cwd=workflow.folder,
        env=workflow.environment,
        capture_output=True,
        text=True,
    )


def test_a_caller_hands_its_configuration_over(workflow):
    (workflow.folder / "Snakefile").write_text(SNAKEFILE.format(source=workflow.source))
    workflow.study["seeds"] = [5]
    planned = _planned(workflow)
    assert planned.returncode == 0, planned.stderr
    assert re.search(r"^flatness_train_run +2$", planned.stdout, re.MULTILINE)
    workflow.study["seeds"] = []
    refused = _planned(workflow)
    assert refused.returncode != 0
    assert "config of the module: studies.mlp.seeds is empty" in refused.stderr
    assert "Traceback" not in refused.stderr

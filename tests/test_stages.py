"""A stage's hash covers every module of the package that its script loads."""

import subprocess
import sys

import pytest

from flatness import fingerprint, stages
from flatness.settings.keys import ANY_NAME, tree

KINDS = tuple(tree().children["figures"].children[ANY_NAME].variants)
SCRIPTS = {
    "gather": (
        "from flatness.publication.gathering import gather",
        stages.gathering_code,
    ),
    "describe_results": (
        "from flatness.publication.overview import write_overview",
        stages.describing_code,
    ),
    "publish": (
        "from flatness.publication.publish import publish\nfrom flatness import figures\n"
        f"for kind in {KINDS}: figures.drawing_function(kind)",
        lambda: stages.publishing_code(KINDS),
    ),
}
# What is asked for the names of networks, whose options the settings hold.
BY_NAME = "flatness.experiment.networks."


@pytest.mark.parametrize("stage", SCRIPTS)
def test_every_module_that_is_loaded_counts(stage, monkeypatch):
    program, code = SCRIPTS[stage]
    program += "\nimport sys\nprint(*(n for n in sys.modules if n.startswith('flatness.')))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    counted, digest = set(), fingerprint._digest
    monkeypatch.setattr(fingerprint, "_digest", lambda name: counted.add(name) or digest(name))
    code()
    modules = {name for name in loaded.stdout.split() if not name.startswith(BY_NAME)}
    assert len(modules) > 10
    assert modules - fingerprint.PLUMBING <= counted

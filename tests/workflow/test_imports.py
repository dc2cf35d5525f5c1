"""What the scripts of quick jobs load."""

import ast
import subprocess
import sys

import pytest

QUICK = (
    "analyse_run",
    "correlate",
    "judge_claims",
    "draw_figure",
    "write_report",
    "gather",
    "publish",
)


def _imports(path) -> str:
    """Every import statement of a script, as a program."""
    tree = ast.parse(path.read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join(map(ast.unparse, found))


@pytest.mark.parametrize("script", QUICK)
def test_quick_jobs_do_not_load_torch(script, root):
    code = _imports(root / f"workflow/scripts/{script}.py")
    assert "flatness" in code
    if script in ("draw_figure", "publish"):  # the kind of figure is imported by name
        code += "\nfrom flatness import figures"
        code += "\nfrom flatness.settings.keys import ANY_NAME, tree"
        code += "\nkinds = tree().children['figures'].children[ANY_NAME].variants"
        code += "\nfor kind in kinds: figures.drawing_function(kind)"
    code += "\nimport sys\nassert 'torch' not in sys.modules"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr

"""The pages of lessons run from top to bottom, print what they show, and draw their pictures."""

import doctest
import io
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.testing.compare import compare_images

# By page, the statements with output that it has at least, and its pictures.
PAGES = {"tutorial": (40, 2), "curves": (6, 1)}
# Modules that pages write.
MODULES = ("my_network", "cnn")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
PICTURE = re.compile(r"!\[[^]]+\]\(([^)]+)\)")

# What the installed command does, of the package as it is here.
COMMAND = (sys.executable, "-m", "flatness")

# Bytes of a picture in the repository, at most.
LARGEST = 100_000


@dataclass
class Ran:
    """What the page left behind: its folder, the statements shown with output, and differences."""

    folder: Path
    statements: int
    differences: str


@pytest.fixture(scope="module", params=PAGES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def page(root, name):
    return (root / f"docs/{name}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def ran(page, name, root, one_thread, tmp_path_factory, request):
    """Run the page once, in a folder of its own."""
    folder = tmp_path_factory.mktemp(name)
    with (
        pytest.MonkeyPatch.context() as patched,
        matplotlib.rc_context(),
        torch.random.fork_rng(),
    ):
        patched.chdir(folder)
        patched.syspath_prepend(folder)
        patched.setenv("OMP_NUM_THREADS", "1")
        plt.switch_backend("Agg")
        statements, differences = _run(page)
        plt.close("all")
    for module in MODULES:
        sys.modules.pop(module, None)
    if request.config.getoption("write_pictures"):
        shutil.copytree(folder / name, root / "docs" / name, dirs_exist_ok=True)
    return Ran(folder, statements, differences)


def _run(page: str) -> tuple[int, str]:
    """Statements with output, and where that differs from what is printed."""
    names = {}
    statements, differences = 0, io.StringIO()
    for block in BLOCK.finditer(page):
        language, text = block.groups()
        line = page.count("\n", 0, block.start()) + 1
        if language == "console":
            _run_command(text)
        elif language == "text":
            continue
        elif file := re.match(r"# (\w+\.py)\n", text):
            Path(file[1]).write_text(text, encoding="utf-8")
        elif text.startswith(">>> "):
            example = doctest.DocTestParser().get_doctest(text, names, "tutorial", None, line)
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
            statements += runner.run(example, out=differences.write, clear_globs=False).attempted
            names = example.globs
        else:
            # Line numbers of a traceback are those of the page.
            exec(compile("\n" * line + text, "docs/tutorial.md", "exec"), names)
    return statements, differences.getvalue()


def _run_command(text: str) -> None:
    prompt, command, *arguments = shlex.split(text.replace("\\\n", ""))
    assert (prompt, command) == ("$", "flatness")
    subprocess.run([*COMMAND, *arguments], check=True, capture_output=True, timeout=100)


def test_what_it_shows_is_printed(ran, name):
    assert ran.differences == ""
    assert ran.statements >= PAGES[name][0]


def test_its_code_can_be_run_and_little_else_is_shown_as_code(page):
    languages = [block[1] for block in BLOCK.finditer(page)]
    assert "python" in languages
    assert set(languages) <= {"python", "console", "text"}
    assert languages.count("text") <= 1
    assert page.count("```") == 2 * len(languages)


def test_its_pictures_are_drawn_by_it(ran, page, name):
    embedded = PICTURE.findall(page)
    assert PAGES[name][1] <= len(embedded) <= 4
    drawn = [f"{name}/{file.name}" for file in (ran.folder / name).iterdir()]
    assert sorted(embedded) == sorted(drawn)


def test_the_pictures_in_the_repository_are_those(ran, root, name):
    kept = sorted((root / "docs" / name).iterdir())
    assert [file.name for file in kept] == sorted(
        file.name for file in (ran.folder / name).iterdir()
    )
    for file in kept:
        assert file.stat().st_size <= LARGEST, file
        different = compare_images(str(file), str(ran.folder / name / file.name), tol=5)
        assert different is None, (
            f"python -m pytest tests/test_tutorial.py --write-pictures: {different}"
        )


def test_its_links_lead_somewhere(page, root):
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page) if "://" not in link]
    assert links
    for link in links:
        assert (root / "docs" / link.partition("#")[0]).exists(), link


def test_a_wrong_number_is_seen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = "```python\nx = 2\n```\n\n```python\n>>> x + 1\n4\n\n```\n"
    statements, differences = _run(page)
    assert statements == 1
    assert "Expected:\n    4\nGot:\n    3\n" in differences

"""What all tests share."""

import doctest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def run_readme_section():
    """A function: run the example in one section of the README; its number of statements."""

    def run(title: str) -> int:
        text = (ROOT / "README.md").read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]
        example = doctest.DocTestParser().get_doctest(text.replace("```", ""), {}, title, None, 0)
        results = doctest.DocTestRunner().run(example)
        assert results.failed == 0
        return results.attempted

    return run

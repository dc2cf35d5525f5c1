"""What all tests share."""

import doctest
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def pytest_addoption(parser):
    """Refresh what a test compares with, where that is drawn."""
    parser.addoption(
        "--write-pictures", action="store_true", help="draw the pictures of docs/tutorial.md anew"
    )
    parser.addoption(
        "--write-golden", action="store_true", help="compute the numbers of tests/golden anew"
    )


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="module")
def one_thread():
    """One thread of torch, which many small operations need least time with on shared cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run_section():
    """A function: run the example in one section of a page; its number of statements."""

    def run(page: str, title: str) -> int:
        text = (ROOT / page).read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]
        example = doctest.DocTestParser().get_doctest(text.replace("```", ""), {}, title, None, 0)
        results = doctest.DocTestRunner().run(example)
        assert results.failed == 0
        return results.attempted

    return run


@pytest.fixture
def full_disk():
    """While it is entered, the system refuses to let a file of this process grow beyond 8 kB."""

    @contextmanager
    def limited():
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited()

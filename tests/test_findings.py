"""Every number of docs/findings.md comes out again from the published results."""

import doctest
import re

import pytest

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs/findings.md").read_text(encoding="utf-8")


def failures(page):
    """How many statements print something else, and how many there are.

    The functions of the appendix come first.
    """
    text, heading, appendix = page.partition("\n## Appendix")
    assert heading
    blocks = BLOCK.findall(appendix) + BLOCK.findall(text)
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "findings", None, 0)
    return doctest.DocTestRunner().run(example)


def test_what_it_shows_comes_from_what_is_published(page, root, monkeypatch):
    monkeypatch.chdir(root)
    results = failures(page)
    assert results.failed == 0
    assert results.attempted > 30


def test_a_wrong_number_is_seen(page, root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    assert "\n0.98\n" in page
    wrong = page.replace("\n0.98\n", "\n0.97\n")
    assert failures(wrong).failed == 1


def test_its_links_lead_somewhere(page, root):
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page) if "://" not in link]
    assert len(links) >= 2
    for link in links:
        assert (root / "docs" / (link.partition("#")[0] or "findings.md")).exists(), link

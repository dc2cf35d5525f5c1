"""Signatures and docstrings in the place of comments such as `<!-- docstrings: measure -->`.

Docstrings are plain text with `names` in single quotes of code. What reStructuredText would take
for marks of its own in formulas, as in ||K||_F, is shown as it is.
"""

import re

from sphinx.application import Sphinx

_PLACE = re.compile(r"<!-- docstrings: ([^>]+) -->")
_CODE = re.compile(r"(`+[^`]+`+)")


def insert(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the directives where the page has their names."""
    source[0] = _PLACE.sub(lambda found: _directives(found[1].split()), source[0])


def as_plain_text(app: Sphinx, what: str, name: str, thing, options, lines: list[str]) -> None:
    """Escape what is no mark outside of code."""
    for k, line in enumerate(lines):
        parts = _CODE.split(line)
        parts[::2] = [re.sub(r"([|*\\])|(?<=\w)(_)(?!\w)", r"\\\g<0>", part) for part in parts[::2]]
        lines[k] = "".join(parts)


def _directives(names: list[str]) -> str:
    lines = []
    for name in names:
        last = name.rpartition(".")[2]
        if last.endswith("Error"):
            lines += [f".. autoexception:: {name}", "   :show-inheritance:", ""]
        elif last[0].isupper():
            lines += [f".. autoclass:: {name}", "   :members:", "   :special-members: __call__", ""]
        else:
            lines += [f".. autofunction:: {name}", ""]
    return "\n".join(["```{eval-rst}", *lines, "```"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Do so when a page is read, and before the sections of docstrings are looked at."""
    app.connect("source-read", insert)
    app.connect("autodoc-process-docstring", as_plain_text, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

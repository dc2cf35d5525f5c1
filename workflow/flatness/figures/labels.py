"""What axes and panels call a variable: as the glossary does."""

from collections import ChainMap

from flatness.glossary.primitives import PRIMITIVES
from flatness.glossary.quantities import ANALYSIS, QUANTITIES

# A view, which knows what is registered later, too.
_TERMS = ChainMap(QUANTITIES, PRIMITIVES, ANALYSIS)


def words(name: str) -> str:
    """A variable's name in words, with a capital at its beginning."""
    long_name = _TERMS[name].long_name
    return long_name[0].upper() + long_name[1:]


def symbol(name: str) -> str:
    """A variable's symbol in matplotlib's mathematics, or "" where there is none."""
    return _TERMS[name].symbol


def label(name: str) -> str:
    """A variable's name in words, and its symbol where there is one."""
    return f"{words(name)} {symbol(name)}".rstrip()

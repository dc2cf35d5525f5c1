"""Signs of matplotlib's mathematics that no reader's computer has, as outlines.

Roots and large brackets are set in fonts that only matplotlib brings along; letters stay letters.
"""

import re

from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath

_SIGN = re.compile(
    r'<tspan x="([^"]*)" y="([^"]*)" style="font-size: ([\d.]+)px; font-family: '
    r"'(STIX\w+)'\">(.)</tspan>"
)
_LETTERS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}


def with_outlines(svg: str) -> str:
    """A picture whose texts hold no sign of such a font, but an outline behind the text.

    Args:
        svg: as matplotlib writes it with letters as letters, without line breaks between tags.
    """
    return re.sub(r"<text.*?</text>", lambda text: _text(text[0]), svg, flags=re.DOTALL)


def _text(text: str) -> str:
    outlines = (_outline(*sign) for sign in _SIGN.findall(text))
    return _SIGN.sub("", text) + "".join(outlines)


def _outline(x: str, y: str, size: str, family: str, sign: str) -> str:
    path = TextPath((0, 0), sign, size=float(size), prop=FontProperties(family=family))
    steps = (
        "Z" if code == Path.CLOSEPOLY else _LETTERS[code] + " ".join(f"{at:.2f}" for at in places)
        for places, code in path.iter_segments()
    )
    return f'<path transform="translate({x} {y}) scale(1 -1)" d="{"".join(steps)}"/>'

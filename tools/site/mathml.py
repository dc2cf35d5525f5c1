"""Formulas as MathML, which browsers show by themselves: no script, no font, no network."""

import re
from html import escape

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

_BAR = re.compile(r'<mo( class="math(?:open|close)")?>‖')
_LOG = logging.getLogger(__name__)


def inline(translator: HTML5Translator, node: nodes.math) -> None:
    """A formula in a sentence."""
    translator.body.append(_mathml(node, as_block=False))
    raise nodes.SkipNode


def display(translator: HTML5Translator, node: nodes.math_block) -> None:
    """A formula on lines of its own."""
    translator.body.append(f"<div>{_mathml(node, as_block=True)}</div>")
    raise nodes.SkipNode


def _mathml(node: nodes.Element, *, as_block: bool) -> str:
    """The formula, or its source and a warning, which stops `make site`."""
    try:
        formula = tex2mathml(node.astext(), as_block=as_block)
        # Bars of norms as high as a letter: browsers stretch them to what stands beside them.
        return _BAR.sub(r'<mo\1 stretchy="false">‖', formula)
    except MathError as error:
        _LOG.warning("formula %r: %s", node.astext(), error, location=node)
        return f"<code>{escape(node.astext())}</code>"


def setup(app: Sphinx) -> dict[str, bool]:
    """Offer it as `html_math_renderer`."""
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

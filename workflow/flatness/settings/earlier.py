"""Configurations of an earlier form, as they lie in published files, in the form of today.

Figures had no `kind`: eleven names were known, and each stood for a kind and a title. Some
quantities had other names.
"""

from collections.abc import Mapping
from typing import Any

from flatness.glossary.earlier import todays_names

_FIGURES = {
    "fig1": ("trends", "Figure 1"),
    "fig2": ("trends", "Figure 2"),
    "fig3": ("test_samples", "Figure 3"),
    "figD4": ("chain", "Figure D.4"),
    "figD5": ("pair_grid", "Figure D.5"),
    "figD6": ("pair_grid", "Figure D.6"),
    "figE7": ("trends", "Figure E.7"),
    "figE8": ("trends", "Figure E.8"),
    "figS1": ("slack", "Figure S.1"),
    "figS2": ("slack", "Figure S.2"),
    "figS3": ("lemma", "Figure S.3"),
}
# Keys of figures that name quantities.
_QUANTITIES = ("panels", "logarithmic", "quantities")


def in_todays_form(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same configuration with what earlier ones did not say.

    Args:
        configuration: of any form, sound or not; it stays as it is.
    """
    figures = configuration.get("figures")
    if not isinstance(figures, Mapping):
        return configuration
    # A figure that was not wanted could be said to be null.
    wanted = {n: each for n, each in figures.items() if n not in _FIGURES or each is not None}
    return {**configuration, "figures": {n: _figure(n, each) for n, each in wanted.items()}}


def _figure(name: Any, figure: Any) -> Any:
    if not isinstance(figure, Mapping):
        return figure
    listed = {key: figure[key] for key in _QUANTITIES if isinstance(figure.get(key), list | tuple)}
    figure = {**figure, **{key: todays_names(names) for key, names in listed.items()}}
    if name not in _FIGURES or "kind" in figure:
        return figure
    kind, title = _FIGURES[name]
    return {"kind": kind, "title": title, **figure}

"""Which captions hold in a configuration that has them from another one."""

from collections.abc import Mapping
from typing import Any

from flatness.settings.datasets import HERE_ONLY

# What may differ without another network, image, loss or setting being shown.
_OF_FIGURES = frozenset({"title", "caption", "seeds", "x", "logarithmic"})
_OF_STUDIES = frozenset({"seeds", "iterations", "checkpoints", "middle_layers"})


def captions_that_hold(
    configuration: Mapping[str, Any], other: Mapping[str, Any]
) -> dict[str, str]:
    """The captions of another configuration that are true of this one, by figure.

    A caption is about networks, images, losses and settings. It holds where a figure of the same
    name shows the same ones, however long they are trained and with whichever seeds.

    Args:
        configuration: sound or not.
        other: with captions, likewise.
    """
    return {
        name: caption
        for name, caption in captions_of(other).items()
        if name in _below(configuration, "figures")
        and _shown(configuration, name) == _shown(other, name)
    }


def captions_of(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The captions that a configuration has, by figure."""
    return {
        name: figure["caption"]
        for name in _below(configuration, "figures")
        if "caption" in (figure := _below(configuration, "figures", name))
    }


def _shown(configuration: Mapping[str, Any], name: str) -> tuple:
    """What a figure shows, as far as a caption is about it."""
    figure = _below(configuration, "figures", name)
    listed = figure.get("studies")
    names = listed if isinstance(listed, list | tuple) else [figure.get("study")]
    studies = [_below(configuration, "studies", study) for study in names]
    return (
        _without(figure, _OF_FIGURES),
        [_without(study, _OF_STUDIES) for study in studies],
        [
            _without(_below(configuration, "datasets", study.get("dataset")), HERE_ONLY)
            for study in studies
        ],
    )


def _below(mapping: Any, *path: Any) -> Mapping[str, Any]:
    """The mapping at a path; empty where there is none."""
    for name in path:
        known = isinstance(mapping, Mapping) and isinstance(name, str) and name in mapping
        mapping = mapping[name] if known else {}
    return mapping if isinstance(mapping, Mapping) else {}


def _without(mapping: Mapping[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}

"""The configuration as a publication has it: without what holds on one machine only."""

from collections.abc import Mapping
from typing import Any

from flatness.settings import Settings, load_settings

# Where files are kept, and whether they are; no number depends on it.
LOCAL = ("folders", "download", "runs_per_gpu", "training.keep_checkpoints")
# What each run was made on is told with its numbers.
_OF_DEVICES = ("device", "training.iterations_per_graph")
_OF_ONE_PART = ("studies.*.seeds", "figures.*.seeds")
# No number depends on what a figure is called and what is said of it.
_WORDS = ("figures.*.title", "figures.*.caption")
LOCAL_IN_WORDS = (
    "folders, download, device, runs_per_gpu, image_folder, keep_checkpoints and "
    "iterations_per_graph"
)


def portable(settings: Settings) -> dict[str, Any]:
    """The settings without local ones and without datasets that no study uses, as a mapping."""
    mapping = settings.published(mode="json", exclude_none=True)
    used = {study["dataset"] for study in mapping["studies"].values()}
    mapping["datasets"] = {
        name: dataset for name, dataset in mapping["datasets"].items() if name in used
    }
    for path in LOCAL:
        _remove(mapping, path.split("."))
    return mapping


def without_seeds(settings: Settings) -> dict[str, Any]:
    """What all parts of a publication must agree on, every key written out."""
    mapping = settings.published(mode="json")
    for path in (*LOCAL, *_OF_DEVICES, *_OF_ONE_PART, *_WORDS):
        _remove(mapping, path.split("."))
    return mapping


def with_seeds(settings: Settings, seeds: Mapping[str, set[int]]) -> Settings:
    """The same settings with the seeds of each study that are given, in increasing order.

    Figures that name seeds keep those of them that remain; if none does, they show all.
    """
    mapping = settings.model_dump(mode="json", exclude_none=True)
    for name, study in mapping["studies"].items():
        study["seeds"] = sorted(seeds.get(name) or study["seeds"])
    for figure in mapping["figures"].values():
        if "seeds" in figure:
            remaining = set(mapping["studies"][figure["study"]]["seeds"])
            figure["seeds"] = sorted(remaining & set(figure["seeds"]))
            if not figure["seeds"]:
                del figure["seeds"]
    return load_settings(mapping, "results")


def own_code(settings: Settings) -> list[str]:
    """The places of the code that the settings name, which is no part of a publication."""
    mapping = settings.model_dump(mode="json", exclude_none=True)
    studies = mapping["studies"].values()
    named = [mapping["datasets"][study["dataset"]].get("factory") for study in studies]
    named += [study["network"].get("factory") for study in studies]
    return sorted({place for place in [*named, mapping.get("quantities")] if place})


def _remove(mapping: Any, path: list[str]) -> None:
    first, *rest = path
    for key in list(mapping) if first == "*" else [first]:
        if not isinstance(mapping, dict) or key not in mapping:
            continue
        if rest:
            _remove(mapping[key], rest)
        else:
            del mapping[key]

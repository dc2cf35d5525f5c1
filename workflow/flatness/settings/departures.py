"""In what a configuration's runs are other runs than the paper's.

Seeds, iterations and checkpoints decide how much a verdict rests on. Dataset, network, loss and the
steps of SGD decide what it is about: with others the claims of the paper are not tested.
"""

from collections.abc import Mapping
from typing import Any

from flatness.analysis.learning_rates import in_mse

# What tells one dataset from another; samples and their seed decide which images are measured.
_DATASET = ("source", "dataset", "classes", "outputs", "normalisation")


def departures(settings: Mapping[str, Any], paper: Mapping[str, Any]) -> list[str]:
    """What is not the paper's in the studies that the claims are tested on, in words.

    Args:
        settings: the whole configuration, as a mapping.
        paper: that of the paper, likewise.

    Returns:
        One entry for each study and fact, such as "vgg10_digits: dataset digits in the place of
        cifar10"; none where the runs are the paper's, or some of them.
    """
    found = []
    for network in ("vgg10", "mlp"):
        name = settings["claims"][network]
        if name is None or name not in settings["studies"]:
            continue
        ours = settings["studies"][name]
        theirs = paper["studies"][paper["claims"][network]]
        if _dataset(settings, ours) != _dataset(paper, theirs):
            found.append(f"{name}: dataset {ours['dataset']} in the place of {theirs['dataset']}")
        if ours["network"] != theirs["network"]:
            found.append(f"{name}: another network")
        if ours["loss"] != theirs["loss"]:
            found.append(f"{name}: loss {ours['loss']} in the place of {theirs['loss']}")
        if others := sorted(_steps(settings, ours) - _steps(paper, theirs)):
            found.append(f"{name}: learning rates as of {', '.join(map(_as_text, others))} in mse")
        if sizes := sorted(_sizes(ours) - _sizes(theirs)):
            found.append(f"{name}: batch sizes {', '.join(map(str, sizes))}")
    return found


def _dataset(settings: Mapping[str, Any], study: Mapping[str, Any]) -> dict[str, Any]:
    dataset = settings["datasets"][study["dataset"]]
    return {key: dataset.get(key) for key in _DATASET}


def _steps(settings: Mapping[str, Any], study: Mapping[str, Any]) -> set[float]:
    """The learning rates with which `mse` takes the same steps; infinite where there is none."""
    outputs = settings["datasets"][study["dataset"]]["outputs"]
    return {
        float("inf")
        if (rate := in_mse(each["learning_rate"], study["loss"], outputs)) is None
        else round(rate, 12)
        for each in study["sweep"]
    }


def _sizes(study: Mapping[str, Any]) -> set[int]:
    return {each["batch_size"] for each in study["sweep"]}


def _as_text(rate: float) -> str:
    return "no rate" if rate == float("inf") else f"{rate:g}"

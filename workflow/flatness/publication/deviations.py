"""Where settings differ from those of the paper, and what a study is because of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flatness.analysis.learning_rates import in_mse, trained_on
from flatness.analysis.training_in_words import optimiser_in_words
from flatness.publication import facts
from flatness.settings.datasets import HERE_ONLY

# What a deviation from the paper may be in; seeds and settings decide how much a verdict rests on.
_COMPARED = ("network", "dataset", "loss", "sweep", "seeds", "iterations", "checkpoints")
# What decides which images a study is of.
_IMAGES = ("source", "dataset", "path", "factory", "arguments", "classes")
# What decides numbers of all studies; other options of measuring change roundings at most.
_MEASURED = ("hessian_trace", "hessian_probes", "hessian_exact_products")
_KINDS = {
    "paper": ("Reproduction", "The paper's settings, as config/config.yaml reads them"),
    "shortened": ("Reproduction, shortened", "The paper's settings, shortened"),
    "variant": ("A variant", "A variant, not the paper's settings"),
    "example": ("An example", "An example, no test of the paper"),
}


@dataclass(frozen=True)
class Nature:
    """What a study is.

    Args:
        kind: "paper", "shortened", "variant" or "example".
        title: in two words.
        sentence: what makes it that, without a full stop.
    """

    kind: str
    title: str
    sentence: str


def nature(
    settings: Mapping[str, Any], paper: Mapping[str, Any], runs: Mapping[str, int] | None = None
) -> Nature:
    """What a study is, by how its settings differ from the paper's.

    Args:
        settings: the configuration, as a mapping.
        paper: that of the paper.
        runs: how many runs there are of each study; all of them, if left out.
    """
    papers = _by_network(paper)
    present = [(n, s) for n, s in _studies(settings) if runs is None or runs.get(n)]
    found = {name: _study(settings, study, paper, papers) for name, study in present}
    networks = {study["network"]["name"] for _, study in present}
    absent = [("shortened", f"no {name}") for name in papers if name not in networks]
    of_all = [*_conventions(settings, paper), *_runs(runs, papers)]
    kinds = {kind for each in (*found.values(), absent, of_all) for kind, _ in each}
    kind = next((name for name in reversed(_KINDS) if name in kinds), "paper")
    title, sentence = _KINDS[kind]
    said = _said(
        {name: [words for _, words in each] for name, each in found.items()},
        [words for _, words in of_all],
    )
    said += [words for _, words in absent]
    return Nature(kind, title, f"{sentence}: {'; '.join(said)}" if said else sentence)


def deviations(settings: Mapping[str, Any], paper: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What differs from the settings of the paper's study of the same network, and of analysis."""
    papers = _by_network(paper)
    networks = {study["network"]["name"] for study in settings["studies"].values()}
    rows = [("network", "none", name) for name in papers if name not in networks]
    for name, study in _studies(settings):
        theirs = papers.get(study["network"]["name"])
        if theirs is None:
            rows.append((f"{name}: network", facts.as_text(study["network"]), "none"))
            continue
        one, other = _shown(settings, study), _shown(paper, theirs)
        rows += [
            (f"{name}: {key}", one[key], other[key]) for key in _COMPARED if one[key] != other[key]
        ]
    for section in ("measuring", "analysis"):
        for key, value in settings[section].items():
            theirs = paper[section][key]
            if facts.as_text(value) != facts.as_text(theirs):
                rows.append((key, facts.as_text(value), facts.as_text(theirs)))
    return rows or [("none", "", "")]


def _said(found: Mapping[str, list[str]], of_all: list[str]) -> list[str]:
    """What differs in all studies, if there are several, and then what differs in each."""
    first = next(iter(found.values()))
    shared = [words for words in first if all(words in each for each in found.values())]
    if len(found) == 1:
        shared = []
    own = {name: [words for words in each if words not in shared] for name, each in found.items()}
    said = [", ".join([*shared, *of_all])] if shared or of_all else []
    return said + [f"{name}: {', '.join(each)}" for name, each in own.items() if each]


def _conventions(one: Mapping, other: Mapping) -> Iterator[tuple[str, str]]:
    """What differs in measuring and analysis."""
    for section, keys in (("measuring", _MEASURED), ("analysis", other["analysis"])):
        for key in keys:
            yield from _other_value(key, one[section], other[section])


def _other_value(key: str, one: Mapping, other: Mapping) -> Iterator[tuple[str, str]]:
    mine, theirs = (facts.as_text(each.get(key)) for each in (one, other))
    if mine != theirs:
        yield "variant", f"{key.replace('_', ' ')} {mine} in the place of {theirs}"


def _runs(
    runs: Mapping[str, int] | None, papers: Mapping[str, Mapping]
) -> Iterator[tuple[str, str]]:
    count = sum(len(study["sweep"]) * len(study["seeds"]) for study in papers.values())
    if runs is not None and sum(runs.values()) < count:
        yield "shortened", f"{sum(runs.values())} of {count} runs"


def _study(
    settings: Mapping, study: Mapping, paper: Mapping, papers: Mapping[str, Mapping]
) -> list[tuple[str, str]]:
    """What differs in one study: the kind of study that it makes, and words for it."""
    theirs = papers.get(study["network"]["name"])
    if theirs is None:
        name = study["network"].get("factory", study["network"]["name"])
        return [("variant", f"another network ({name})")]
    return [
        *_data(settings["datasets"][study["dataset"]], paper["datasets"][theirs["dataset"]]),
        *_network(study["network"], theirs["network"]),
        *_steps(settings, study, paper, theirs),
        *_length(study, theirs),
    ]


def _data(one: Mapping, other: Mapping) -> Iterator[tuple[str, str]]:
    if any(facts.as_text(one.get(key)) != facts.as_text(other.get(key)) for key in _IMAGES):
        names = [each.get("dataset") or each.get("path") or each["source"] for each in (one, other)]
        classes = [facts.as_text(each["classes"]) for each in (one, other)]
        if names[0] == names[1]:
            yield "example", f"classes {classes[0]} in the place of {classes[1]} of {names[0]}"
        else:
            yield "example", f"other data ({names[0]} in the place of {names[1]})"
    for key in other:
        if key not in (*_IMAGES, *HERE_ONLY):
            yield from _other_value(key, one, other)


def _network(one: Mapping, other: Mapping) -> Iterator[tuple[str, str]]:
    for key in one:
        if one[key] != other.get(key):
            yield "variant", f"{key} {one[key]} in the place of {other.get(key)}"


def _steps(
    settings: Mapping, study: Mapping, paper: Mapping, theirs: Mapping
) -> Iterator[tuple[str, str]]:
    """Loss and learning rates; rates are compared in mse, where they exist there."""
    if study.get("optimiser") is not None:
        yield "variant", f"{optimiser_in_words(study['optimiser'])} in the place of plain SGD"
    if study["loss"] != theirs["loss"]:
        yield "variant", f"loss {study['loss']} in the place of {theirs['loss']}"
    pairs, wanted = _pairs(settings, study), _pairs(paper, theirs)
    ratio = _ratio(_rates(pairs), _rates(wanted))
    scaled = {(rate and _rounded(rate / ratio), size) for rate, size in pairs}
    rates, others = _rates(scaled), _rates(wanted)
    listed = [", ".join(f"{rate:g}" for rate in _rates(each)) for each in (pairs, wanted)]
    if not rates:
        yield "variant", "learning rates that mse has no like of"
    elif ratio != 1:
        yield (
            "variant",
            f"learning rates {ratio:g} times as high (in mse {listed[0]} in the place of "
            f"{listed[1]})",
        )
    elif not set(rates) <= set(others):
        yield "variant", f"learning rates in mse {listed[0]} in the place of {listed[1]}"
    sizes = {size for _, size in wanted}
    if foreign := sorted({size for _, size in pairs} - sizes):
        yield "variant", f"batch sizes {', '.join(map(str, foreign))}"
    strays = [pair for pair in scaled - wanted if pair[0] in others and pair[1] in sizes]
    if strays:
        words = ", ".join(f"{rate:g} with {size}" for rate, size in sorted(strays))
        yield "variant", f"other pairs of learning rate and batch size ({words})"
    if len(pairs) < len(wanted):
        yield "shortened", f"{len(pairs)} of {len(wanted)} settings"


def _pairs(settings: Mapping, study: Mapping) -> set[tuple[float | None, int]]:
    """Learning rates in mse, None where they do not exist there, with their batch sizes."""
    outputs = settings["datasets"][study["dataset"]]["outputs"]
    rates = [in_mse(each["learning_rate"], trained_on(study), outputs) for each in study["sweep"]]
    return {
        (rate and _rounded(rate), each["batch_size"])
        for rate, each in zip(rates, study["sweep"], strict=True)
    }


def _rates(pairs: set[tuple[float | None, int]]) -> list[float]:
    return sorted({rate for rate, _ in pairs if rate is not None})


def _ratio(one: list[float], other: list[float]) -> float:
    """How many times as high all of some rates are; 1 where that is not one number."""
    ratios = {_rounded(a / b) for a, b in zip(one, other, strict=False)}
    return ratios.pop() if len(one) == len(other) and len(ratios) == 1 else 1


def _rounded(value: float) -> float:
    """Without the last digits, in which equal rates of different losses may differ."""
    return float(f"{value:.6g}")


def _length(one: Mapping, other: Mapping) -> Iterator[tuple[str, str]]:
    counts = {
        "iterations": [each["iterations"] for each in (one, other)],
        "seeds": [len(each["seeds"]) for each in (one, other)],
    }
    for name, (mine, theirs) in counts.items():
        if mine < theirs:
            yield "shortened", f"{mine:,} of {theirs:,} {name}"
        elif mine > theirs:
            yield "variant", f"{mine:,} {name} in the place of {theirs:,}"
    mine, theirs = (each["checkpoints"] for each in (one, other))
    if any(mine[key] > theirs[key] for key in theirs):
        yield (
            "variant",
            f"checkpoints {facts.as_text(mine)} in the place of {facts.as_text(theirs)}",
        )
    elif mine != theirs:
        yield "shortened", f"{sum(mine.values())} of {sum(theirs.values())} checkpoints"


def _by_network(settings: Mapping) -> dict[str, Mapping]:
    return {study["network"]["name"]: study for study in settings["studies"].values()}


def _studies(settings: Mapping) -> list[tuple[str, Mapping]]:
    return list(settings["studies"].items())


def _shown(settings: Mapping[str, Any], study: Mapping[str, Any]) -> dict[str, str]:
    """What is compared of a study, its dataset in full."""
    dataset = settings["datasets"][study["dataset"]]
    words = {key: facts.as_text(study[key]) for key in _COMPARED}
    return words | {"dataset": facts.as_text(dataset), "sweep": facts.sweep(settings, study)}

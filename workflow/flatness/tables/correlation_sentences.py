"""What correlation tables say in words, whatever the format."""

import json
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from flatness.analysis.statistics import FEWEST_FOR_COEFFICIENT, FEWEST_FOR_INTERVAL
from flatness.glossary.primitives import PRIMITIVES
from flatness.glossary.quantities import ANALYSIS, QUANTITIES
from flatness.storage import atomic_path

# A view, which knows what is registered later, too.
TERMS = ChainMap(QUANTITIES, PRIMITIVES, ANALYSIS)
STATISTICS = {"pearson": "Pearson", "spearman": "Spearman", "kendall": "Kendall (tau-b)"}


@dataclass(frozen=True)
class Markup:
    """How a format writes the parts of a sentence.

    Args:
        quantity: from the name of its variable.
        literal: from an id or another word that is written as in files.
        text: from words of any origin.
    """

    quantity: Callable[[str], str]
    literal: Callable[[str], str]
    text: Callable[[str], str]


def about(dataset: xr.Dataset, markup: Markup) -> list[str]:
    """What all tables of a study rest on."""
    given = dataset.attrs
    counted, excluded, not_finite, provenance = (
        json.loads(given[key]) for key in ("counted", "excluded", "not_finite", "provenance")
    )
    sentences = [
        f"{count(len(counted))}; of each the mean over the checkpoints in the last fifth of its "
        "iterations. Test loss, test accuracy and "
        "generalisation gap are those of all images, the other quantities those on the fixed "
        f"sample set {markup.literal(given['sample_set'])}. A of Eq. 28 is "
        f"{markup.quantity('mls')}.",
        f"In brackets: {level(dataset, markup)} percentile interval of the bootstrap over whole "
        f"seeds ({given['bootstrap_draws']} draws, seed {given['bootstrap_seed']}); in "
        "parentheses: the same over whole settings of learning rate and batch size. Draws for "
        "which a coefficient is not defined do not count. A dash: no coefficient.",
    ]
    if excluded:
        runs = [f"{markup.literal(run)} ({markup.text(why)})" for run, why in excluded.items()]
        sentences.append(f"Excluded: {', '.join(runs)}.")
    else:
        sentences.append("No run is excluded.")
    if not_finite:
        runs = [
            f"{markup.literal(run)} ("
            + ", ".join(f"{markup.quantity(name)} {value}" for name, value in values.items())
            + ")"
            for run, values in not_finite.items()
        ]
        sentences.append(f"Not counted where a value is not finite: {', '.join(runs)}.")
    sentences += absent_quantities(dataset, markup)
    sentences.append(_made_of(provenance, markup))
    return sentences


def _made_of(provenance: Mapping[str, list[str] | str], markup: Markup) -> str:
    """Datasets, programs and commits; in files of earlier versions a text of each."""
    facts = {key: [each] if isinstance(each, str) else each for key, each in provenance.items()}
    facts["dataset_checksum"] = [checksum[:12] for checksum in facts["dataset_checksum"]]
    said = {key: markup.text(", ".join(each)) for key, each in facts.items()}
    return (
        f"Dataset {said['dataset']} (SHA-256 {said['dataset_checksum']}); {said['source']}, commit "
        f"{said['commit']}."
    )


def present(dataset: xr.Dataset) -> xr.Dataset:
    """Without the quantities that do not exist for the study's network: rows of dashes."""
    absent = list(json.loads(dataset.attrs["absent"]))
    return dataset.drop_sel(quantity=absent, other_quantity=absent)


def absent_quantities(dataset: xr.Dataset, markup: Markup) -> list[str]:
    """The quantities that do not exist for the study's network, and why."""
    absent = json.loads(dataset.attrs["absent"])
    return [
        f"Absent: {', '.join(markup.quantity(name) for name in absent if absent[name] == reason)} "
        f"({markup.text(reason)})."
        for reason in dict.fromkeys(absent.values())
    ]


def notes(of_group: xr.Dataset, markup: Markup) -> list[str]:
    """What is missing in the tables of one group, and why; absent quantities apart."""
    runs = int(of_group["runs"])
    if runs < FEWEST_FOR_COEFFICIENT:
        return [f"No coefficient with fewer than {FEWEST_FOR_COEFFICIENT} runs."]
    absent = json.loads(of_group.attrs["absent"])
    exists = ~of_group["quantity"].isin(list(absent)).to_numpy()
    pairs = exists[:, None] & exists
    n = of_group["n"].to_numpy()
    undefined = np.isnan(of_group["coefficient"].to_numpy()[0])
    few = n < FEWEST_FOR_COEFFICIENT
    sentences = []
    for count in np.unique(n[pairs & (n < runs)])[::-1]:
        if names := _concerned(of_group, pairs & (n == count), markup):
            sentences.append(f"{count} of {runs} runs count for {names}.")
    if names := _concerned(of_group, pairs & few, markup):
        sentences.append(
            f"No coefficient with fewer than {FEWEST_FOR_COEFFICIENT} runs that count: {names}."
        )
    if names := _concerned(of_group, pairs & undefined & ~few, markup):
        sentences.append(
            f"No coefficient where a quantity is the same in all runs that count: {names}."
        )
    defined = pairs & ~undefined
    for kind, low in (("seeds", "low"), ("settings", "settings_low")):
        without = np.isnan(of_group[low].to_numpy()[0])
        if (without | ~defined).all():
            sentences.append(f"No interval over {kind} with fewer than {FEWEST_FOR_INTERVAL}.")
        elif names := _concerned(of_group, defined & without, markup):
            sentences.append(
                f"No interval over {kind} with fewer than {FEWEST_FOR_INTERVAL} of which runs "
                f"count: {names}."
            )
    return sentences


def _concerned(of_group: xr.Dataset, flags: np.ndarray, markup: Markup) -> str:
    """The quantities flagged on the diagonal, and the flagged pairs of other ones."""
    names = [markup.quantity(name) for name in of_group["quantity"].to_numpy()]
    own = np.diagonal(flags)
    pairs = np.argwhere(np.tril(flags & ~own[:, None] & ~own))
    return ", ".join(
        [names[position] for position in np.flatnonzero(own)]
        + [f"{names[one]} with {names[other]}" for one, other in pairs]
    )


def in_words(of_group: xr.Dataset) -> str:
    """A group as people read it; a learning rate stands beside its loss."""
    return json.loads(of_group.attrs["in_words"])[of_group["group"].item()]


def intervals(low: float, high: float, settings_low: float, settings_high: float) -> list[str]:
    """Over seeds in brackets, over settings in parentheses; what is not defined is left out."""
    texts = []
    if not np.isnan(low):
        texts.append(f"[{number(low)}, {number(high)}]")
    if not np.isnan(settings_low):
        texts.append(f"({number(settings_low)}, {number(settings_high)})")
    return texts


def count(runs: int | xr.DataArray) -> str:
    return f"{int(runs)} run{'' if runs == 1 else 's'}"


def level(dataset: xr.Dataset, markup: Markup) -> str:
    return markup.text(f"{100 * dataset.attrs['confidence']:g}%")


def number(value: float) -> str:
    return f"{value:z.2f}"


def write_blocks(path: str | Path, blocks: Iterable[str]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")

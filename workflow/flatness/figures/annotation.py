"""The text around panels: headline, legend, caption, runs left out, provenance."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from matplotlib.artist import Artist
from matplotlib.figure import Figure

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.training_in_words import network_in_words, sgd_in_words
from flatness.provenance import commits

# Of the caption's font, so that lines end before the figure does.
_CHARACTERS_PER_INCH = 16.4
# In inches.
_LEFT = 0.63
_CAPTION_LINE = 0.1295
_HEADLINE = 0.44
_LEGEND_LINE = 0.2
_LEGEND_CHARACTER, _LEGEND_HANDLE = 0.077, 0.65
_NO_BREAK = "\N{NO-BREAK SPACE}"


def headline(title: str, runs: Sequence[AnalysedRun]) -> str:
    """Such as "Figure 1: VGG10 (relu) on cifar10, trained with mse"."""
    return f"{title}: {network_and_dataset(runs[0])}, trained with {runs[0].loss}"


def network_and_dataset(run: AnalysedRun) -> str:
    """Such as "VGG10 (relu) on cifar10"."""
    return f"{network_in_words(run.settings)} on {run.dataset}"


def training(runs: Sequence[AnalysedRun]) -> str:
    """How runs of one study were trained, for a caption: loss, learning rates, batch sizes."""
    return f"Training: {sgd_in_words([run.settings for run in runs], runs[0].outputs)}."


def excluded_runs(excluded: Mapping[str, str]) -> str:
    """Each run that was left out, with the reason; empty where there is none."""
    if not excluded:
        return ""
    return "Excluded: " + "; ".join(f"{run}: {why}" for run, why in excluded.items()) + "."


def provenance(runs: Sequence[AnalysedRun]) -> str:
    """What runs of one study were made from."""
    seeds = sorted({run.seed for run in runs})
    iterations = sorted({run.iterations for run in runs})
    network = _with_options(runs[0].network)
    return (
        f"{len(runs)} runs, seeds {', '.join(map(str, seeds))}; "
        f"{', '.join(f'{count:,}' for count in iterations)} iterations; network {network}; loss "
        f"{runs[0].loss}; dataset {runs[0].dataset} "
        f"(SHA-256 {runs[0].data.attrs['dataset_checksum'][:12]}); {_every(runs, 'source')}, "
        f"{_commits(runs)}."
    )


def _with_options(network: Mapping[str, Any]) -> str:
    """Such as "mlp (hidden_width 500)", or "my_file.py:build (width 8)" for one's own."""
    options = dict(network)
    name = options.pop("name")
    if "factory" in options:
        name, options = options["factory"], options["arguments"]
    words = ", ".join(f"{key} {value}" for key, value in options.items())
    return f"{name} ({words})" if words else name


def _commits(runs: Sequence[AnalysedRun]) -> str:
    """The commits of training, measuring and analysis; one word if all are the same."""
    every = [commits(run.data.attrs) for run in runs]
    of_stages = {stage: sorted({of_run[stage] for of_run in every}) for stage in every[0]}
    first, *others = of_stages.values()
    if len(first) == 1 and all(found == first for found in others):
        return f"commit {first[0]}"
    listed = (f"{stage} {', '.join(found)}" for stage, found in of_stages.items())
    return f"commits: {'; '.join(listed)}"


def _every(runs: Sequence[AnalysedRun], fact: str) -> str:
    return ", ".join(sorted({run.data.attrs[fact] for run in runs}))


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters; mathematics is not broken, nor "Eq. 4"."""
    whole = re.sub(
        r"\$[^$]*\$|Eq\. \d|\w ≤ \w", lambda match: match.group().replace(" ", _NO_BREAK), text
    )
    lines = textwrap.wrap(whole, width, break_long_words=False)
    return [line.replace(_NO_BREAK, " ") for line in lines]


def lay_out(
    figure: Figure,
    heading: str,
    paragraphs: Sequence[str],
    *,
    handles: Sequence[Artist] = (),
    legend_title: str = "",
) -> None:
    """Set headline and legend above and the caption below the panels, and fit these between.

    Args:
        figure: with its panels.
        heading: the headline.
        paragraphs: of the caption; empty ones are left out.
        handles: what the legend explains, each with its label; there is none without them.
        legend_title: what the labels have in common.
    """
    width, height = figure.get_size_inches()
    left = _LEFT / width
    figure.text(left, 1 - 0.14 / height, heading, fontsize=12, va="top")
    top = _HEADLINE
    if handles:
        longest = max(len(handle.get_label()) for handle in handles)
        room = width - _LEFT - 0.2
        columns = min(len(handles), int(room / (_LEGEND_CHARACTER * longest + _LEGEND_HANDLE)) or 1)
        figure.legend(
            handles=handles,
            title=legend_title or None,
            alignment="left",
            title_fontsize=9,
            loc="upper left",
            bbox_to_anchor=(left, 1 - top / height),
            ncols=columns,
            borderpad=0,
            borderaxespad=0,
            columnspacing=1.5,
        )
        top += _LEGEND_LINE * (ceil(len(handles) / columns) + bool(legend_title))
    lines = [
        line
        for paragraph in paragraphs
        for line in wrap(paragraph, int(_CHARACTERS_PER_INCH * width))
    ]
    figure.text(left, 0.0888 / height, "\n".join(lines), fontsize=7.5, color="#333333", va="bottom")
    bottom = (0.222 + _CAPTION_LINE * len(lines)) / height
    if figure.axes:
        figure.tight_layout(rect=(0, bottom, 1, 1 - top / height))

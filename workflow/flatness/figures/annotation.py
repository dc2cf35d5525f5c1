"""The text around panels: headline, caption, runs left out, provenance."""

import re
import textwrap
from collections.abc import Mapping, Sequence

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatness.analysis.seeds import grouped, settings_of

SETTINGS = {"learning_rate": "learning rate", "batch_size": "batch size"}
# Of the caption's font, so that lines end before the figure does.
_CHARACTERS_PER_INCH = 16.4
_LINE_HEIGHT = 0.1295  # inches
_NO_BREAK = "\N{NO-BREAK SPACE}"


def headline(title: str, runs: Sequence[xr.Dataset]) -> str:
    """Such as "Figure 1: VGG10 on cifar10"."""
    return f"{title}: {network_and_dataset(runs[0])}"


def network_and_dataset(run: xr.Dataset) -> str:
    """Such as "VGG10 on cifar10"."""
    return f"{settings_of(run)['network']['name'].upper()} on {run.attrs['dataset']}"


def values_of(runs: Sequence[xr.Dataset], key: str) -> str:
    """One setting in words with all its values, such as "batch size 8, 20, 32"."""
    values = ", ".join(f"{value:g}" for value in grouped(runs, key)) or "none left"
    return f"{SETTINGS[key]} {values}"


def excluded_runs(excluded: Mapping[str, str]) -> str:
    """Each run that was left out, with the reason; empty where there is none."""
    if not excluded:
        return ""
    return "Excluded: " + "; ".join(f"{run}: {why}" for run, why in excluded.items()) + "."


def provenance(runs: Sequence[xr.Dataset]) -> str:
    """What runs of one study were made from."""
    settings = settings_of(runs[0])
    seeds = sorted({settings_of(run)["seed"] for run in runs})
    iterations = sorted({settings_of(run)["iterations"] for run in runs})
    options = dict(settings["network"])
    network = f"{options.pop('name')} (" + ", ".join(f"{k} {v}" for k, v in options.items()) + ")"
    return (
        f"{len(runs)} runs, seeds {', '.join(map(str, seeds))}; "
        f"{', '.join(f'{count:,}' for count in iterations)} iterations; network {network}; loss "
        f"{settings['loss']}; dataset {runs[0].attrs['dataset']} "
        f"(SHA-256 {runs[0].attrs['dataset_checksum'][:12]}); {_every(runs, 'source')}, "
        f"commit {_every(runs, 'commit')}."
    )


def _every(runs: Sequence[xr.Dataset], fact: str) -> str:
    return ", ".join(sorted({run.attrs[fact] for run in runs}))


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters; mathematics is not broken, nor "Eq. 4"."""
    whole = re.sub(
        r"\$[^$]*\$|Eq\. \d|\w ≤ \w", lambda match: match.group().replace(" ", _NO_BREAK), text
    )
    lines = textwrap.wrap(whole, width, break_long_words=False)
    return [line.replace(_NO_BREAK, " ") for line in lines]


def say_instead(panel: Axes, reason: str) -> None:
    """Write in a panel why it shows no data."""
    panel.set_axis_off()
    panel.text(
        *(0.5, 0.5, "\n".join(wrap(reason, 36))),
        transform=panel.transAxes,
        ha="center",
        va="center",
        fontsize=8.5,
        color="#333333",
    )


def lay_out(figure: Figure, heading: str, paragraphs: Sequence[str]) -> None:
    """Set the headline above and the caption below the panels, and fit these between."""
    width, height = figure.get_size_inches()
    lines = [
        line
        for paragraph in paragraphs
        for line in wrap(paragraph, int(_CHARACTERS_PER_INCH * width))
    ]
    left = 0.63 / width
    figure.suptitle(heading, x=left, y=1 - 0.185 / height, ha="left", fontsize=12)
    figure.text(left, 0.0888 / height, "\n".join(lines), fontsize=7.5, color="#333333", va="bottom")
    bottom = (0.222 + _LINE_HEIGHT * len(lines)) / height
    figure.tight_layout(rect=(0, bottom, 1, 1 - 0.111 / height))

"""Points by setting: a colour and a marker for each pair of learning rate and batch size."""

from collections.abc import Sequence
from dataclasses import dataclass

import xarray as xr

from flatness.analysis.seeds import settings_of
from flatness.figures import curves

# Not as many as there are colours, so that pairs of both repeat late.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")


@dataclass(frozen=True)
class Setting:
    """The runs of one learning rate and batch size, and how their points look.

    Args:
        label: such as "learning rate 0.1, batch size 20 (5 runs)".
        positions: of its runs among all runs.
        look: colour and marker.
    """

    label: str
    positions: list[int]
    look: dict[str, str]


def by_setting(runs: Sequence[xr.Dataset]) -> list[Setting]:
    """One entry for each setting, in increasing order of learning rate, then batch size."""
    keys = [(settings_of(run)["learning_rate"], settings_of(run)["batch_size"]) for run in runs]
    colors = [look["color"] for look in curves.looks()]
    settings = []
    for number, (rate, batch) in enumerate(sorted(set(keys))):
        positions = [position for position, key in enumerate(keys) if key == (rate, batch)]
        look = {"color": colors[number % len(colors)], "marker": MARKERS[number % len(MARKERS)]}
        number_of_runs = f"{len(positions)} run{'s' if len(positions) > 1 else ''}"
        label = f"learning rate {rate:g}, batch size {batch:g} ({number_of_runs})"
        settings.append(Setting(label, positions, look))
    return settings

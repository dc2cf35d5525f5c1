"""Points by setting: a colour and a marker for each pair of learning rate and batch size."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.training_in_words import WORDS, name_in_words, value_in_words
from flatness.figures import curves

# Not as many as there are colours, so that pairs of both repeat late.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
_EDGE = 1.1  # points


@dataclass(frozen=True)
class Setting:
    """The runs of one learning rate and batch size, and how their points look.

    Args:
        label: such as "0.1 (0.5), 20".
        filled: positions among all runs of those that interpolate.
        hollow: positions of those that do not.
        look: colour and marker.
    """

    label: str
    filled: list[int]
    hollow: list[int]
    look: dict[str, str]

    def draw(self, panel: Axes, x, y, size: float) -> None:
        """Draw one point for each run, from values (runs,) of all runs; size in points."""
        for positions, face in ((self.filled, self.look["color"]), (self.hollow, "none")):
            if positions:
                panel.scatter(
                    x[positions],
                    y[positions],
                    s=size**2,
                    marker=self.look["marker"],
                    facecolors=face,
                    edgecolors=self.look["color"],
                    linewidths=_EDGE,
                )

    def handle(self) -> Line2D:
        """Its entry in a legend; hollow if all its points are."""
        face = self.look["color"] if self.filled else "none"
        return Line2D([], [], ls="none", label=self.label, mfc=face, mew=_EDGE, ms=5.5, **self.look)


def by_setting(runs: Sequence[AnalysedRun], accuracy: float) -> list[Setting]:
    """One entry for each setting, in increasing order of learning rate, then batch size.

    Args:
        runs: analysed runs of one study.
        accuracy: training accuracy from which a run interpolates.
    """
    interpolates = [run.interpolates(accuracy) for run in runs]
    colors = [look["color"] for look in curves.looks()]
    settings = []
    for number, (rate, batch) in enumerate(sorted({run.setting for run in runs})):
        positions = [place for place, run in enumerate(runs) if run.setting == (rate, batch)]
        look = {"color": colors[number % len(colors)], "marker": MARKERS[number % len(MARKERS)]}
        entry = value_in_words("learning_rate", rate, runs[0].trained_on, runs[0].outputs)
        settings.append(
            Setting(
                f"{entry}, {batch:g}",
                [position for position in positions if interpolates[position]],
                [position for position in positions if not interpolates[position]],
                look,
            )
        )
    return settings


def title_of_settings(runs: Sequence[AnalysedRun]) -> str:
    """What the labels of `by_setting` are, for the legend."""
    rate = name_in_words("learning_rate", runs[0].trained_on, runs[0].outputs)
    return f"{rate}, {WORDS['batch_size']}"


def looks(labels: Sequence[str]) -> list[Setting]:
    """One entry for each label, each with one point.

    Args:
        labels: in the order of the points.
    """
    colors = [look["color"] for look in curves.looks()]
    return [
        Setting(
            label,
            [position],
            [],
            {"color": colors[position % len(colors)], "marker": MARKERS[position % len(MARKERS)]},
        )
        for position, label in enumerate(labels)
    ]

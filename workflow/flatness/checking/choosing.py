"""Which run is trained anew, for how long, and about how much time that takes.

Times are those that the publication stores of the whole run. One share of training is evaluating
all images at each checkpoint: an iteration passes forward and backward over one mini-batch, about
the work of three passes forward, an evaluation forward over all images.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flatness.analysis.analysed_run import AnalysedRun
from flatness.errors import SettingsError
from flatness.publication.costs import Cost

# What the run that is chosen, and its part, may take on one core.
MOST_SECONDS = 60
# How far it goes where the publication stores no times.
_WITHOUT_TIMES = 100
# How far at most: on another processor roundings are carried apart. On a GPU and a CPU an MLP was
# within 1e-2 for 11,171 iterations, and 0.11 apart after 225,000, where a tenth is allowed.
MOST_ITERATIONS = 10_000
_FORWARDS = 3


@dataclass(frozen=True)
class Part:
    """The beginning of a run.

    Args:
        run: as it is published.
        checkpoints: iterations, those that are trained, measured and compared.
        seconds: about how long that takes, with the dataset prepared; None if unknown.
    """

    run: AnalysedRun
    checkpoints: tuple[int, ...]
    seconds: float | None


def choose(
    runs: Sequence[AnalysedRun],
    costs: Mapping[str, Mapping[str, Cost]],
    name: str | None,
    iterations: int | None,
    at_hand: Callable[[AnalysedRun], bool],
) -> Part:
    """The part of a run that is trained anew.

    Args:
        runs: all that are published.
        costs: of each, see `flatness.publication.costs.costs_of`.
        name: of the run; where it is left out, the one of which most checkpoints take no more than
            `MOST_SECONDS`, of those whose images are at hand, and of these of those that were
            trained on a CPU, if there are any.
        iterations: the last that is trained; where it is left out, as many as take so long, and no
            more than `MOST_ITERATIONS`.
        at_hand: whether a run's images are.

    Raises:
        SettingsError: there is no such run, or it has not so many iterations.
    """
    named = {run.id: run for run in runs}
    if name is not None and name not in named:
        raise SettingsError(
            f"--run {name}: is no run of the publication. Allowed: {', '.join(named)}. Name one."
        )
    if iterations is not None and iterations < 0:
        raise SettingsError(f"--iterations {iterations}. Allowed: 0 or more. Raise it.")
    asked = runs if name is None else [named[name]]
    candidates = [run for run in asked if at_hand(run)] or asked
    # Every machine has one, and what a run took on a GPU tells nothing about it.
    candidates = [run for run in candidates if run.data.attrs["device"] == "cpu"] or candidates
    parts = [_part(run, costs.get(run.id, {}), iterations) for run in candidates]
    return max(parts, key=lambda part: (len(part.checkpoints), -(part.seconds or 0)))


def _part(run: AnalysedRun, costs: Mapping[str, Cost], iterations: int | None) -> Part:
    published = tuple(map(int, run.iteration))
    if iterations is not None:
        count = sum(each <= iterations for each in published)
    elif seconds(run, costs, 1) is None:
        count = sum(each <= _WITHOUT_TIMES for each in published)
    else:
        within = [
            n + 1
            for n in range(len(published))
            if published[n] <= MOST_ITERATIONS and seconds(run, costs, n + 1) <= MOST_SECONDS
        ]
        count = max(within, default=1)
    return Part(run, published[:count], seconds(run, costs, count))


def seconds(run: AnalysedRun, costs: Mapping[str, Cost], checkpoints: int) -> float | None:
    """About how long the first checkpoints of a run take; None where no times are stored."""
    known = [costs.get(stage, Cost()).seconds for stage in ("train_run", "measure_run")]
    if np.isnan(known).any():
        return None
    training, measuring = known
    epoch, iteration = (float(run.data[name][-1]) for name in ("epoch", "iteration"))
    images = run.batch_size * iteration / epoch if epoch else 0.0
    whole = len(run.iteration)

    def work(until: int, evaluations: int) -> float:
        return _FORWARDS * run.batch_size * until + images * evaluations

    share = work(int(run.iteration[checkpoints - 1]), checkpoints) / work(
        int(run.iteration[-1]), whole
    )
    others = [costs.get(stage, Cost()).seconds for stage in ("prepare_dataset", "analyse_run")]
    return float(training * share + measuring * checkpoints / whole + np.nansum(others))

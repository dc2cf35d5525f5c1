"""Everything that figures, tables and claims need of one run."""

from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from flatness.analysis.bounds import bounds, check
from flatness.analysis.quantities import quantities
from flatness.glossary import annotate
from flatness.glossary.primitives import PRIMITIVES
from flatness.glossary.quantities import ANALYSIS, QUANTITIES
from flatness.own.quantities import load_quantities, own_quantities
from flatness.provenance import commit
from flatness.storage import read_dataset, write_dataset

_COPIED = (
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "sample_count",
    "misclassified_total",
    "input_weight_spectral_norm",
)


def analyse_run(
    measurements: str | Path,
    analysis: str | Path,
    *,
    study: str,
    powers: Sequence[float],
    quantities_file: str | None = None,
) -> None:
    """As `analyse`, from file to file.

    Args:
        measurements: the file of a run that is measured.
        analysis: the file that is written.
        study: see `analyse`, as the others.
        powers: see there.
        quantities_file: see there.
    """
    analysed = analyse(
        read_dataset(measurements), study=study, powers=powers, quantities_file=quantities_file
    )
    write_dataset(analysed, analysis)


def analyse(
    run: xr.Dataset, *, study: str, powers: Sequence[float], quantities_file: str | None = None
) -> xr.Dataset:
    """Quantities, both sides of every inequality, and the training curves of one run.

    Args:
        run: the run's measurements.
        study: that it belongs to.
        powers: the k of Eq. 6 and 7.
        quantities_file: with quantities of one's own, see `flatness.quantity`.

    Returns:
        Variables on (checkpoint, sample_set), see `quantities`, those of `bounds` with the
        dimension inequality besides, and curves on (checkpoint). Attributes are the run's, `study`
        and `analysis_commit`, that of the code that analysed it.

    Raises:
        BoundError: an inequality is violated by more than rounding.
        MeasurementError: a quantity of one's own fails.
    """
    known = quantities(run)
    found = bounds(run, powers, known=known)
    check(found, run.attrs["run"])
    together = known.merge(found, join="exact", compat="override")
    together = together.merge(run[[*_COPIED]], join="exact", compat="override")
    together["generalisation_gap"] = run["test_loss"] - run["train_loss"]
    if quantities_file:
        own = own_quantities(load_quantities(quantities_file), run, quantities_file)
        together = together.assign(own)
    together.attrs = run.attrs | {"study": study, "analysis_commit": commit()}
    return annotate(together, PRIMITIVES | QUANTITIES | ANALYSIS)

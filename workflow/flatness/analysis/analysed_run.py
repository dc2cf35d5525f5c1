"""One analysed run: what it is, its curves, and what they end with.

An analysed file and a publication both give runs of this class, and figures, tables, claims and
pages read nothing else. K checkpoints.
"""

import difflib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from flatness.analysis.learning_rates import in_mse, rate_in_words, trained_on
from flatness.errors import StorageError
from flatness.experiment.schedule import checkpoint_iterations
from flatness.run_id import study_of
from flatness.storage import read_dataset

# A final value is the mean over the last part of the iterations, one in so many. A single
# checkpoint carries the noise of its last mini-batches; the authors' code averages its last
# measurements, too.
LAST_PART = 5


class Setting(NamedTuple):
    """What runs of one network differ in, besides the seed."""

    learning_rate: float
    batch_size: int


def last_part(iteration: np.ndarray) -> np.ndarray:
    """Which checkpoints a final value is the mean over, (K,) booleans.

    Args:
        iteration: (K,), increasing.
    """
    last = iteration[-1]
    chosen = LAST_PART * iteration > (LAST_PART - 1) * last  # exact in integers
    return chosen | (iteration == last)


class AnalysedRun:
    """One run of a study, whether it counts or not.

    Attributes:
        data: all of it, as `flatness.analysis.analyse.analyse` gives it.
        id: such as "mlp_digits_lr0.1_bs20_seed0".
        study: as named in the configuration.
        settings: what it was trained with, by the keys of `flatness.settings.training_plan`.
        network: its name and options.
        dataset: as named in the configuration.
        outputs: of the network, N.
        loss: that was trained with.
        trained_on: the loss, and the optimiser where learning rates are none of plain SGD.
        learning_rate: of plain SGD on that loss.
        batch_size: samples in each mini-batch.
        seed: of initial weights and batch order.
        iterations: for how many it was to be trained.
        dtype: of network and measurement, "float32" or "float64".
        counts: whether it takes part in figures, tables and claims: its loss stayed finite.
        excluded_because: why it does not count; "" where it does.
        iteration: (K,), increasing, of the checkpoints that there are.
    """

    def __init__(self, data: xr.Dataset):
        about = data.attrs
        self.data = data
        self.settings: dict = json.loads(about["settings"])
        self.id: str = about["run"]
        self.dataset: str = about["dataset"]
        self.outputs = int(about["outputs"])
        self.dtype: str = about["dtype"]
        self.network: dict = self.settings["network"]
        self.loss: str = self.settings["loss"]
        self.trained_on = trained_on(self.settings)
        self.learning_rate: float = self.settings["learning_rate"]
        self.batch_size: int = self.settings["batch_size"]
        self.seed: int = self.settings["seed"]
        self.iterations: int = self.settings["iterations"]
        # Files of earlier versions do not name it.
        self.study: str = about.get("study") or study_of(self.id, *self.setting, self.seed)
        self.counts = not about["diverged"]
        self.excluded_because: str = about["excluded_because"]
        self.iteration: np.ndarray = data["iteration"].to_numpy()

    def __repr__(self) -> str:
        excluded = "" if self.counts else f", excluded: {self.excluded_because}"
        return f"<AnalysedRun {self.id}: {len(self.iteration)} checkpoints{excluded}>"

    def __contains__(self, name: str) -> bool:
        """Whether its file holds a variable, which files of earlier versions may lack."""
        return name in self.data.variables

    @property
    def setting(self) -> Setting:
        """Learning rate and batch size."""
        return Setting(self.learning_rate, self.batch_size)

    @property
    def learning_rate_in_mse(self) -> float | None:
        """The learning rate with which `mse` takes the same steps; None where there is none."""
        return in_mse(self.learning_rate, self.trained_on, self.outputs)

    @property
    def rate_in_words(self) -> str:
        """The learning rate beside its loss, such as "0.1 (half_squared_error; 0.5 in mse)"."""
        return rate_in_words(self.learning_rate, self.trained_on, self.outputs)

    def curve(self, name: str, sample_set: str = "train") -> np.ndarray:
        """A quantity, or another variable, at every checkpoint.

        Args:
            name: by the glossary.
            sample_set: "train", "test" or "misclassified", where it is measured; of no account for
                what is known of all images, as accuracies are.

        Returns:
            (K,); for what a file has of every inequality or layer (inequalities, K) or (K, layers).

        Raises:
            StorageError: its file holds no such variable.
        """
        if name not in self:
            known = sorted(map(str, self.data.data_vars))
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise StorageError(
                f"{self.id}: its file holds no {name!r}. Allowed: {', '.join(known)}. {hint}Choose "
                "one of these, or analyse the run anew with the version that has it."
            )
        variable = self.data.variables[name]  # without coordinates, which take time
        if "sample_set" not in variable.dims:
            return variable.to_numpy()
        position = self.data.variables["sample_set"].to_numpy().tolist().index(sample_set)
        return variable.isel(sample_set=position).to_numpy()

    def slack(self, inequality: str, sample_set: str = "train") -> np.ndarray:
        """log10(right / left) of an inequality, (K,).

        It may be infinite, where a side vanishes, and is NaN where the inequality is absent, as in
        files of versions that did not know it.
        """
        known = self.data.variables["inequality"].to_numpy().tolist()
        if inequality not in known:
            return np.full(len(self.iteration), np.nan)
        return self.curve("slack", sample_set)[known.index(inequality)]

    def absent(self, name: str) -> str | None:
        """Why a quantity that the file holds does not exist for the run; None where it does."""
        return self.data[name].attrs.get("absent")

    def final(
        self, name: str, sample_set: str = "train", *, last_checkpoint: bool = False
    ) -> float:
        """The final value of a quantity: `at_the_end` of its curve.

        Args:
            name: as for `curve`.
            sample_set: as there.
            last_checkpoint: take the value there in the place of the mean.
        """
        return self.at_the_end(self.curve(name, sample_set), last_checkpoint=last_checkpoint)

    def at_the_end(self, values: np.ndarray, *, last_checkpoint: bool = False) -> float:
        """What is meant by the end of training: the mean over the `end` of it.

        Args:
            values: (K,), any curve of this run.
            last_checkpoint: take the value there in the place of the mean.

        Returns:
            What is not finite if a value at any of these checkpoints is not.
        """
        with np.errstate(invalid="ignore"):  # infinities of both signs
            return float(values[self.end(last_checkpoint=last_checkpoint)].mean())

    def end(self, *, last_checkpoint: bool = False) -> np.ndarray:
        """Which checkpoints a final value is the mean over, (K,) booleans.

        Those after four fifths of the last iteration. The last checkpoint always counts.

        Args:
            last_checkpoint: that one only.
        """
        if last_checkpoint:
            return self.iteration == self.iteration[-1]
        return last_part(self.iteration)

    def evenly_spaced(self) -> np.ndarray:
        """Which checkpoints stand for the course of training, the paper's axis, (K,) booleans.

        The log-spaced ones of a run's beginning are many and close together, and would decide a
        trend: these are those that its schedule has without them. Iteration 0 is none of them.
        """
        _, *evenly = checkpoint_iterations(self.iterations, 0, self.settings["late_checkpoints"])
        return np.isin(self.iteration, evenly)

    def interpolation(self, accuracy: float) -> int | None:
        """The iteration of the first checkpoint that interpolates, or None.

        Args:
            accuracy: training accuracy from which a network interpolates.
        """
        reached = self.iteration[self.curve("train_accuracy") >= accuracy]
        return int(reached[0]) if len(reached) else None

    def interpolates(self, accuracy: float) -> bool:
        """Whether it counts and ever interpolates; see `interpolation`."""
        return self.counts and self.interpolation(accuracy) is not None


def read_runs(paths: Iterable[str | Path]) -> list[AnalysedRun]:
    """The runs of some analysed files, in their order.

    Raises:
        StorageError: a file is absent or damaged.
    """
    return [AnalysedRun(read_dataset(path)) for path in paths]

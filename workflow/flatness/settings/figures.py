"""The kinds of figures that a configuration may ask for.

Each kind says which runs it shows and what its drawing function is given. That function is
`KIND_figure` in the module of `flatness.figures` that has the kind's name.
"""

import difflib
import operator
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from flatness.glossary.curves import curves
from flatness.settings.conventions import Analysis
from flatness.settings.run import Run
from flatness.settings.section import TITLE_PATTERN, Section, key, without_repeats
from flatness.settings.studies import Study

SampleSet = Literal["train", "test"]
_SAMPLE_SET = "Samples on which the quantities are measured."
# Lines of a caption are joined, however a file breaks them.
Sentences = Annotated[str, AfterValidator(lambda text: " ".join(text.split()))]

# What the workflow calls its own targets and rules; a figure's name is a target beside these.
TARGETS = (
    "all",
    "analyse_run",
    "claims",
    "correlate",
    "draw_figure",
    "figures",
    "gather",
    "judge_claims",
    "measure_layer",
    "measure_run",
    "measurements",
    "part",
    "prepare_dataset",
    "publish",
    "tables",
    "thin",
    "train_run",
    "unknown_target",
    "write_report",
)


class Figure(Section):
    """Base of all kinds."""

    kind: str
    title: str | None = key(
        "What the figure is called, in it and above it, such as `Figure 1`; its name, if left out.",
        default=None,
        pattern=TITLE_PATTERN,
        max_length=100,
    )
    caption: Sentences | None = key(
        "Sentences about this figure, after those that say what is shown. A configuration that "
        "extends another one inherits them where the figure shows the same networks, images, "
        "losses and settings, however long they are trained and with whichever seeds.",
        default=None,
    )

    @property
    def shown(self) -> str:
        """What it shows, with a capital, for the beginning of a caption."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        """What it shows, in a few words."""
        raise NotImplementedError

    def shows(self, run: Run) -> bool:
        """Whether the figure needs a run."""
        raise NotImplementedError

    def options(self, analysis: Analysis) -> dict[str, Any]:
        """Keyword arguments of the drawing function, besides the title."""
        raise NotImplementedError

    def check(self, path: str, studies: Mapping[str, Study]) -> None:
        """Refuse names and values that the studies do not have.

        Raises:
            ValueError: with what is wrong, what is allowed and what to do.
        """
        raise NotImplementedError


class StudyFigure(Figure):
    """A figure of one study."""

    study: str = key("Name of an entry of `studies`.")

    def shows(self, run: Run) -> bool:
        return run.study == self.study

    def check(self, path: str, studies: Mapping[str, Study]) -> None:
        _check_study(f"{path}.study", self.study, studies)


class TrendFigure(StudyFigure):
    """Quantities against the iteration, one curve per setting."""

    kind: Literal["trends"] = key("What is drawn: quantities over training, a curve per setting.")
    compare: Literal["learning_rate", "batch_size"] = key("What differs between the curves.")
    fixed: float = key("Value of the other one of the two, the same for all curves.", gt=0)
    sample_set: SampleSet = key(_SAMPLE_SET, default="train")
    panels: tuple[str, ...] = key(
        "A panel each: quantities, and losses and accuracies, by their names in the glossary.",
        default=(
            "train_loss",
            "test_accuracy",
            "sqrt_sharpness",
            "log_volume",
            "mean_input_gradient_sq_norm",
            "local_dimension",
        ),
        min_length=1,
        max_length=30,
    )
    logarithmic: tuple[str, ...] = key(
        "Those of the panels whose vertical axis is logarithmic.",
        default=("train_loss", "local_dimension"),
    )
    x: Literal["linear", "log"] = key(
        "Axis of the iterations; a logarithmic one has no place for iteration 0.",
        default="linear",
    )

    @field_validator("panels", "logarithmic")
    @classmethod
    def _panels_differ(cls, panels):
        return without_repeats(panels)

    @property
    def fixed_key(self) -> str:
        """What does not differ between the curves."""
        return "batch_size" if self.compare == "learning_rate" else "learning_rate"

    @property
    def shown(self) -> str:
        named = ", ".join(curves()[name].long_name for name in self.panels)
        return f"{named[0].upper()}{named[1:]} over training"

    @property
    def subject(self) -> str:
        return f"trends over {self.compare.replace('_', ' ')}s, {self.study}"

    def shows(self, run: Run) -> bool:
        return super().shows(run) and getattr(run, self.fixed_key) == self.fixed

    def options(self, analysis: Analysis) -> dict[str, Any]:
        return {
            "compare": self.compare,
            "sample_set": self.sample_set,
            "panels": list(self.panels),
            "logarithmic": [name for name in self.panels if name in self.logarithmic],
            "x": self.x,
            "interpolation_accuracy": analysis.interpolation_accuracy,
        }

    def check(self, path: str, studies: Mapping[str, Study]) -> None:
        super().check(path, studies)
        _check_quantities(f"{path}.panels", self.panels)
        _check_quantities(f"{path}.logarithmic", self.logarithmic)
        values = {getattr(setting, self.fixed_key) for setting in studies[self.study].sweep}
        if self.fixed not in values:
            raise ValueError(
                f"{path}.fixed = {self.fixed:g} is no {self.fixed_key} of study "
                f"{self.study!r}. Allowed: {_listed(sorted(values))}. "
                "Choose one of these, or add it to the study's sweep"
            )


class SettingFigure(StudyFigure):
    """A figure of one pair of learning rate and batch size, all seeds."""

    learning_rate: float = key("Learning rate of the runs shown.", gt=0)
    batch_size: int = key("Batch size of the runs shown.", unit="samples", ge=1)

    def shows(self, run: Run) -> bool:
        pair = (run.learning_rate, run.batch_size)
        return super().shows(run) and pair == (self.learning_rate, self.batch_size)

    def check(self, path: str, studies: Mapping[str, Study]) -> None:
        super().check(path, studies)
        pairs = [(s.learning_rate, s.batch_size) for s in studies[self.study].sweep]
        if (self.learning_rate, self.batch_size) not in pairs:
            listed = "; ".join(f"{rate:g} and {size}" for rate, size in pairs)
            raise ValueError(
                f"{path}: learning_rate {self.learning_rate:g} with batch_size {self.batch_size} "
                f"is no setting of study {self.study!r}. Allowed: {listed}. Choose one of these, "
                "or add it to the study's sweep"
            )


class TestSampleFigure(SettingFigure):
    """Quantities on a sample of the test images and on misclassified ones."""

    kind: Literal["test_samples"] = key(
        "What is drawn: quantities over training on test images and on misclassified ones."
    )

    @property
    def shown(self) -> str:
        return "Quantities over training on a sample of the test images and on misclassified ones"

    @property
    def subject(self) -> str:
        return f"trends on test samples, {self.study}"

    def options(self, analysis: Analysis) -> dict[str, Any]:
        return {"interpolation_accuracy": analysis.interpolation_accuracy}


class ChainFigure(SettingFigure):
    """The chain A <= B <= C <= D over training."""

    kind: Literal["chain"] = key("What is drawn: the chain A <= B <= C <= D of Eq. 28.")
    sample_set: SampleSet = key(_SAMPLE_SET, default="train")

    @property
    def shown(self) -> str:
        return (
            "The chain A ≤ B ≤ C ≤ D of Eq. 28 over training, A the maximum local sensitivity (MLS)"
        )

    @property
    def subject(self) -> str:
        return f"the bounds of the MLS, {self.study}"

    def options(self, analysis: Analysis) -> dict[str, Any]:
        return {"sample_set": self.sample_set}


class SlackFigure(SettingFigure):
    """The slack of every inequality over training."""

    kind: Literal["slack"] = key("What is drawn: how tight every inequality is.")
    sample_set: SampleSet = key(_SAMPLE_SET, default="train")

    @property
    def shown(self) -> str:
        return "Slack, log10(right / left), of every step of every inequality over training"

    @property
    def subject(self) -> str:
        return f"slack of the inequalities, {self.study}"

    def options(self, analysis: Analysis) -> dict[str, Any]:
        return {"sample_set": self.sample_set}


class PairFigure(StudyFigure):
    """Every pair of some final quantities, one point per run."""

    kind: Literal["pair_grid"] = key("What is drawn: every pair of some final quantities.")
    quantities: tuple[str, ...] = key(
        "Quantities, losses and accuracies at the end of training, by their names in the glossary.",
        default=(
            "local_dimension",
            "sqrt_sharpness",
            "log_volume",
            "mean_input_gradient_sq_norm",
            "mls",
            "test_loss",
        ),
        min_length=2,
        max_length=30,
    )
    seeds: tuple[int, ...] | None = key(
        "Seeds of the runs that are points; all, if left out.", default=None, min_length=1
    )
    sample_set: SampleSet = key(_SAMPLE_SET, default="train")

    @field_validator("quantities")
    @classmethod
    def _quantities_differ(cls, quantities):
        return without_repeats(quantities)

    @property
    def shown(self) -> str:
        return "Pairs of final quantities, one point per run, and Pearson's coefficients"

    @property
    def subject(self) -> str:
        return f"pairwise correlations, {self.study}"

    # Other seeds than those of its points count, too: correlations over all runs stand beside.
    def options(self, analysis: Analysis) -> dict[str, Any]:
        return {
            "quantities": list(self.quantities),
            "seeds": None if self.seeds is None else list(self.seeds),
            "sample_set": self.sample_set,
            "interpolation_accuracy": analysis.interpolation_accuracy,
            "confidence": analysis.confidence,
            "bootstrap_draws": analysis.bootstrap_draws,
        }

    def check(self, path: str, studies: Mapping[str, Study]) -> None:
        super().check(path, studies)
        _check_quantities(f"{path}.quantities", self.quantities)
        seeds = studies[self.study].seeds
        for seed in self.seeds or ():
            if seed not in seeds:
                raise ValueError(
                    f"{path}.seeds = {seed} is no seed of study {self.study!r}. Allowed: "
                    f"{_listed(seeds)}. Choose some of these, or leave the key out"
                )


class LemmaFigure(Figure):
    """The trace of the loss Hessian against the sharpness (Lemma A.1)."""

    kind: Literal["lemma"] = key("What is drawn: the trace of the loss Hessian and the sharpness.")
    studies: tuple[str, ...] = key("Names of entries of `studies`.", min_length=1)
    sample_set: SampleSet = key(_SAMPLE_SET, default="train")

    @property
    def shown(self) -> str:
        return (
            "Distance between the trace of the loss Hessian and the sharpness, against the "
            "mean distance between output and target"
        )

    @property
    def subject(self) -> str:
        return f"Hessian trace and sharpness, {_listed(self.studies)}"

    def shows(self, run: Run) -> bool:
        return run.study in self.studies

    def options(self, analysis: Analysis) -> dict[str, Any]:
        return {"sample_set": self.sample_set}

    def check(self, path: str, studies: Mapping[str, Study]) -> None:
        for name in self.studies:
            _check_study(f"{path}.studies", name, studies)


KINDS = (TrendFigure, TestSampleFigure, ChainFigure, PairFigure, SlackFigure, LemmaFigure)
AnyFigure = Annotated[reduce(operator.or_, KINDS), Field(discriminator="kind")]


def check_figures(figures: Mapping[str, Figure], studies: Mapping[str, Study]) -> None:
    """Refuse figures that the studies have not what it takes for, or that have a rule's name.

    Raises:
        ValueError: with what is wrong, what is allowed and what to do.
    """
    for name, figure in figures.items():
        if name in TARGETS:
            raise ValueError(
                f"figures.{name}: is the name of another target. Allowed: any name but "
                f"{_listed(TARGETS)}. Rename it"
            )
        figure.check(f"figures.{name}", studies)


def _check_study(path: str, study: str, studies: Mapping[str, Study]) -> None:
    if study not in studies:
        raise ValueError(
            f"{path} = {study!r} is not a study. Allowed: {_listed(studies)}. "
            f"Name one of these, or leave {path.split('.')[1]} out"
        )


def _check_quantities(path: str, names: Iterable[str]) -> None:
    known = curves()
    for position, name in enumerate(names):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise ValueError(
                f"{path}[{position}] = {name!r} is no quantity that is one number per checkpoint. "
                f"Allowed: {_listed(known)}. {hint}Choose one of these, or name the file that has "
                "one of your own under `quantities`"
            )


def _listed(values) -> str:
    return ", ".join(str(value) for value in values)

"""The figures that a configuration may ask for.

Each kind of figure says which runs it shows and what its drawing function is given; the
functions are named in `flatness.figures`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import field_validator

from flatness.glossary.quantities import QUANTITIES
from flatness.settings.conventions import Analysis
from flatness.settings.run import Run
from flatness.settings.section import Section, key, without_repeats
from flatness.settings.studies import Study

SampleSet = Literal["train", "test"]
_SAMPLE_SET = "Samples on which the quantities are measured."

# What a pair grid may show of the end of a run: one number for each run.
_CURVES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "generalisation_gap")
FINAL = (*(name for name in QUANTITIES if name != "layer_mls"), *_CURVES)
PAIRED = (
    *("local_dimension", "sqrt_sharpness", "log_volume", "input_gradient_norm", "mls"),
    "test_loss",
)


class Figure(Section):
    """Base of all kinds."""

    kind: ClassVar[str]

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
        _known(f"{path}.study", self.study, studies)


class TrendFigure(StudyFigure):
    """Six quantities against the iteration, one curve per setting."""

    kind = "trend"
    compare: Literal["learning_rate", "batch_size"] = key("What differs between the curves.")
    fixed: float = key("Value of the other one of the two, the same for all curves.", gt=0)
    sample_set: SampleSet = key(_SAMPLE_SET, default="train")

    @property
    def fixed_key(self) -> str:
        """What does not differ between the curves."""
        return "batch_size" if self.compare == "learning_rate" else "learning_rate"

    def shows(self, run: Run) -> bool:
        return super().shows(run) and getattr(run, self.fixed_key) == self.fixed

    def options(self, analysis: Analysis) -> dict[str, Any]:
        return {
            "compare": self.compare,
            "sample_set": self.sample_set,
            "confidence": analysis.confidence,
            "interpolation_accuracy": analysis.interpolation_accuracy,
        }

    def check(self, path: str, studies: Mapping[str, Study]) -> None:
        super().check(path, studies)
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

    kind = "test_samples"

    def options(self, analysis: Analysis) -> dict[str, Any]:
        return {
            "confidence": analysis.confidence,
            "interpolation_accuracy": analysis.interpolation_accuracy,
        }


class ChainFigure(SettingFigure):
    """The chain A <= B <= C <= D over training."""

    kind = "chain"
    sample_set: SampleSet = key(_SAMPLE_SET, default="train")

    def options(self, analysis: Analysis) -> dict[str, Any]:
        return {"sample_set": self.sample_set, "confidence": analysis.confidence}


class SlackFigure(ChainFigure):
    """The slack of every inequality over training."""

    kind = "slack"


class PairFigure(StudyFigure):
    """Every pair of some final quantities, one point per run."""

    kind = "pair_grid"
    quantities: tuple[Literal[*FINAL], ...] = key(
        "Quantities at the end of training, by their names in the glossary.",
        default=PAIRED,
        min_length=2,
    )
    seeds: tuple[int, ...] | None = key(
        "Seeds of the runs shown; all, if left out.", default=None, min_length=1
    )
    sample_set: SampleSet = key(_SAMPLE_SET, default="train")

    @field_validator("quantities")
    @classmethod
    def _quantities_differ(cls, quantities):
        return without_repeats(quantities)

    def shows(self, run: Run) -> bool:
        return super().shows(run) and (self.seeds is None or run.seed in self.seeds)

    def options(self, analysis: Analysis) -> dict[str, Any]:
        return {"quantities": list(self.quantities), "sample_set": self.sample_set}

    def check(self, path: str, studies: Mapping[str, Study]) -> None:
        super().check(path, studies)
        seeds = studies[self.study].seeds
        for seed in self.seeds or ():
            if seed not in seeds:
                raise ValueError(
                    f"{path}.seeds = {seed} is no seed of study {self.study!r}. Allowed: "
                    f"{_listed(seeds)}. Choose some of these, or leave the key out"
                )


class LemmaFigure(Figure):
    """The trace of the loss Hessian against the sharpness (Lemma A.1)."""

    kind = "lemma"
    studies: tuple[str, ...] = key("Names of entries of `studies`.", min_length=1)
    sample_set: SampleSet = key(_SAMPLE_SET, default="train")

    def shows(self, run: Run) -> bool:
        return run.study in self.studies

    def options(self, analysis: Analysis) -> dict[str, Any]:
        return {"sample_set": self.sample_set}

    def check(self, path: str, studies: Mapping[str, Study]) -> None:
        for name in self.studies:
            _known(f"{path}.studies", name, studies)


class Figures(Section):
    """The figures to draw, named as in the paper; leave one out to skip it.

    Those with S are this project's own.
    """

    fig1: TrendFigure | None = key("Figure 1: trends over learning rates, VGG10.", default=None)
    fig2: TrendFigure | None = key("Figure 2: trends over batch sizes, VGG10.", default=None)
    fig3: TestSampleFigure | None = key("Figure 3: trends on test samples, VGG10.", default=None)
    figD4: ChainFigure | None = key("Figure D.4: the bounds of the MLS, MLP.", default=None)
    figD5: PairFigure | None = key("Figure D.5: pairwise correlations, VGG10.", default=None)
    figD6: PairFigure | None = key("Figure D.6: pairwise correlations, MLP.", default=None)
    figE7: TrendFigure | None = key("Figure E.7: trends over batch sizes, MLP.", default=None)
    figE8: TrendFigure | None = key("Figure E.8: trends over learning rates, MLP.", default=None)
    figS1: SlackFigure | None = key("Figure S.1: slack of the inequalities, MLP.", default=None)
    figS2: SlackFigure | None = key("Figure S.2: slack of the inequalities, VGG10.", default=None)
    figS3: LemmaFigure | None = key("Figure S.3: Hessian trace and sharpness.", default=None)

    def drawn(self) -> dict[str, Figure]:
        """The figures that are asked for, by name."""
        return {name: figure for name, figure in self if figure is not None}

    @classmethod
    def title(cls, name: str) -> str:
        """A figure's number as in the paper, such as "Figure E.7"."""
        return cls.model_fields[name].description.split(":")[0]

    @classmethod
    def subject(cls, name: str) -> str:
        """What a figure shows, in a few words."""
        return cls.model_fields[name].description.split(": ")[1].rstrip(".")


def _known(path: str, study: str, studies: Mapping[str, Study]) -> None:
    if study not in studies:
        raise ValueError(
            f"{path} = {study!r} is not a study. Allowed: {_listed(studies)}. "
            f"Name one of these, or leave {path.split('.')[1]} out"
        )


def _listed(values) -> str:
    return ", ".join(str(value) for value in values)

"""The figures that a configuration may ask for.

Each kind of figure says which runs it shows and what its drawing function is given; the
functions are named in `flatness.figures`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from flatness.settings.conventions import Analysis
from flatness.settings.run import Run
from flatness.settings.section import Section, key, without_repeats
from flatness.settings.studies import Study

SampleSet = Literal["train", "test"]
_SAMPLE_SET = "Samples on which the quantities are measured."

# What a pair grid may show of the end of a run: what correlation tables give.
FINAL = (
    *("sharpness", "sqrt_sharpness", "adaptive_sharpness", "sqrt_adaptive_sharpness"),
    *("relative_flatness", "log_volume", "input_gradient_norm", "mls", "local_dimension"),
    *("mls_bound_b", "mls_bound_c", "mls_bound_d", "nmls", "nvr"),
    *("test_loss", "test_accuracy", "generalisation_gap"),
)
PAIRED = (
    *("local_dimension", "sqrt_sharpness", "log_volume", "input_gradient_norm", "mls"),
    "test_loss",
)


class Figure(Section):
    """Base of all kinds."""

    kind: ClassVar[str]
    shown: ClassVar[str]  # with a capital, for the beginning of a caption

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
    shown = "Train loss, test accuracy, √S, log volume, G and local dimensionality over training"
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
    shown = "Quantities over training on a sample of the test images and on misclassified ones"

    def options(self, analysis: Analysis) -> dict[str, Any]:
        return {"interpolation_accuracy": analysis.interpolation_accuracy}


class ChainFigure(SettingFigure):
    """The chain A <= B <= C <= D over training."""

    kind = "chain"
    shown = "The chain A ≤ B ≤ C ≤ D of Eq. 28 over training, A the maximum local sensitivity (MLS)"
    sample_set: SampleSet = key(_SAMPLE_SET, default="train")

    def options(self, analysis: Analysis) -> dict[str, Any]:
        return {"sample_set": self.sample_set}


class SlackFigure(ChainFigure):
    """The slack of every inequality over training."""

    kind = "slack"
    shown = "Slack, log10(right / left), of every step of every inequality over training"


class PairFigure(StudyFigure):
    """Every pair of some final quantities, one point per run."""

    kind = "pair_grid"
    shown = "Pairs of final quantities, one point per run, and Pearson's coefficients"
    quantities: tuple[Literal[*FINAL], ...] = key(
        "Quantities at the end of training, by their names in the glossary.",
        default=PAIRED,
        min_length=2,
    )
    seeds: tuple[int, ...] | None = key(
        "Seeds of the runs that are points; all, if left out.", default=None, min_length=1
    )
    sample_set: SampleSet = key(_SAMPLE_SET, default="train")

    @field_validator("quantities")
    @classmethod
    def _quantities_differ(cls, quantities):
        return without_repeats(quantities)

    # Other seeds than those of its points count, too: correlations over all runs stand beside.
    def options(self, analysis: Analysis) -> dict[str, Any]:
        return {
            "quantities": list(self.quantities),
            "seeds": None if self.seeds is None else list(self.seeds),
            "sample_set": self.sample_set,
            "interpolation_accuracy": analysis.interpolation_accuracy,
            "confidence": analysis.confidence,
            "resamples": analysis.bootstrap_draws,
        }

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
    shown = (
        "Distance between the trace of the loss Hessian and the sharpness, against the "
        "mean distance between output and target"
    )
    studies: tuple[str, ...] = key("Names of entries of `studies`.", min_length=1)
    sample_set: SampleSet = key(_SAMPLE_SET, default="train")

    def shows(self, run: Run) -> bool:
        return run.study in self.studies

    def options(self, analysis: Analysis) -> dict[str, Any]:
        return {"sample_set": self.sample_set}

    def check(self, path: str, studies: Mapping[str, Study]) -> None:
        for name in self.studies:
            _known(f"{path}.studies", name, studies)


def _figure(number: str, subject: str, paper: str) -> Any:
    """A figure's key.

    Args:
        number: as in the paper, such as "Figure E.7".
        subject: what it shows, in a few words.
        paper: what the paper says of its own figure; of ours, how to read it.
    """
    return Field(
        description=f"{number}: {subject}.",
        json_schema_extra={"number": number, "subject": subject, "paper": paper},
        default=None,
    )


class Figures(Section):
    """The figures to draw, named as in the paper; leave one out to skip it.

    Those with S are this project's own.
    """

    fig1: TrendFigure | None = _figure(
        "Figure 1",
        "trends over learning rates, VGG10",
        "The paper's figure 1 (VGG10 on two classes of CIFAR-10, learning rates 0.05, 0.1 and 0.2 "
        "of mse, batch size 20): once the loss is small √S and log volume fall together, and "
        "higher learning rates lead to lower √S and a stronger compression.",
    )
    fig2: TrendFigure | None = _figure(
        "Figure 2",
        "trends over batch sizes, VGG10",
        "The paper's figure 2 (VGG10 on two classes of CIFAR-10, learning rate 0.1 of mse, batch "
        "sizes 8, 20 and 32): once the loss is small √S and log volume fall together, and smaller "
        "batches lead to lower √S and a stronger compression.",
    )
    fig3: TestSampleFigure | None = _figure(
        "Figure 3",
        "trends on test samples, VGG10",
        "The paper's figure 3 (VGG10 on two classes of CIFAR-10, learning rate 0.1 of mse, batch "
        "size 20): √S and G rise over training; √S is higher on misclassified samples, whose "
        "volume is compressed less.",
    )
    figD4: ChainFigure | None = _figure(
        "Figure D.4",
        "the bounds of the MLS, MLP",
        "The paper's figure D.4 (a fully connected network on FashionMNIST): the gap between C and "
        "D is large compared with those between A and B and between B and C.",
    )
    figD5: PairFigure | None = _figure(
        "Figure D.5",
        "pairwise correlations, VGG10",
        "The paper's figure D.5 (20 VGG10 networks): G and MLS are almost the same quantity, log "
        "volume correlates well with √S and MLS, and MLS correlates with the test loss better than "
        "log volume and local dimensionality do.",
    )
    figD6: PairFigure | None = _figure(
        "Figure D.6",
        "pairwise correlations, MLP",
        "The paper's figure D.6 (20 MLPs on FashionMNIST): as its figure D.5; besides, bound C "
        "correlates positively with MLS, bound D negatively.",
    )
    figE7: TrendFigure | None = _figure(
        "Figure E.7",
        "trends over batch sizes, MLP",
        "The paper's figure E.7 (MLP on FashionMNIST, learning rate 0.1 of mse, batch sizes 8, 20 "
        "and 32): smaller batches lead to lower √S and a stronger compression, and G closely "
        "follows √S.",
    )
    figE8: TrendFigure | None = _figure(
        "Figure E.8",
        "trends over learning rates, MLP",
        "The paper's figure E.8 (MLP on FashionMNIST, learning rates 0.05, 0.1 and 0.2 of mse, "
        "batch size 20): higher learning rates lead to lower √S and a stronger compression, and G "
        "closely follows √S.",
    )
    figS1: SlackFigure | None = _figure(
        "Figure S.1",
        "slack of the inequalities, MLP",
        "An inequality holds where its slack is not below zero. The paper has no such figure.",
    )
    figS2: SlackFigure | None = _figure(
        "Figure S.2",
        "slack of the inequalities, VGG10",
        "An inequality holds where its slack is not below zero; those that rest on Eq. 4 do not "
        "apply where the first layer is a convolution. The paper has no such figure.",
    )
    figS3: LemmaFigure | None = _figure(
        "Figure S.3",
        "Hessian trace and sharpness",
        "Lemma A.1: the two approach each other as outputs approach targets. Networks that are "
        "piecewise linear in each layer's parameters have no distance between them. The paper has "
        "no such figure.",
    )

    def drawn(self) -> dict[str, Figure]:
        """The figures that are asked for, by name."""
        return {name: figure for name, figure in self if figure is not None}

    @classmethod
    def title(cls, name: str) -> str:
        """A figure's number as in the paper, such as "Figure E.7"."""
        return cls._text(name, "number")

    @classmethod
    def subject(cls, name: str) -> str:
        """What a figure shows, in a few words."""
        return cls._text(name, "subject")

    @classmethod
    def paper(cls, name: str) -> str:
        """What the paper says of its own figure; of ours, how to read it."""
        return cls._text(name, "paper")

    @classmethod
    def _text(cls, name: str, which: str) -> str:
        return cls.model_fields[name].json_schema_extra[which]


def _known(path: str, study: str, studies: Mapping[str, Study]) -> None:
    if study not in studies:
        raise ValueError(
            f"{path} = {study!r} is not a study. Allowed: {_listed(studies)}. "
            f"Name one of these, or leave {path.split('.')[1]} out"
        )


def _listed(values) -> str:
    return ", ".join(str(value) for value in values)

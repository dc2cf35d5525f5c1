"""The configuration as one typed, frozen model.

Every key has a type, bounds and a sentence here, and nowhere else: the checks,
the error messages and the reference table in `config/README.md` all come from
this file.
"""

import operator
from functools import reduce
from typing import Annotated, Literal

from pydantic import Field, create_model, field_validator, model_validator

from flatness.experiment import networks
from flatness.experiment.loss_names import LossName
from flatness.settings.figures import Figures
from flatness.settings.section import MAX_SEED, Name, Section, key

# --- datasets ---------------------------------------------------------------------


class Dataset(Section):
    """Keys that every source of images shares."""

    classes: Literal["all"] | tuple[Annotated[int, Field(ge=0)], ...] = key(
        'Labels of the classes to keep, or "all".', default="all"
    )
    outputs: int = key(
        "Number of outputs N of the network; targets are one-hot over them. With at least "
        "(largest label + 1) outputs a class keeps its label as its output, with exactly as many "
        "outputs as classes it takes its position among the selected labels, in increasing order.",
        unit="outputs",
        ge=1,
    )
    normalisation: Literal["none", "standardise"] = key(
        "`none` divides pixel values by their maximum; `standardise` then subtracts the mean and "
        "divides by the standard deviation of each channel over the training images.",
        default="none",
    )
    samples: int = key(
        "Size of the fixed sample sets `train` and `test`, and the largest size of "
        "`misclassified`, on which quantities are measured.",
        unit="samples",
        default=100,
        ge=1,
    )
    sample_seed: int = key(
        "Seed that draws the sample sets; the same for every run and checkpoint.",
        default=0,
        ge=0,
        le=MAX_SEED,
    )

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes):
        if classes != "all":
            if not classes:
                raise ValueError(
                    'needs at least one label. Name the labels to keep, or write "all"'
                )
            repeated = sorted({label for label in classes if classes.count(label) > 1})
            if repeated:
                raise ValueError(f"has label {repeated[0]} twice. Name each label once")
        return classes


class TorchvisionDataset(Dataset):
    """A dataset that torchvision knows, found below the data folder or downloaded into it."""

    source: Literal["torchvision"] = key("Where the images come from.")
    dataset: Literal["CIFAR10", "FashionMNIST"] = key("Which of torchvision's datasets.")


class ImageFolderDataset(Dataset):
    """Image files in class folders: PATH/train/CLASS/*.png and PATH/test/CLASS/*.png."""

    source: Literal["image_folder"] = key("Where the images come from.")
    path: str = key(
        "Folder that holds `train` and `test`; labels number the class folders in "
        "alphabetical order, from 0.",
        min_length=1,
    )


class DigitsDataset(Dataset):
    """The 1,797 handwritten digits of 8x8 pixels that ship inside scikit-learn."""

    source: Literal["digits"] = key("Where the images come from.")


AnyDataset = Annotated[
    TorchvisionDataset | ImageFolderDataset | DigitsDataset, Field(discriminator="source")
]


# --- studies ----------------------------------------------------------------------


def _network_section(name: str) -> type[Section]:
    """The options of one registered network, read off its function's signature."""
    fields = {
        option: (parameter.annotation, parameter.default)
        for option, parameter in networks.options(name).items()
    }
    return create_model(
        f"{name}_network",
        __base__=Section,
        __doc__=(networks.constructor(name).__doc__ or name).strip().splitlines()[0],
        name=(Literal[name], key("Which registered network.")),
        **fields,
    )


AnyNetwork = Annotated[
    reduce(operator.or_, [_network_section(name) for name in networks.names()]),
    Field(discriminator="name"),
]


class Setting(Section):
    """One pair of learning rate and batch size."""

    learning_rate: float = key("Constant step size of plain SGD.", gt=0)
    batch_size: int = key("Samples in each mini-batch.", unit="samples", ge=1)


class Checkpoints(Section):
    """When a run is checkpointed: iteration 0, log-spaced early, evenly spaced late."""

    early: int = key("Log-spaced checkpoints, from iteration 1 on.", unit="checkpoints", ge=1)
    late: int = key(
        "Evenly spaced checkpoints, the last at the last iteration.", unit="checkpoints", ge=1
    )


class Study(Section):
    """One network on one dataset, over settings and seeds."""

    network: AnyNetwork = key("The network and its options.")
    dataset: str = key("Name of an entry of `datasets`.")
    loss: LossName = key(
        "Training loss: `mse` is the mean over batch and outputs, `half_squared_error` half the "
        "squared norm averaged over the batch only, `cross_entropy` the softmax cross entropy."
    )
    sweep: tuple[Setting, ...] = key("The pairs of learning rate and batch size.", min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0, le=MAX_SEED)], ...] = key(
        "One run per seed and pair; a seed fixes initial weights and batch order.", min_length=1
    )
    middle_layers: tuple[str, ...] = key(
        "Modules, by their names in the network, whose outputs are measured as well, each into "
        "files of its own.",
        default=(),
    )
    iterations: int = key("Length of every run.", unit="iterations", ge=1)
    checkpoints: Checkpoints = key("Checkpoint schedule.")

    @field_validator("sweep")
    @classmethod
    def _settings_differ(cls, sweep):
        for setting in sweep:
            if sweep.count(setting) > 1:
                raise ValueError(
                    f"has learning_rate {setting.learning_rate!r} with batch_size "
                    f"{setting.batch_size} twice. Remove one of the two"
                )
        return sweep

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds):
        for seed in seeds:
            if seeds.count(seed) > 1:
                raise ValueError(f"has seed {seed} twice. Remove one of the two")
        return seeds


# --- stages -----------------------------------------------------------------------


class Folders(Section):
    """Where files are read and written, relative to the folder Snakemake runs in."""

    results: str = key(
        "Everything that is computed goes below this folder.", default="results", min_length=1
    )
    data: str = key(
        "Data root in torchvision's layout; may be read-only if it holds the datasets.",
        default="data",
        min_length=1,
    )


class Training(Section):
    """How every run is trained."""

    threads: int = key(
        "CPU threads of one run. Part of a run's identity: other thread counts round differently.",
        unit="threads",
        default=1,
        ge=1,
    )


class Measuring(Section):
    """How checkpoints are measured."""

    chunk_size: int = key(
        "Samples differentiated together. Bounds memory; results agree to rounding for any value.",
        unit="samples",
        default=100,
        ge=1,
    )
    minibatch_window: int = key(
        "Iterations over which the mini-batch loss is averaged in the stored training curve.",
        unit="iterations",
        default=100,
        ge=1,
    )
    hessian_trace: bool = key(
        "Whether the trace of the loss Hessian is measured beside the sharpness.", default=True
    )
    hessian_probes: int = key(
        "Random probes of each sample where the exact trace takes too long.",
        unit="probes",
        default=16,
        ge=2,
    )
    hessian_exact_products: int = key(
        "The exact trace is computed where it takes at most this many products of a Hessian and a "
        "vector: one per unit of a linear layer, one per parameter of other layers, none where a "
        "network is piecewise linear in a layer's parameters.",
        unit="products",
        default=300,
        ge=0,
    )


class Analysis(Section):
    """Conventions of the analysis and the figures."""

    bound_powers: tuple[Annotated[float, Field(ge=1)], ...] = key(
        "The powers k of Eq. 6 and 7 that are checked.", default=(1, 2), min_length=1
    )
    sample_set: Literal["train", "test"] = key(
        "Samples on which the quantities in the correlation tables are measured.",
        default="train",
    )
    bootstrap_draws: int = key(
        "Draws of runs from which the intervals in tables and claims are made.",
        unit="draws",
        default=2000,
        ge=100,
    )

    interpolation_accuracy: float = key(
        "Training accuracy from which a network counts as interpolating.",
        default=0.999,
        gt=0,
        le=1,
    )
    confidence: float = key(
        "Level of the bands around means over seeds, and of the intervals in tables and claims.",
        default=0.95,
        gt=0,
        lt=1,
    )


class Claims(Section):
    """The studies on which the paper's claims are tested; leave one out to skip its rows."""

    vgg10: str | None = key("Name of the study that stands for the paper's VGG10.", default=None)
    mlp: str | None = key("Name of the study that stands for the paper's MLP.", default=None)


class Settings(Section):
    """The whole configuration."""

    name: Name = key("Results go to RESULTS/NAME.")
    folders: Folders = key("Folders.", default=Folders())
    download: bool = key(
        "Whether datasets that are absent from the data folder may be downloaded into it.",
        default=True,
    )
    device: Literal["auto", "cpu", "cuda"] = key(
        "Where networks are trained and measured; `auto` takes a GPU where there is one. "
        "Part of a run's identity.",
        default="auto",
    )
    datasets: dict[Name, AnyDataset] = key("Datasets by name.", min_length=1)
    studies: dict[Name, Study] = key("Studies by name; run ids begin with it.", min_length=1)
    training: Training = key("Training.", default=Training())
    measuring: Measuring = key("Measuring.", default=Measuring())
    analysis: Analysis = key("Analysis.", default=Analysis())
    figures: Figures = key("Figures.", default=Figures())
    claims: Claims = key("Claims.", default=Claims())

    @model_validator(mode="after")
    def _names_resolve(self):
        for name, study in self.studies.items():
            if study.dataset not in self.datasets:
                raise ValueError(
                    f"studies.{name}.dataset = {study.dataset!r} is not a dataset. "
                    f"Allowed: {_listed(self.datasets)}. Name one of these, or add it to `datasets`"
                )
        for name, figure in self.figures.drawn().items():
            figure.check(f"figures.{name}", self.studies)
        for network, study in self.claims:
            if study is not None and study not in self.studies:
                raise ValueError(
                    f"claims.{network} = {study!r} is not a study. Allowed: "
                    f"{_listed(self.studies)}. Name one of these, or leave {network} out"
                )
        return self


def _listed(values) -> str:
    return ", ".join(str(value) for value in values)

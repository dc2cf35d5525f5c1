"""Folders, and how each stage works."""

from typing import Annotated, Literal

from pydantic import Field, create_model

from flatness.settings.roles import ROLES
from flatness.settings.section import Folder, Section, key


class Folders(Section):
    """Where files are read and written, relative to the folder Snakemake runs in."""

    results: Folder = key("Everything that is computed goes below this folder.", default="results")
    data: Folder = key(
        "Data root in torchvision's layout; may be read-only if it holds the datasets.",
        default="data",
    )


class Training(Section):
    """How every run is trained."""

    threads: int = key(
        "CPU threads of one run. Part of a run's identity: other thread counts round differently.",
        unit="threads",
        default=1,
        ge=1,
    )
    iterations_per_graph: int = key(
        "On a GPU, iterations that are launched together as one CUDA graph; 0 launches each "
        "operation by itself, which any network allows. Part of a run's identity unless `device` "
        "is `cpu`; CPUs ignore it.",
        unit="iterations",
        default=0,
        ge=0,
        le=1000,
    )
    keep_checkpoints: Literal["all", "last", "none"] = key(
        "Which checkpoints of a run stay on the disk once it is measured. Training curves always "
        "stay. Measuring such a run anew needs training it anew, which gives the same weights.",
        default="all",
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
        "Level of the intervals in pair grids, tables and claims.",
        default=0.95,
        gt=0,
        lt=1,
    )


class _Claims(Section):
    """The studies on which the paper's claims are tested; leave one out to skip its rows."""

    def roles(self) -> dict[str, str]:
        """By role, the study that plays it; without any, no claim is tested."""
        return {ROLES[name]: study for name, study in self if study is not None}


Claims = create_model(
    "Claims",
    __base__=_Claims,
    __doc__=_Claims.__doc__,
    **{
        name: (
            str | None,
            key(f"Name of the study that stands for the paper's {role}.", default=None),
        )
        for name, role in ROLES.items()
    },
)

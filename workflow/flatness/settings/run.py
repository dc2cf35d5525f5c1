"""One row of the table of runs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One training run.

    `id` is stable: it depends only on the study's name and the values that set
    the run apart within it, written in their shortest form (0.10 is 0.1).
    """

    id: str
    study: str
    dataset: str
    learning_rate: float
    batch_size: int
    seed: int

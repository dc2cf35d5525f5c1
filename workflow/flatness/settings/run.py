"""One row of the table of runs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One training run.

    `id` is what `flatness.run_id.run_id` makes of the others.
    """

    id: str
    study: str
    dataset: str
    learning_rate: float
    batch_size: int
    seed: int

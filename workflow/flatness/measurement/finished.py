"""The job that measures a run which another job has trained."""

from pathlib import Path
from typing import Any

from flatness.jobs import states
from flatness.measurement.run import measure_run


def measure_finished(
    run: str | Path, dataset: str | Path, output: str | Path, **options: Any
) -> None:
    """Measure a run as `flatness.measurement.run.measure_run` does, whose state nobody needs now.

    The engine has seen the end of the training job, or it would not start this one.

    Args:
        run: its file, RESULTS/runs/RUN/checkpoints.safetensors.
        dataset: see there.
        output: see there.
        options: see there.
    """
    states.clear(run)
    measure_run(run, dataset, output, **options)

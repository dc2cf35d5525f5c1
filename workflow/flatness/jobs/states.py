"""What a training job leaves behind: the checkpoints that it would go on from, RESULTS/state/RUN.

They stay when the job has written its run: of a job that is killed in its last moment the workflow
engine deletes the finished file. Once the engine has seen the end of the job nobody needs them.
"""

import shutil
from pathlib import Path


def clear(run: str | Path) -> None:
    """Delete the state of a run whose job has ended.

    Args:
        run: its file, RESULTS/runs/RUN/checkpoints.safetensors.
    """
    folder = Path(run).parent
    shutil.rmtree(folder.parents[1] / "state" / folder.name, ignore_errors=True)


def clear_finished(results: str | Path) -> None:
    """Delete the states of all runs that are finished, after a call in which no job failed.

    Args:
        results: the folder of a configuration.
    """
    for state in Path(results, "state").glob("*"):
        run = Path(results, "runs", state.name, "checkpoints.safetensors")
        if run.exists():
            clear(run)

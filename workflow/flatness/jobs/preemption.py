"""A SLURM job that is preempted goes back into the queue by itself.

Where a site cancels what it preempts, SLURM does not start the job again; Snakemake would wait for
it without end, since its plugin leaves preempted jobs to SLURM. Where the site requeues, nothing
is left to do.
"""

import os
import re
import subprocess

_SECONDS = 10  # less than SLURM gives a job between SIGTERM and SIGKILL


def requeue_if_preempted() -> bool:
    """Ask SLURM to start this job again if that is why it is being ended.

    Returns:
        Whether the job is back in the queue because of this.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return False
    # Unset where somebody cancelled the job, its time is over, or SLURM has requeued it already.
    preempted = re.search(r"\bPreemptTime=\d", _scontrol("show", "job", job) or "")
    return bool(preempted) and _scontrol("requeue", job) is not None


def _scontrol(*arguments: str) -> str | None:
    """What it says; None if it cannot be asked, or refuses."""
    try:
        done = subprocess.run(
            ["scontrol", *arguments], capture_output=True, text=True, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None

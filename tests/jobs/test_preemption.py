"""When a job puts itself back into SLURM's queue; a stand-in for `scontrol` notes what it is asked.

tests/workflow/test_slurm.py has jobs that are preempted on a real cluster.
"""

import signal

import pytest

from flatness.jobs.log import job_log
from flatness.jobs.preemption import requeue_if_preempted

_COMPLETING = "JobState=COMPLETING PreemptEligibleTime=2026-01-01T10:00:00"
PREEMPTED = f"{_COMPLETING} PreemptTime=2026-01-01T10:00:07"
CANCELLED = f"{_COMPLETING} PreemptTime=None"
REQUEUED_BY_SLURM = "JobState=COMPLETING Requeue=1 Restarts=1 StartTime=Unknown"


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """Makes a `scontrol` that says something about job 7, and tells what it was asked."""
    asked = tmp_path / "asked.txt"

    def say(text: str, refuse: str = "none", first: str = "") -> None:
        program = tmp_path / "bin/scontrol"
        program.parent.mkdir()
        program.write_text(
            f'#!/bin/sh\n{first}\necho "$*" >> {asked}\n[ "$1" != {refuse} ] && echo "{text}"\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        monkeypatch.setenv("SLURM_JOB_ID", "7")

    say.asked = lambda: asked.read_text().splitlines() if asked.exists() else []
    return say


def test_a_preempted_job_is_requeued(scontrol):
    scontrol(PREEMPTED)
    assert requeue_if_preempted()
    assert scontrol.asked() == ["show job 7", "requeue 7"]


@pytest.mark.parametrize("state", [CANCELLED, REQUEUED_BY_SLURM])
def test_any_other_end_is_left_alone(scontrol, state):
    scontrol(state)
    assert not requeue_if_preempted()
    assert scontrol.asked() == ["show job 7"]


def test_a_site_that_refuses_is_believed(scontrol):
    scontrol(PREEMPTED, refuse="requeue")
    assert not requeue_if_preempted()
    assert scontrol.asked() == ["show job 7", "requeue 7"]


def test_no_job_of_slurm_asks_for_nothing(scontrol, monkeypatch):
    scontrol(PREEMPTED)
    monkeypatch.delenv("SLURM_JOB_ID")
    assert not requeue_if_preempted()
    assert scontrol.asked() == []


def test_no_slurm_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not requeue_if_preempted()


def test_a_preempted_job_says_so(scontrol, tmp_path):
    scontrol(PREEMPTED)
    log = tmp_path / "job.log"
    with pytest.raises(SystemExit, match=r"^The job was preempted\."), job_log(log):
        signal.raise_signal(signal.SIGTERM)
    assert log.read_text().endswith("finished is kept.\n")


def test_a_second_sigterm_does_not_cut_this_short(scontrol, tmp_path):
    """SLURM sends it to the step and to the batch script, at any moment."""
    scontrol(PREEMPTED, first="kill -TERM $PPID")
    with (
        pytest.raises(SystemExit, match=r"^The job was preempted\."),
        job_log(tmp_path / "job.log"),
    ):
        signal.raise_signal(signal.SIGTERM)
    assert scontrol.asked() == ["show job 7", "requeue 7"]

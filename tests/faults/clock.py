"""A clock that jumps."""

import os
import random
import time
from collections.abc import Iterator
from functools import partial

from tests.faults.fault import Fault
from tests.faults.study import LostError, Study

_DAY = 86400
_RULES = ("train_run", "measure_run", "analyse_run")
# Python reads this module when it starts: what time it is, in every process of the study.
_CLOCK = '''"""The time with an offset, in seconds, that may change at any moment."""

import time
from pathlib import Path

_true_time, _offset = time.time, Path(__file__).with_name("offset")
time.time = lambda: _true_time() + float(_offset.read_text() or 0)
'''


def _jump(sign: int, study: Study, draw: random.Random) -> Iterator[str]:
    """Set the clock of Snakemake and its job while the job runs."""
    clock = study.folder / "clock"
    clock.mkdir(exist_ok=True)
    (clock / "offset").write_text("0")
    (clock / "sitecustomize.py").write_text(_CLOCK)
    path = study.workflow.environment["PYTHONPATH"]
    study.variables["PYTHONPATH"] = f"{clock}{os.pathsep}{path}"
    rule = draw.choice(_RULES)
    process = study.start_again(rule)
    study.job_under_way(rule, process, draw)
    days = draw.choice([1, 30, 3650])
    (clock / "offset").write_text(str(sign * days * _DAY))
    status = process.wait()
    study.variables = dict(study.kind.variables)
    if status and "clock skew" not in study.said(process):
        raise LostError(f"exit status {status}:\n{study.said(process)}")
    yield f"{rule}, {days} days"
    study.recover(study.product("analyse_run"))


def _times(sign: int, study: Study, draw: random.Random) -> Iterator[str]:
    """Files whose times lie days away from now, as a clock that was wrong leaves them."""
    study.recover(study.product("analyse_run"))
    chosen = draw.sample(_RULES, draw.randint(1, len(_RULES)))
    for rule in chosen:
        moment = time.time() + sign * draw.uniform(0, 400) * _DAY
        os.utime(study.folder / study.product(rule), (moment, moment))
    yield f"results of {', '.join(chosen)}"
    study.recover(study.product("analyse_run"))


FAULTS = [
    Fault("clock", f"clock set {words} while a job runs", partial(_jump, sign), 3)
    for words, sign in (("back", -1), ("ahead", 1))
] + [
    Fault("clock", f"files from the {words}", partial(_times, sign), 2)
    for words, sign in (("past", -1), ("future", 1))
]

"""A clock that jumps."""

import glob
import os
import random
import time
from collections.abc import Iterator
from functools import partial

from fault import Fault
from study import LostError, Study

_LIBRARY = "/usr/lib/*/faketime/libfaketimeMT.so.1"
_DAY = 86400
_RULES = ("train_run", "measure_run", "analyse_run")


def _missing() -> str:
    found = glob.glob(_LIBRARY)
    return "" if found else "needs libfaketime (the package faketime of Debian and Ubuntu)"


def _jump(sign: str, study: Study, draw: random.Random) -> Iterator[str]:
    """Set the clock of Snakemake and its job while the job runs."""
    offset = study.folder / "clock"
    offset.write_text("+0s\n")
    study.variables |= {
        "LD_PRELOAD": glob.glob(_LIBRARY)[0],
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    rule = draw.choice(_RULES)
    process = study.start_again(rule)
    study.job_under_way(rule, process, draw)
    days = draw.choice([1, 30, 3650])
    offset.write_text(f"{sign}{days}d\n")
    status = process.wait()
    study.variables = dict(study.kind.variables)
    if status and "clock skew" not in study.said(process):
        raise LostError(f"exit status {status}:\n{study.said(process)}")
    yield f"{rule}, {sign}{days} days"
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
    Fault(
        "jumping clock",
        f"clock set {words} while a job runs",
        partial(_jump, sign),
        2,
        missing=_missing,
    )
    for words, sign in (("back", "-"), ("ahead", "+"))
] + [
    Fault("jumping clock", f"files from the {words}", partial(_times, sign), 2)
    for words, sign in (("past", -1), ("future", 1))
]

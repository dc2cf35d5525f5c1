"""A run that diverges, disturbed besides."""

import os
import random
import signal
from collections.abc import Iterator

import xarray as xr

from tests.faults.fault import Fault
from tests.faults.processes import send
from tests.faults.study import Kind, LostError, Study, one_run


def _diverging(config: dict) -> None:
    one_run(config)
    config["studies"]["mlp"]["sweep"].append({"learning_rate": 1e6, "batch_size": 20})


DIVERGING = Kind("a run diverges", _diverging, run="mlp_lr1000000_bs20_seed0")


def _disturbed(study: Study, draw: random.Random) -> Iterator[str]:
    """Kill everything while the run is trained or measured, then see it excluded and named."""
    yield from send(signal.SIGKILL, os.killpg, ("train_run", "measure_run"), study, draw)
    study.unlock()
    study.recover(study.product("measure_run"), study.product("train_run"))
    run = xr.load_dataset(study.folder / study.product("measure_run"))
    said = run.attrs["excluded_because"]
    if run.attrs["diverged"] != 1 or not said.startswith("the loss is not finite at iteration"):
        raise LostError(f"excluded because {said!r}")


FAULTS = [Fault("divergence", "a run diverges, killed besides", _disturbed, 4, DIVERGING)]

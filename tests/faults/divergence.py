"""A run that diverges, disturbed besides."""

import random
import signal

import xarray as xr

from fault import Fault
from processes import everything, send
from study import Kind, LostError, Study, one_run


def _diverging(config: dict) -> None:
    one_run(config)
    config["studies"]["mlp"]["sweep"].append({"learning_rate": 1e6, "batch_size": 20})


DIVERGING = Kind("a run diverges", _diverging, run="mlp_lr1000000_bs20_seed0")


def _disturbed(study: Study, draw: random.Random) -> str:
    """Kill everything while the run is trained or measured, then see it excluded and named."""
    hit = send(signal.SIGKILL, everything, ("train_run", "measure_run"), study, draw)
    study.recover(study.product("measure_run"), study.product("train_run"))
    run = xr.load_dataset(study.folder / study.product("measure_run"))
    said = run.attrs["excluded_because"]
    if run.attrs["diverged"] != 1 or not said.startswith("the loss is not finite at iteration"):
        raise LostError(f"excluded because {said!r}")
    return f"{hit}; {said}"


FAULTS = [Fault("diverging run", "a run diverges, killed besides", _disturbed, 5, DIVERGING)]

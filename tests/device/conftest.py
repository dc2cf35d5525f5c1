"""The device of these tests: a GPU where there is one, else the stand-in."""

import warnings

import pytest
import torch

from flatness.command import subject as command
from flatness.experiment import training
from flatness.experiment.device import configure
from flatness.measurement import run
from tests.device import stand_in


def pytest_collection_modifyitems(items):
    """For devices written in Python, torch makes some results too small and enlarges them."""
    ignoring = pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
    for item in items:
        if "device" in getattr(item, "fixturenames", ()):
            item.add_marker(ignoring)


@pytest.fixture(scope="session")
def has_gpu() -> bool:
    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def device(has_gpu) -> torch.device:
    """A device that is not the CPU."""
    if has_gpu:
        return torch.device("cuda")
    device = stand_in.install()
    try:
        torch.ones(1, device=device, requires_grad=True).sum().backward()
    except RuntimeError as error:
        if "device_ready_queues_" not in str(error):
            raise
        # Autograd makes its threads, one for each device, when it first runs.
        pytest.skip("autograd has run before the device was there: run tests/device alone")
    return device


@pytest.fixture(autouse=True)
def _parameters_move_as_to_a_gpu(has_gpu, monkeypatch):
    """Moving a module leaves its parameters the objects that they are, also tied ones."""
    if not has_gpu:
        monkeypatch.setattr(
            torch.__future__, "_swap_module_params_on_conversion", True, raising=True
        )


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def configured(device, has_gpu):
    """What takes the place of `configure`: whatever was asked for, it is this device."""
    if has_gpu:
        return lambda name, threads: configure("cuda", threads)
    return lambda name, threads: device


@pytest.fixture
def computing_on(monkeypatch, device, configured):
    """Let training, `measure_run` and the command compute on the device."""
    for module in (training, run, command):
        monkeypatch.setattr(module, "configure", configured)
    return device


@pytest.fixture
def counted(has_gpu):
    """A function: run another; how many operations it launched, and how often it waited.

    A GPU tells of what waits only, and the number of operations is 0.
    """

    def on_stand_in(run):
        with stand_in.counting() as counts:
            run()
        return counts.operations.total(), counts.synchronisations.total()

    def on_gpu(run):
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                run()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return 0, sum("synchronizing" in str(each.message) for each in caught)

    return on_gpu if has_gpu else on_stand_in

"""What a user wrote is called once before any job starts.

Loads torch, but only where there is something to call.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flatness.errors import FlatnessError, MeasurementError, SettingsError
from flatness.experiment import networks
from flatness.experiment.datasets import input_shape
from flatness.own.places import naming_failures
from flatness.own.quantities import Quantity, load_quantities, own_quantities
from flatness.settings.model import Settings
from flatness.settings.studies import Study

if TYPE_CHECKING:
    import xarray as xr
    from torch import nn

_ONE = "a network that maps (samples, *input_shape) to (samples, {}), each sample on its own"


def check_networks(settings: Settings, place: str) -> None:
    """Build, call and measure the networks that are not shipped with the package.

    With the weights of seed 0, on two images of random pixels. Building twice shows whether the
    weights are a function of the seed.

    Raises:
        SettingsError: a network cannot be built, trained or measured, or returns something else
            than the dataset has outputs.
    """
    for name, study in settings.studies.items():
        if study.network.name not in networks.SHIPPED:
            dataset = settings.datasets[study.dataset].model_dump()
            _refusing(f"{place}: datasets.{study.dataset}: ", lambda d=dataset: input_shape(d))
            _refusing(f"{place}: studies.{name}.", lambda s=study: measured(settings, s))


def check_quantities(settings: Settings, place: str) -> None:
    """Call the quantities of the user's own with the primitives of each study's network.

    As a run has them, with two checkpoints and the three sample sets.

    Raises:
        SettingsError: one fails, or returns something else than a number for each of these.
    """
    if settings.quantities is None:
        return
    file = settings.quantities
    functions = load_quantities(file)
    for study in settings.studies.values():
        _refusing(
            f"{place}: ", lambda s=study: _try_quantities(functions, measured(settings, s), file)
        )


def _try_quantities(functions: Mapping[str, Quantity], primitives: "xr.Dataset", file: str) -> None:
    import xarray as xr

    of_run = xr.concat([xr.concat([primitives] * 3, "sample_set")] * 2, "checkpoint")
    own_quantities(functions, of_run, file)


def measured(settings: Settings, study: Study) -> "xr.Dataset":
    """The primitives of a study's network, untrained, on two images of random pixels.

    Raises:
        FlatnessError: as of `check_networks`.
    """
    import torch

    import flatness

    dataset = settings.datasets[study.dataset]
    shape, what = input_shape(dataset.model_dump()), _what(study)
    network, again = (_built(study, shape, dataset.outputs) for _ in range(2))
    other = again.state_dict()
    for name, tensor in network.state_dict().items():
        if not torch.equal(tensor, other[name]):
            raise SettingsError(
                f"{what}: its {name!r} differs each time it is built. Allowed: weights that are a "
                "function of torch's seed. Draw them with torch's own generator."
            )
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    for mode in (network.train, network.eval):
        mode()
        with (
            torch.random.fork_rng(devices=[]),
            torch.no_grad(),
            naming_failures(
                what, f"calling it on inputs of shape {tuple(images.shape)}", "Call it"
            ),
        ):
            returned = network(images.clone())
        _check_output(returned, what, dataset.outputs)
    with naming_failures(what, "measuring it", "Call it and run backward()"):
        try:
            return flatness.measure(network, images)
        except MeasurementError as error:
            raise SettingsError(f"{what}: {str(error).removeprefix('model: ')}") from error


def _built(study: Study, shape: tuple[int, ...], outputs: int) -> "nn.Module":
    with naming_failures(_what(study), "building it", "Call the function"):
        return networks.build(study.network.model_dump(), shape, outputs, 0)


def _check_output(returned: Any, what: str, outputs: int) -> None:
    """Refuse what is no tensor (2, outputs)."""
    import torch

    allowed = _ONE.format(outputs)
    if not isinstance(returned, torch.Tensor):
        raise SettingsError(
            f"{what}: returns a {type(returned).__name__}. Allowed: {allowed}. Return the tensor "
            "of outputs alone."
        )
    if tuple(returned.shape) != (2, outputs):
        raise SettingsError(
            f"{what}: returns shape {tuple(returned.shape)} for 2 samples. Allowed: {allowed}. "
            "Let its last layer have as many outputs as the dataset, or correct `outputs` there."
        )


def _what(study: Study) -> str:
    if study.network.name == networks.FACTORY:
        return f"network.factory = {study.network.factory!r}"
    return f"network.name = {study.network.name!r}"


def _refusing(before: str, call) -> None:
    try:
        call()
    except FlatnessError as error:
        raise SettingsError(f"{before}{error}") from error

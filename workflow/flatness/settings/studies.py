"""Networks, and the studies that train them."""

from inspect import Parameter
from typing import Annotated, Any, Literal

from pydantic import Field, create_model, field_validator

from flatness.errors import SettingsError
from flatness.experiment import networks
from flatness.experiment.loss_names import LossName
from flatness.settings.optimisers import AnyOptimiser, SgdOptimiser
from flatness.settings.section import MAX_SEED, Module, Place, Section, key, one_of, without_repeats

# What is wrong with modules of networks; no configuration is read until it is mended.
MISTAKES: list[str] = []


class FactoryNetwork(Section):
    """A network of one's own, made by a function outside of the package."""

    name: Literal[networks.FACTORY] = key("May be left out.", default=networks.FACTORY)
    factory: Place = key(
        "`path/to/file.py:function`, relative to the folder Snakemake runs in, or "
        "`package.module:function`. It returns a torch.nn.Module and gets `arguments`, besides "
        "`input_shape` and `outputs` where it has arguments of these names."
    )
    arguments: dict[str, Any] = key("Keyword arguments of the function.", default={})


def _network_section(name: str) -> type[Section] | None:
    """The options of one registered network, read off its function's signature.

    None where these cannot be read, which is then among `MISTAKES`.
    """
    try:
        options = networks.options(name)
    except SettingsError as error:
        MISTAKES.append(str(error))
        return None
    fields = {
        option: (
            parameter.annotation,
            ... if parameter.default is Parameter.empty else parameter.default,
        )
        for option, parameter in options.items()
    }
    return create_model(
        f"{name}_network",
        __base__=Section,
        __doc__=(networks.constructor(name).__doc__ or name).strip().splitlines()[0],
        name=(Literal[name], key("Which registered network.")),
        **fields,
    )


_SECTIONS = [FactoryNetwork, *filter(None, map(_network_section, networks.names()))]
AnyNetwork = one_of("name", *_SECTIONS)


class Setting(Section):
    """One pair of learning rate and batch size."""

    learning_rate: float = key("Constant step size.", gt=0)
    batch_size: int = key("Samples in each mini-batch.", unit="samples", ge=1)


class Checkpoints(Section):
    """When a run is checkpointed: iteration 0, log-spaced early, evenly spaced late."""

    early: int = key("Log-spaced checkpoints, from iteration 1 on.", unit="checkpoints", ge=1)
    late: int = key(
        "Evenly spaced checkpoints, the last at the last iteration.", unit="checkpoints", ge=1
    )


class Study(Section):
    """One network on one dataset, over settings and seeds."""

    network: AnyNetwork = key("The network and its options.")
    dataset: str = key("Name of an entry of `datasets`.")
    loss: LossName = key(
        "Training loss: `mse` is the mean over batch and outputs, `half_squared_error` half the "
        "squared norm averaged over the batch only, `cross_entropy` the softmax cross entropy."
    )
    optimiser: AnyOptimiser | None = key(
        "Optimiser in the place of plain SGD; learning rates are its step sizes.", default=None
    )
    sweep: tuple[Setting, ...] = key("The pairs of learning rate and batch size.", min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0, le=MAX_SEED)], ...] = key(
        "One run per seed and pair; a seed fixes initial weights and batch order.", min_length=1
    )
    middle_layers: tuple[Module, ...] = key(
        "Modules, by their names in the network, whose outputs are measured as well, each into "
        "files of its own.",
        default=(),
    )
    iterations: int = key("Length of every run.", unit="iterations", ge=1)
    checkpoints: Checkpoints = key("Checkpoint schedule.")

    @field_validator("optimiser")
    @classmethod
    def _plain_sgd_has_one_spelling(cls, optimiser):
        return None if optimiser == SgdOptimiser(name="sgd") else optimiser

    @field_validator("sweep")
    @classmethod
    def _settings_differ(cls, sweep):
        for setting in sweep:
            if sweep.count(setting) > 1:
                raise ValueError(
                    f"has learning_rate {setting.learning_rate!r} with batch_size "
                    f"{setting.batch_size} twice. Remove one of the two"
                )
        return sweep

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds):
        return without_repeats(seeds, "seed ")

    @field_validator("middle_layers")
    @classmethod
    def _layers_differ(cls, layers):
        return without_repeats(layers)

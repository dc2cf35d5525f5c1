"""What the command measures: a network on images, looked at before anything is measured."""

import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from flatness.command.factory import (
    Factory,
    build,
    check_layer,
    check_real,
    find_factory,
    source_digest,
    try_out,
)
from flatness.command.images import Samples
from flatness.command.options import factory_arguments
from flatness.errors import DeviceError, MeasurementError
from flatness.experiment.device import configure, device_name
from flatness.experiment.usable_gpu import why_unusable
from flatness.glossary import annotate
from flatness.glossary.primitives import PRIMITIVES
from flatness.measurement.exported import is_exported
from flatness.own.places import naming_failures
from flatness.provenance import provenance


@dataclass(frozen=True)
class Subject:
    """A network, in eval mode on its device, and the images it is measured on.

    Args:
        network: as the factory made it; weights of a file are loaded into it.
        samples: the images.
        inputs: (samples, channels, height, width), those of `samples` on the device.
        device: where both are.
        factory: that made the network.
        options: of the command line.
    """

    network: nn.Module
    samples: Samples
    inputs: Tensor
    device: torch.device
    factory: Factory
    options: Namespace

    def get_ready(self) -> None:
        """Put the network in eval mode on its device, and call it once with the weights it has.

        Raises:
            MeasurementError: it fails, or returns something else than (samples, N), or another N
                than there are class folders.
        """
        place = self.options.factory
        if not is_exported(self.network):  # whose mode was fixed, and which refuses eval()
            with naming_failures(f"the network of FACTORY {place}", "eval()", "Call that"):
                self.network.eval()
        advice = "The images are grey: give --channels 1, or call it"
        with self._naming_memory():
            self.network.to(self.device)
            outputs = try_out(
                self.network,
                self.inputs,
                place,
                layer=self.options.layer,
                entry=self.options.output_entry,
                advice=advice if self.samples.all_grey else "Call it",
            )
        classes = self.samples.classes
        if classes and len(classes) != outputs:
            raise MeasurementError(
                f"--class-folders: {self.options.images} holds {len(classes)} folders of classes "
                f"({classes[0]} to {classes[-1]}), and the network has {outputs} outputs. Allowed: "
                "one folder for each output. Name the folder in which all of them lie, or leave "
                "--class-folders out."
            )

    def measured(self, measure: Callable[..., Any]) -> Any:
        """What a function gives that measures the network.

        Args:
            measure: is called with the options of `flatness.measure`.

        Raises:
            MeasurementError: the network cannot be measured.
        """
        options = self.options
        with (
            self._naming_memory(),
            naming_failures(
                f"the network of FACTORY {options.factory}",
                "measuring it",
                "Call it and run backward()",
            ),
        ):
            return measure(
                layer=options.layer,
                output=options.output_entry,
                chunk_size=options.chunk_size,
                probes=options.probes,
                seed=options.seed or 0,
            )

    def described(self, primitives: xr.Dataset, weights: dict[str, object]) -> xr.Dataset:
        """The measurement with the path of each image, and what it was made from.

        Args:
            primitives: from `flatness.measure`.
            weights: where they are from.
        """
        options = self.options
        names = np.array(self.samples.names, dtype=object)
        named = primitives.assign_coords(image=("sample", names)).assign_attrs(
            provenance(
                factory=options.factory,
                factory_sha256=source_digest(self.factory),
                factory_arguments=factory_arguments(options),
                weights=weights,
                images=self.samples.facts(options),
                normalisation={
                    "divided_by": 255,
                    "mean": options.mean or [0.0] * options.channels,
                    "std": options.std or [1.0] * options.channels,
                },
                device=device_name(self.device),
                threads=torch.get_num_threads(),
            )
        )
        return annotate(named, PRIMITIVES)

    @contextmanager
    def _naming_memory(self) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError:
            options = self.options
            raise MeasurementError(
                f"--chunk-size {options.chunk_size}: {len(self.inputs)} samples need more memory "
                f"than {options.device} has. Allowed: 1 or more. Lower it, or choose --device cpu."
            ) from None


def subject(options: Namespace, samples: Samples, device: torch.device) -> Subject:
    """Build the network, with the weights that its factory gives it.

    Args:
        options: of the command line.
        samples: the images to measure it on.
        device: where it is measured.

    Raises:
        FlatnessError: the factory or the network is not what can be measured.
    """
    seed = options.random_weights or 0
    factory = find_factory(options.factory, seed)
    network = build(factory, factory_arguments(options), seed)
    check_layer(network, options.layer)
    check_real(network, options.factory)
    network.to(getattr(torch, options.dtype))
    return Subject(network, samples, samples.inputs.to(device), device, factory, options)


def chosen_device(options: Namespace) -> torch.device:
    """The device asked for, with the threads asked for.

    Raises:
        DeviceError: there is none.
    """
    if options.device == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            f"--device cuda: torch finds no usable GPU: {why_unusable()}. Allowed here: cpu. Leave "
            "it out, or run where a GPU, its driver and a CUDA build of torch are present."
        )
    # One thread gives the same digits however many cores there are, and costs least CPU time.
    usual = torch.get_num_threads() if "OMP_NUM_THREADS" in os.environ else 1
    return configure(options.device, options.threads or usual)

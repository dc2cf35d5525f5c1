"""`python -m flatness measure`: from a factory, weights and images to numbers."""

import os
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import nn

import flatness
from flatness.command.factory import (
    build,
    check_layer,
    check_real,
    find_factory,
    naming_failures,
    source_digest,
    try_out,
)
from flatness.command.images import Samples, read_samples
from flatness.command.options import check, factory_arguments
from flatness.command.summary import summary
from flatness.command.weights import load_weights, read_weights
from flatness.errors import BoundError, DeviceError, MeasurementError, SettingsError
from flatness.experiment.device import configure, device_name
from flatness.experiment.usable_gpu import why_unusable
from flatness.glossary import annotate
from flatness.glossary.primitives import PRIMITIVES
from flatness.measurement.exported import is_exported
from flatness.provenance import provenance
from flatness.storage import atomic_path, write_dataset
from flatness.writable import is_too_long, obstacle


def measure_images(options: Namespace) -> str:
    """Measure a network on a folder of images and write a netCDF file and a page.

    Everything that can be known to fail is looked at before measuring starts. The page takes
    its name last, so that where it is, both are.

    Args:
        options: of the command line, see `flatness.command.options`.

    Returns:
        The page, in Markdown.

    Raises:
        FlatnessError: a mistake that the user can mend, as one line; BoundError after both
            files are written.
    """
    check(options)
    arguments = factory_arguments(options)
    page = _page(options)
    device = _device(options)
    samples = read_samples(options)
    weights = None
    if options.weights is not None:
        weights = read_weights(options.weights, options.weights_entry, options.weights_prefix)
    seed = options.random_weights or 0
    factory = find_factory(options.factory, seed)
    network = build(factory, arguments, seed)
    check_layer(network, options.layer)
    check_real(network, options.factory)
    network.to(getattr(torch, options.dtype))
    origin: dict[str, object] = {"random_seed": options.random_weights}
    if weights is not None:
        origin = load_weights(network, weights, options.factory)
    if not is_exported(network):  # whose mode was fixed, and which refuses eval()
        with naming_failures(f"the network of FACTORY {options.factory}", "eval()", "Call that"):
            network.eval()
    primitives = _measure(network, samples, device, options)
    primitives = primitives.assign_coords(image=("sample", np.array(samples.names, dtype=object)))
    primitives.attrs |= provenance(
        factory=options.factory,
        factory_sha256=source_digest(factory),
        factory_arguments=arguments,
        weights=origin,
        images=samples.facts(options),
        normalisation={
            "divided_by": 255,
            "mean": options.mean or [0.0] * options.channels,
            "std": options.std or [1.0] * options.channels,
        },
        device=device_name(device),
        threads=torch.get_num_threads(),
    )
    annotate(primitives, PRIMITIVES)
    text, violation = summary(primitives, options.powers)
    with atomic_path(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
        write_dataset(primitives, options.output)
    if violation:
        raise BoundError(violation)
    return text


def _page(options: Namespace) -> Path:
    """Where the page goes, once it is clear that both files can be written."""
    output = Path(options.output)
    if output.suffix != ".nc":
        raise SettingsError(
            f"--output {output}. Allowed: a file name that ends with .nc. Correct it."
        )
    page = output.with_suffix(".md")
    for file in (output, page):
        if is_too_long(file):
            raise SettingsError(
                f"--output {file}: has more characters than its disk takes. Allowed: a shorter "
                "name. Choose one."
            )
        if file.is_dir():
            raise SettingsError(f"--output {file}: is a folder. Allowed: a file. Correct it.")
        if os.path.lexists(file) and not options.overwrite:
            raise SettingsError(
                f"--output {file}: exists. Allowed: a new name. Choose one, or replace it with "
                "--overwrite."
            )
    problem = obstacle(output.parent)
    if problem:
        raise SettingsError(
            f"--output {output}: {problem}. Allowed: a folder that you may write to. Choose "
            "another."
        )
    return page


def _device(options: Namespace) -> torch.device:
    if options.device == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            f"--device cuda: torch finds no usable GPU: {why_unusable()}. Allowed here: cpu. Leave "
            "it out, or run where a GPU, its driver and a CUDA build of torch are present."
        )
    return configure(options.device, options.threads or torch.get_num_threads())


def _measure(
    network: nn.Module, samples: Samples, device: torch.device, options: Namespace
) -> xr.Dataset:
    inputs = samples.inputs
    advice = "The images are grey: give --channels 1, or call it" if samples.all_grey else "Call it"
    try:
        network, inputs = network.to(device), inputs.to(device)
        try_out(
            network,
            inputs,
            options.factory,
            layer=options.layer,
            entry=options.output_entry,
            advice=advice,
        )
        with naming_failures(
            f"the network of FACTORY {options.factory}",
            "measuring it",
            "Call it and run backward()",
        ):
            return flatness.measure(
                network,
                inputs,
                layer=options.layer,
                output=options.output_entry,
                chunk_size=options.chunk_size,
                probes=options.probes,
                seed=options.seed or 0,
            )
    except torch.OutOfMemoryError:
        raise MeasurementError(
            f"--chunk-size {options.chunk_size}: {len(inputs)} samples need more memory than "
            f"{options.device} has. Allowed: 1 or more. Lower it, or choose --device cpu."
        ) from None

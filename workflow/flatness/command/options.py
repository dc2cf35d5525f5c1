"""What the command line takes. Loads neither torch nor xarray, so that `--help` is quick."""

import argparse
import json
import math
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from flatness.errors import SettingsError

# A shell leaves ~ as it is behind a "=", as in --images=~/photos, and in quotes.
_PATH = os.path.expanduser

# How many images are measured where --samples is left out.
DEFAULT_SAMPLES = 100

_ALL = """\
Sharpness and compression of trained networks: measure those of your own, measure finished runs
again, and publish, reproduce or check studies."""

_MEASURE = """\
Measure a PyTorch network of your own on a folder of images.

FACTORY is called to build the network, which is put in eval mode and left with its weights as
they are; it must map (images, channels, height, width) to (images, N), each image on its own, or
to something that holds such a tensor (--output-entry).
Written are FILE.nc, with everything flatness.measure returns and the path of each image, and
FILE.md, a page with quantities and inequalities, which is printed, too. Of several checkpoints
FILE.png shows the quantities over the training.

The code of FACTORY is run, so name only code that you trust. Weights are read without running
code in them."""

_VERIFY = """\
Draw some of the measured runs of a results folder at random, measure their checkpoints again and
compare every variable. Bits must be the same on the same machine with the same versions; elsewhere
values must agree to 0.001 of the largest. Nothing is changed."""

_PART = """\
Put all runs of a study that are analysed into one file, also where the study was cut off. Files of
several machines, or of several seeds, can be merged and published together."""

_MERGE = """\
Put the runs of several files of results into one. Their settings must be the same but for seeds and
for what says where a machine keeps its files, and their datasets the same images."""

_PUBLISH = """\
Make the folder of a publication: a page, every figure and table, the settings, and the results
themselves. Several files are merged first."""

_REPRODUCE = """\
Make every figure and table of a publication anew from its results.nc, without training or measuring
anything, and compare the tables with the published ones, byte for byte."""

_CHECK = """\
Check a publication in some minutes, step by step, and say beforehand what is done and about how
long each step takes: its configuration; every table, made anew from results.nc and compared byte
for byte; every figure, drawn anew; every inequality at every checkpoint; and the beginning of one
run, trained and measured anew. Nothing is written into the publication. The last lines say what
is as published and what is not; exit code 1 where something differs."""

_CHECK_EXAMPLE = """\
example:
  flatness check docs/reproduction --data ~/data
  flatness check docs/reproduction --run vgg10_cifar10_lr0.1_bs20_seed0 --iterations 36"""

_EXAMPLE = """\
example:
  flatness measure my_network.py:build --arguments '{"classes": 10}' \\
      --weights trained.safetensors --images photos --size 64 64 --output measured.nc
  flatness measure my_network.py:build --weights 'run/epoch_*.pt' --images photos \\
      --output curves.nc

A mistake ends with one line and exit code 1 (2: a word of the command line is wrong)."""


def parser() -> ArgumentParser:
    """The parser of the whole command line."""
    whole = ArgumentParser("flatness", description=_ALL)
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser(
        "measure",
        help="measure a network on a folder of images",
        description=_MEASURE,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _network(one.add_argument_group("network"))
    _images(one.add_argument_group("images"))
    _measuring(one.add_argument_group("measuring"))
    other = commands.add_parser(
        "verify",
        help="measure some of the finished runs of a results folder again and compare",
        description=_VERIFY,
        allow_abbrev=False,
    )
    other.add_argument(
        "results",
        metavar="RESULTS",
        type=_PATH,
        help="folder of a configuration, such as results/paper",
    )
    other.add_argument(
        "--share", type=float, default=0.1, help="of the runs, more than 0, at most 1 (%(default)s)"
    )
    other.add_argument("--seed", type=int, help="which runs; drawn at random and named if left out")
    _publications(commands)
    return whole


def _publications(commands) -> None:
    part = commands.add_parser(
        "part",
        help="put the finished runs of a study into one file",
        description=_PART,
        allow_abbrev=False,
    )
    part.add_argument(
        "results",
        metavar="RESULTS",
        type=_PATH,
        help="folder of a configuration, such as results/paper",
    )
    part.add_argument(
        "--configuration",
        metavar="FILE",
        type=_PATH,
        required=True,
        help="the YAML file it is made with",
    )
    part.add_argument(
        "--output", metavar="PART.nc", type=_PATH, required=True, help="the file to write"
    )
    part.add_argument(
        "--seeds",
        metavar="SEED",
        type=int,
        nargs="+",
        help="runs of these only (all that are there)",
    )
    merge = commands.add_parser(
        "merge",
        help="put the runs of several files of results into one",
        description=_MERGE,
        allow_abbrev=False,
    )
    publish = commands.add_parser(
        "publish",
        help="make page, figures and tables from files of results",
        description=_PUBLISH,
        allow_abbrev=False,
    )
    for command, name, what in (
        (merge, "FILE.nc", "the file to write"),
        (publish, "FOLDER", "where the publication goes"),
    ):
        command.add_argument(
            "parts", metavar="PART.nc", type=_PATH, nargs="+", help="files of results"
        )
        command.add_argument("--output", metavar=name, type=_PATH, required=True, help=what)
    reproduce = commands.add_parser(
        "reproduce",
        help="make figures and tables of a publication anew and compare the tables",
        description=_REPRODUCE,
        allow_abbrev=False,
    )
    reproduce.add_argument(
        "publication", metavar="PUBLICATION", type=_PATH, help="folder with results.nc and tables"
    )
    reproduce.add_argument(
        "--output", metavar="FOLDER", type=_PATH, required=True, help="where they go"
    )
    _check(commands)


def _check(commands) -> None:
    check = commands.add_parser(
        "check",
        help="check a publication: tables, figures, inequalities, and a run trained anew",
        description=_CHECK,
        epilog=_CHECK_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    check.add_argument(
        "publication", metavar="PUBLICATION", type=_PATH, help="folder with results.nc and tables"
    )
    check.add_argument(
        "--output",
        metavar="FOLDER",
        type=_PATH,
        help="where tables and figures made anew go (default: results/checked/NAME)",
    )
    check.add_argument(
        "--run",
        metavar="ID",
        help="which run is trained anew (default: the one of which most checkpoints take a minute)",
    )
    check.add_argument(
        "--iterations",
        metavar="K",
        type=int,
        help="for how many iterations (default: as many as take about a minute on one core); "
        "checkpoints up to the K-th are compared",
    )
    check.add_argument(
        "--data",
        metavar="FOLDER",
        type=_PATH,
        default="data",
        help="where the images of that run lie: the folder that holds FashionMNIST/ or "
        "cifar-10-batches-py/, as torchvision leaves them, or one with the class folders "
        "train/CLASS and test/CLASS (default: %(default)s)",
    )
    check.add_argument(
        "--download",
        action="store_true",
        help="download the archives into that folder where they are absent",
    )
    check.add_argument(
        "--own-code",
        metavar="FOLDER",
        type=_PATH,
        help="for a study with networks or datasets of its own: the folder from which the places "
        "of their code are seen; that code is run, so name only what you trust",
    )


def _network(group) -> None:
    group.add_argument(
        "factory",
        metavar="FACTORY",
        type=_PATH,
        help="package.module:function or path/to/file.py:function; returns a torch.nn.Module. A "
        "class, a method such as Net.from_pretrained or a network that is there already will do",
    )
    group.add_argument(
        "--arguments",
        metavar="JSON",
        default="{}",
        help="keyword arguments of the function, such as '{\"classes\": 10}'",
    )
    source = group.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--weights",
        metavar="FILE",
        nargs="+",
        type=_PATH,
        help="safetensors, the *.index.json of shards, or a state dict of torch.save, alone or in "
        "a checkpoint; it must fit the network entirely, but for the prefixes of DataParallel, "
        "torch.compile and Lightning. Several files, or a pattern such as 'run/epoch_*.pt', are "
        "the checkpoints of one training: each is measured, and FILE.png shows the curves",
    )
    source.add_argument(
        "--random-weights",
        metavar="SEED",
        type=int,
        help="instead: keep the weights that FACTORY gives, torch's generator seeded with SEED",
    )
    group.add_argument(
        "--iteration-after",
        metavar="TEXT",
        help="of several checkpoints: the text before the iteration in their names, such as step=; "
        "without it the iteration is the one number in which the names differ",
    )
    group.add_argument(
        "--weights-entry",
        metavar="NAME",
        help="which state dict of a checkpoint that holds several, such as ema, or "
        "callbacks.EMA.weights for one within others",
    )
    group.add_argument(
        "--weights-prefix",
        metavar="PREFIX",
        help="take only weights whose names begin with it, without it, such as student.",
    )


def _images(group) -> None:
    group.add_argument(
        "--images",
        metavar="FOLDER",
        type=_PATH,
        required=True,
        help="PNG, JPEG, BMP, PPM, PGM, TIFF and WebP files in it and its sub-folders, links "
        "followed; names that begin with a dot are passed over",
    )
    group.add_argument(
        "--samples",
        metavar="N",
        type=int,
        help="measure N images, spread evenly over the order of their relative paths, so that all "
        f"class folders have a share (default: {DEFAULT_SAMPLES}, or all where there are fewer)",
    )
    group.add_argument(
        "--class-folders",
        action="store_true",
        help="the folder below FOLDER that an image lies in is its class, in alphabetical order "
        "one for each output; with them the trace of the loss Hessian is measured, too, which "
        "takes several times as long",
    )
    group.add_argument(
        "--channels",
        type=int,
        choices=(1, 3),
        default=3,
        help="1: grey images, 3: colour images; grey ones become three equal channels, "
        "transparency is dropped, colour is refused where grey is asked for (default: 3)",
    )
    group.add_argument(
        "--size",
        metavar=("HEIGHT", "WIDTH"),
        nargs=2,
        type=int,
        help="resize every image to this many pixels, bilinear with antialiasing; without it all "
        "images must have one size",
    )
    group.add_argument(
        "--mean",
        nargs="+",
        type=float,
        help="subtracted from pixels / 255, one number per channel (default: 0)",
    )
    group.add_argument(
        "--std",
        nargs="+",
        type=float,
        help="what is left is divided by it, one number per channel (default: 1)",
    )


def _measuring(group) -> None:
    group.add_argument(
        "--layer",
        metavar="NAME",
        help="measure the map from the images to the output of this module, as named_modules() "
        "calls it, in the place of the network's output",
    )
    group.add_argument(
        "--output-entry",
        metavar="NAME",
        help="what is taken of an output that is not one tensor (images, N): a name such as "
        "logits, an index such as 0 or -1, names and indices joined by dots, or flatten for all of "
        "a tensor with more axes",
    )
    group.add_argument(
        "--dtype",
        choices=("float32", "float64"),
        default="float32",
        help="what network and images are converted to (default: float32)",
    )
    group.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: cpu)")
    group.add_argument(
        "--threads",
        metavar="N",
        type=int,
        help="CPU threads of one operation; more take less time where cores are free, and change "
        "the last digits (default: OMP_NUM_THREADS where it is set, else 1)",
    )
    group.add_argument(
        "--chunk-size",
        metavar="N",
        type=int,
        default=100,
        help="images differentiated together, at most; bounds memory (default: 100)",
    )
    group.add_argument(
        "--probes",
        metavar="K",
        type=int,
        help="estimate from K random combinations of each image's outputs, at least 2, with "
        "standard errors, where so many outputs take too long; without log volume, local "
        "dimensionality and inequalities (default: exact)",
    )
    group.add_argument(
        "--seed", metavar="S", type=int, help="of the random combinations (default: 0)"
    )
    group.add_argument(
        "--powers",
        metavar="K",
        nargs="+",
        type=float,
        default=[1, 2],
        help="the powers k of Eq. 6 and 7 on the page, each at least 1 (default: 1 2)",
    )
    group.add_argument(
        "--output",
        metavar="FILE.nc",
        type=_PATH,
        required=True,
        help="netCDF file; the page has its name with the ending .md, a picture with .png",
    )
    group.add_argument("--overwrite", action="store_true", help="replace files that exist")
    group.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="a line on the standard error with what is done, the time left and the rate "
        "(default: where that is a terminal and it takes some seconds)",
    )


def check(options: Namespace) -> None:
    """Refuse values that no measurement can use.

    Raises:
        SettingsError: the first of them.
    """
    problem = next(_problems(options), None)
    if problem is not None:
        raise SettingsError(problem)


def factory_arguments(options: Namespace) -> dict[str, Any]:
    """The keyword arguments of the factory.

    Raises:
        SettingsError: they are no JSON object.
    """
    try:
        found = json.loads(options.arguments)
    except ValueError as error:
        raise SettingsError(
            f"--arguments {options.arguments}: is no JSON ({error}). Allowed: an object, such as "
            "'{\"classes\": 10}'. Correct it; keys and texts stand in double quotes."
        ) from None
    if not isinstance(found, dict):
        raise SettingsError(
            f"--arguments {options.arguments}: is no object. Allowed: keyword arguments in "
            "braces, such as '{\"classes\": 10}'. Correct it."
        )
    return found


def _problems(options: Namespace) -> Iterator[str]:
    counts = {
        "--samples": options.samples,
        "--threads": options.threads,
        "--chunk-size": options.chunk_size,
    }
    for name, value in counts.items():
        if value is not None and value < 1:
            yield f"{name} {value}. Allowed: 1 or more. Raise it."
    if options.size and min(options.size) < 1:
        height, width = options.size
        yield f"--size {height} {width}. Allowed: a height and a width of 1 or more. Raise them."
    if options.probes is not None and options.probes < 2:
        yield (
            f"--probes {options.probes}. Allowed: 2 or more, or there is no standard error. Raise "
            "it, or leave it out for the exact way."
        )
    if options.seed is not None and options.probes is None:
        yield (
            f"--seed {options.seed}: nothing is drawn. Allowed: with --probes only. Add --probes, "
            "or leave it out."
        )
    if options.class_folders and options.layer is not None:
        yield (
            f"--class-folders: beside --layer {options.layer}, whose outputs are no classes. "
            "Allowed: one of them. Leave one out."
        )
    seed = options.random_weights
    if seed is not None and not 0 <= seed < 2**63:
        yield f"--random-weights {seed}. Allowed: 0 or more, below 2^63. Choose another seed."
    chosen = {
        "--iteration-after": options.iteration_after,
        "--weights-entry": options.weights_entry,
        "--weights-prefix": options.weights_prefix,
    }
    for name, value in chosen.items():
        if value is not None and options.weights is None:
            yield (
                f"{name} {value}: there is no file of weights. Allowed: with --weights only. "
                "Add --weights, or leave it out."
            )
    for name, values in (("--mean", options.mean), ("--std", options.std)):
        if values is None:
            continue
        given = f"{name} {' '.join(f'{value:g}' for value in values)}"
        if len(values) != options.channels:
            yield (
                f"{given}: {len(values)} for {options.channels} channels. Allowed: one number "
                "per channel. Give as many, or correct --channels."
            )
        if not all(math.isfinite(value) for value in values):
            yield f"{given}. Allowed: finite numbers. Correct it."
        if name == "--std" and min(values) <= 0:
            yield f"{given}. Allowed: numbers above 0. Correct it."
    for power in options.powers:
        if not 1 <= power < math.inf:
            yield f"--powers {power:g}. Allowed: finite numbers of 1 or more. Correct it."

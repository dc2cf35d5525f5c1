"""The commands that make, merge, publish and reproduce files of results."""

import filecmp
from argparse import Namespace
from pathlib import Path

import xarray as xr

from flatness.errors import InstallationError, SettingsError, VerificationError
from flatness.publication.earlier import check_place, check_reproduction
from flatness.publication.facts import number_of
from flatness.publication.gathering import gather
from flatness.publication.merging import merge
from flatness.publication.opening import read_results
from flatness.publication.paper import PAPER
from flatness.publication.publish import TEMPLATE, publish, publish_file
from flatness.settings import read_settings
from flatness.storage import write_tree
from flatness.writable import obstacle


def write_part(options: Namespace) -> str:
    """Put the runs of a study that are finished into one file.

    Args:
        options: `results`, `configuration` and `output` of the command line.

    Raises:
        FlatnessError: a mistake that the user can mend; nothing is written.
    """
    _check_output(options.output)
    results = gather(options.results, read_settings(options.configuration))
    write_tree(results, options.output)
    return f"{options.output}: {_count(results)}\n"


def merge_parts(options: Namespace) -> str:
    """Put the runs of several files into one.

    Args:
        options: `parts` and `output` of the command line.

    Raises:
        FlatnessError: a mistake that the user can mend; nothing is written.
    """
    _check_output(options.output)
    results = _merged(options.parts)
    write_tree(results, options.output)
    return f"{options.output}: {_count(results)} from {number_of(len(options.parts), 'file')}\n"


def publish_parts(options: Namespace) -> str:
    """Make the folder of a publication from one or several files.

    Args:
        options: `parts` and `output` of the command line.

    Raises:
        FlatnessError: a mistake that the user can mend; nothing is written.
    """
    _check_repository(options.command)
    _check_folder(options.output)
    check_place(options.output)
    results = _merged(options.parts)
    publish(results, options.output)
    return f"{options.output}/README.md: {_count(results)}\n"


def reproduce(options: Namespace) -> str:
    """Make every figure and table of a publication anew, and compare the tables.

    Args:
        options: `publication` and `output` of the command line.

    Returns:
        A line for each table.

    Raises:
        FlatnessError: a mistake that the user can mend, before anything is written, or a table
            that is not the published one.
    """
    _check_repository(options.command)
    published, output = Path(options.publication), Path(options.output)
    if output.resolve() == published.resolve():
        raise SettingsError(
            f"--output {output}: what is published there would be overwritten. Allowed: another "
            "folder than that of the publication. Choose one."
        )
    _check_folder(output)
    check_reproduction(published, output)
    publish_file(published / "results.nc", output)
    made, theirs = (
        {file.name: file for file in Path(folder, "tables").glob("[!.]*.*")}
        for folder in (output, published)
    )
    different = sorted(
        name
        for name in {**made, **theirs}
        if name not in made
        or name not in theirs
        or not filecmp.cmp(made[name], theirs[name], shallow=False)
    )
    if different:
        raise VerificationError(
            f"{output}/tables: {', '.join(different)} differ from those in {published}/tables. "
            "Allowed: the same bytes. Compare them line by line; other versions of libraries may "
            "change last digits."
        )
    figures = len(list((output / "figures").glob("*.png")))
    lines = [f"{name}: the same as in {published}/tables" for name in sorted(made)]
    return "\n".join([*lines, f"{output}/figures: {figures} figures", f"{output}/README.md"]) + "\n"


def _merged(parts: list[str]) -> xr.DataTree:
    named: dict[Path, str] = {}
    for part in parts:
        place = Path(part).resolve()
        if place in named:
            other = "" if named[place] == part else f", the other time as {named[place]}"
            raise SettingsError(
                f"{part} is named twice{other}. Allowed: each file once. Remove one."
            )
        named[place] = part
    return merge({part: read_results(part) for part in parts})


def _count(results: xr.DataTree) -> str:
    return ", ".join(
        f"{number_of(node.sizes['run'], 'run')} of {name}"
        for name, node in results.children.items()
    )


def _check_repository(command: str) -> None:
    """Refuse to make a page where the package is installed without what a clone has beside it."""
    absent = [file.name for file in (TEMPLATE, PAPER) if not file.exists()]
    if absent:
        raise InstallationError(
            f"flatness {command}: {' and '.join(absent)} of the repository are not beside the "
            "package. Allowed: the package as it lies in a clone. Clone the repository, call "
            "`make environment` in it, and start again there."
        )


def _check_output(path: str) -> None:
    """Refuse to write a file of results where that cannot be."""
    if Path(path).suffix != ".nc" or Path(path).is_dir():
        raise SettingsError(
            f"--output {path}: is no name of a netCDF file. Allowed: a name that ends with .nc. "
            "Correct it."
        )
    _check_folder(Path(path).parent)


def _check_folder(folder: str | Path) -> None:
    problem = obstacle(Path(folder))
    if problem:
        raise SettingsError(
            f"--output {folder}: cannot be written to: {problem}. Allowed: a folder that you may "
            "write to. Choose another, or change its permissions."
        )

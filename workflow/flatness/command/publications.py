"""The commands that make, merge, publish and reproduce files of results."""

from argparse import Namespace
from pathlib import Path

import xarray as xr

from flatness.checking.files import differences
from flatness.checking.tables import TABLES
from flatness.errors import InstallationError, SettingsError, VerificationError
from flatness.publication.earlier import check_place, check_reproduction
from flatness.publication.facts import number_of
from flatness.publication.gathering import gather
from flatness.publication.merging import merge
from flatness.publication.opening import read_results
from flatness.publication.pages import TEMPLATE
from flatness.publication.paper import PAPER
from flatness.publication.publish import publish, publish_file
from flatness.settings import read_settings, runs_with_seeds, table_of_runs
from flatness.storage import write_tree
from flatness.writable import obstacle


def write_part(options: Namespace) -> str:
    """Put the runs of a study that are finished into one file.

    Args:
        options: `results`, `configuration`, `output` and `seeds` of the command line.

    Raises:
        FlatnessError: a mistake that the user can mend; nothing is written.
    """
    _check_output(options.output)
    settings = read_settings(options.configuration)
    runs = runs_with_seeds(table_of_runs(settings), options.seeds, "--seeds ")
    results = gather(options.results, settings, runs)
    write_tree(results, options.output)
    return f"{options.output}: {count(results)}\n"


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
    return f"{options.output}: {count(results)} from {number_of(len(options.parts), 'file')}\n"


def publish_parts(options: Namespace) -> str:
    """Make the folder of a publication from one or several files.

    Args:
        options: `parts` and `output` of the command line.

    Raises:
        FlatnessError: a mistake that the user can mend; nothing is written.
    """
    check_repository(options.command)
    check_folder(options.output)
    check_place(options.output)
    results = _merged(options.parts)
    publish(results, options.output)
    return f"{options.output}/README.md: {count(results)}\n"


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
    check_repository(options.command)
    published, output = Path(options.publication), Path(options.output)
    if output.resolve() == published.resolve():
        raise SettingsError(
            f"--output {output}: what is published there would be overwritten. Allowed: another "
            "folder than that of the publication. Choose one."
        )
    check_folder(output)
    check_reproduction(published, output)
    publish_file(published / "results.nc", output)
    made, theirs = output / "tables", published / "tables"
    different = differences(made, theirs, TABLES)
    if different:
        first, what = next(iter(different.items()))
        raise VerificationError(
            f"{made}: {', '.join(different)} differ from those in {theirs}; {first}: {what}. "
            "Allowed: the same bytes. Compare them line by line; other versions of libraries may "
            "change last digits."
        )
    figures = len(list((output / "figures").glob("*.png")))
    names = sorted(file.name for file in made.glob(TABLES))
    lines = [f"{name}: the same as in {theirs}" for name in names]
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


def count(results: xr.DataTree) -> str:
    """How many runs of which studies there are."""
    return ", ".join(
        f"{number_of(node.sizes['run'], 'run')} of {name}"
        for name, node in results.children.items()
    )


def check_repository(command: str) -> None:
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
    check_folder(Path(path).parent)


def check_folder(folder: str | Path) -> None:
    """Refuse a folder that cannot be written to."""
    problem = obstacle(Path(folder))
    if problem:
        raise SettingsError(
            f"--output {folder}: cannot be written to: {problem}. Allowed: a folder that you may "
            "write to. Choose another, or change its permissions."
        )

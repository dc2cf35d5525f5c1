"""`python -m flatness tables`: all tables anew from one file of results."""

import filecmp
import re
from argparse import Namespace
from pathlib import Path

from flatness.errors import SettingsError, VerificationError
from flatness.settings.section import NAME_PATTERN
from flatness.storage import read_dataset
from flatness.tables.from_condensed import write_tables
from flatness.writable import obstacle


def make_tables(options: Namespace) -> str:
    """Write every table that a file of condensed runs holds, and compare them with others.

    Args:
        options: `results`, `output` and `compare` of the command line.

    Returns:
        A line for each table.

    Raises:
        SettingsError: the file holds no condensed runs, or a folder cannot be used.
        StorageError: the file is absent or damaged.
        VerificationError: a table differs from the one it is compared with.
    """
    results, output = Path(options.results), Path(options.output)
    published = Path(options.compare) if options.compare else None
    if published and published.resolve() == output.resolve():
        raise SettingsError(
            f"--compare {published}: the tables there would be overwritten by those of --output. "
            "Allowed: two different folders. Choose another for --output."
        )
    problem = obstacle(output)
    if problem:
        raise SettingsError(
            f"--output {output}: cannot be written to: {problem}. Allowed: a folder that you may "
            "write to. Choose another, or change its permissions."
        )
    condensed = read_dataset(results)
    if not {"checkpoint_count", "study"} <= set(condensed.variables):
        raise SettingsError(
            f"RESULTS.nc {results}: holds no condensed runs. Allowed: the results.nc of a "
            "publication, such as results/demo/publication/results.nc. Name that."
        )
    for study in condensed["study"].to_numpy():
        if not re.fullmatch(NAME_PATTERN, str(study)):  # files are named after it
            raise SettingsError(
                f"RESULTS.nc {results}: {str(study)!r} is no name of a study. Allowed: letters, "
                "digits, - and _, at most 100, beginning with a letter or digit. Use a file as "
                "the workflow wrote it."
            )
    output.mkdir(parents=True, exist_ok=True)
    written = sorted(write_tables(condensed, output))
    if published is None:
        return "".join(f"{path}\n" for path in written)
    different = [
        path.name
        for path in written
        if not (published / path.name).is_file()
        or not filecmp.cmp(path, published / path.name, shallow=False)
    ]
    made = {path.name for path in written}
    different += sorted(path.name for path in published.glob("[!.]*.*") if path.name not in made)
    if different:
        raise VerificationError(
            f"{output}: {', '.join(different)} differ from those in {published}. Allowed: the same "
            "bytes. Compare them line by line; other versions of libraries may change last digits."
        )
    return "".join(f"{path.name}: the same as in {published}\n" for path in written)

"""`flatness check`: what a publication says, made anew and compared."""

import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from flatness.checking.step import Found, Step, in_words
from flatness.checking.steps import Training, steps
from flatness.command.publications import check_folder, check_repository, count
from flatness.errors import FlatnessError, SettingsError, StorageError, VerificationError
from flatness.publication.facts import number_of
from flatness.publication.opening import read_results, settings_of
from flatness.publication.results import numbers_of_parts
from flatness.storage import atomic_path

# What is written, with the tables and figures made anew beside it; its first line tells a folder of
# an earlier check from any other.
_TEXT = "check.txt"
_FIRST = "flatness check "
_RESULTS = "results.nc"
# What comes of results that somebody changed together with their checksum.
_CHANGED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def check(options: Namespace) -> str:
    """Make what is published anew, step by step, and tell what is the same.

    Lines are printed as they are found, since it takes minutes.

    Args:
        options: `publication`, `output`, `run`, `iterations`, `data`, `download` and `own_code` of
            the command line.

    Returns:
        Nothing more to print.

    Raises:
        VerificationError: something differs; what, is printed by then.
        FlatnessError: a mistake that the user can mend, or results.nc is damaged.
    """
    check_repository(options.command)
    publication = Path(options.publication)
    if not publication.is_dir():
        raise SettingsError(
            f"PUBLICATION {publication}: is no folder. Allowed: one with results.nc, tables and "
            "figures, such as docs/reproduction. Correct it."
        )
    results = read_results(publication / _RESULTS)
    output = Path(options.output or f"results/checked/{settings_of(results).name}")
    _check_output(publication, output)
    own_code, data = _code_folder(options.own_code), Path(options.data)
    if own_code:  # which is seen from its own folder
        data = data.absolute()
    training = Training(options.run, options.iterations, data, options.download, own_code)
    try:
        todo = steps(publication, output, results, training)
    except _CHANGED as error:
        raise StorageError(
            f"{publication / _RESULTS}: holds what no study gives ({type(error).__name__}: "
            f"{error}). Allowed: the file that was published. Take a sound copy."
        ) from error
    output.mkdir(parents=True, exist_ok=True)
    report = _Report(output / _TEXT)
    parts = len(set(numbers_of_parts(results).values()))
    of_parts = f", computed in {parts} parts" if parts > 1 else ""
    report.say(f"{_FIRST}{publication}")
    report.say(f"{count(results)}{of_parts}; contents of {_RESULTS} have the checksum stated in it")
    report.say("\nWhat will be done, and about how long it takes on one free core:")
    for number, step in enumerate(todo, start=1):
        report.say(f"  {number}. {step.name}: {step.plan} ({in_words(step.seconds)})")
    report.write()  # so that a check that is interrupted may be made again here
    made = [_made(number, step, report.say) for number, step in enumerate(todo, start=1)]
    report.say("\nIn short:")
    for step, (found, seconds) in zip(todo, made, strict=True):
        report.say(f"  {step.name}: {_verdict(found)} ({seconds:.1f} s)")
    report.say(f"Made anew in {output}; this text: {output / _TEXT}")
    report.write()
    differing = [what for found, _ in made for what in found.differing]
    if differing:
        more = f" ({len(differing) - 1} more above)" if differing[1:] else ""
        raise VerificationError(
            f"{publication}: is not all as published: {differing[0]}{more}. Allowed: what this "
            "version makes of results.nc. Take a sound copy, or compare both with the version that "
            "published it."
        )
    return ""


class _Report:
    """Lines that are printed at once, and written to a file."""

    def __init__(self, file: Path):
        self.file = file
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)
        print(line, flush=True)

    def write(self) -> None:
        with atomic_path(self.file) as temporary:
            temporary.write_text("\n".join(self.lines) + "\n", encoding="utf-8")


def _made(number: int, step: Step, say: Callable[[str], None]) -> tuple[Found, float]:
    """What a step found, and the seconds that it took."""
    say(f"\n{number}. {step.name}")
    began = time.monotonic()
    try:
        found = step.make()
    except FlatnessError as error:
        found = Found(differing=(" ".join(str(error).split()),))
    except _CHANGED as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        found = Found(differing=(f"{step.name}: cannot be made anew ({what})",))
    for line in found.lines:
        say(f"   {line}")
    for what in found.differing:
        say(f"   DIFFERS: {what}")
    return found, time.monotonic() - began


def _verdict(found: Found) -> str:
    return (
        f"NOT as published in {number_of(len(found.differing), 'place')}"
        if found.differing
        else found.same
    )


def _code_folder(given: str | None) -> Path | None:
    if given is None or Path(given).is_dir():
        return given and Path(given)
    raise SettingsError(
        f"--own-code {given}: is no folder. Allowed: the one from which the places of code in the "
        "configuration are seen. Correct it."
    )


def _check_output(publication: Path, output: Path) -> None:
    """Refuse to write into the publication, or among files that no check has written.

    Raises:
        SettingsError: with the place.
    """
    if output.resolve().is_relative_to(publication.resolve()):
        raise SettingsError(
            f"--output {output}: lies in the publication, in which nothing is written. Allowed: "
            "another folder. Choose one."
        )
    check_folder(output)
    text = output / _TEXT
    ours = text.is_file() and text.read_text("utf-8", "replace").startswith(_FIRST)
    if output.is_dir() and any(output.iterdir()) and not ours:
        raise SettingsError(
            f"--output {output}: holds files that no check has written. Allowed: a folder that "
            "holds nothing, or that of an earlier check. Choose another, or move what it holds."
        )

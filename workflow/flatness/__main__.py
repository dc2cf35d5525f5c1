"""The command line, `flatness --help`; `python -m flatness` is the same."""

import sys
from argparse import Namespace
from collections.abc import Sequence

from flatness.command.options import parser
from flatness.command.waiting import wait_asleep
from flatness.errors import FlatnessError
from flatness.extras import naming_what_is_missing


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words of the command line; those of this process where None.

    Returns:
        The exit code: 0, or 1 after a mistake that a user can mend, which is one line on
        standard error.
    """
    options = parser().parse_args(arguments)
    wait_asleep()
    try:
        with naming_what_is_missing(f"flatness {options.command}"):
            printed = _run(options)
        print(printed, end="")
    except FlatnessError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"Interrupted. {_what_is_kept(options)}", file=sys.stderr)
        return 130  # as shells say of SIGINT
    return 0


def _what_is_kept(options: Namespace) -> str:
    """What becomes of the work of a command that was interrupted."""
    if options.command == "measure":
        from flatness.command.several import is_several

        if not is_several(options):
            return "The same command begins anew; of a single network nothing is kept."
    return "The same command starts again; what is finished is kept."


def _run(options: Namespace) -> str:
    """What the command prints; loads only what it needs."""
    if options.command == "verify":
        from flatness.command.verify import verify

        return verify(options)
    if options.command == "measure":
        from flatness.command.measure import measure_images

        return measure_images(options)
    if options.command == "check":
        from flatness.command.check import check

        return check(options)
    from flatness.command import publications

    commands = {
        "part": publications.write_part,
        "merge": publications.merge_parts,
        "publish": publications.publish_parts,
        "reproduce": publications.reproduce,
    }
    return commands[options.command](options)


if __name__ == "__main__":
    sys.exit(main())

"""What an installation lacks.

The library and `flatness measure` need less than the workflow does, which `pip install` brings with
the extra `workflow`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from flatness.errors import InstallationError


@contextmanager
def naming_what_is_missing(what: str) -> Iterator[None]:
    """Turn the absence of a package into one line.

    Args:
        what: cannot be done without it.

    Raises:
        InstallationError: in the place of ModuleNotFoundError.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise InstallationError(
            f"{what}: needs the package {package!r}, which is not installed. Allowed: an "
            "environment with everything that the workflow needs. Install the extra `workflow`, as "
            "`pip install '.[workflow]'` in the repository does."
        ) from error

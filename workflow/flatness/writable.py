"""Whether a file or folder that need not exist yet can be written."""

import errno
import os
from pathlib import Path
from tempfile import TemporaryFile


def obstacle(path: str | Path) -> str | None:
    """What keeps files from being written below a folder, or None; nothing is left there.

    Args:
        path: of the folder; where it does not exist, the nearest one above it counts.
    """
    folder = Path(path).absolute()
    if is_too_long(folder):
        return f"{folder} has a name of more characters than its disk takes"
    existing = next(parent for parent in [folder, *folder.parents] if os.path.exists(parent))
    try:
        TemporaryFile(dir=existing).close()  # asks the file system itself; it has no name there
    except OSError as error:
        return f"{existing} is not a writable folder ({error.strerror})"
    return None


def is_too_long(path: str | Path) -> bool:
    """Whether a file or folder can have that name where it is to lie."""
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False

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
    try:
        os.lstat(folder)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return f"it has a name of more characters than its disk takes ({error.strerror})"
    existing = next(parent for parent in [folder, *folder.parents] if os.path.exists(parent))
    try:
        TemporaryFile(dir=existing).close()  # asks the file system itself; it has no name there
    except OSError as error:
        return f"{existing} is not a writable folder ({error.strerror})"
    return None

"""What a result was made from, stored inside it.

Nothing here depends on the clock, so that the same run gives the same file.
"""

import json
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import flatness

_LIBRARIES = ("torch", "numpy", "xarray", "netCDF4")


def provenance(**facts: Any) -> dict[str, Any]:
    """Attributes for a netCDF file.

    Args:
        facts: what is particular to the file, such as settings or a checksum;
            mappings and lists are stored as JSON text.

    Returns:
        Attributes of plain types: the facts, versions, processor and commit.
    """
    common = {
        "Conventions": "CF-1.11",
        "source": f"flatness {flatness.__version__}",
        "commit": commit(),
        "versions": {"python": platform.python_version()} | {n: version(n) for n in _LIBRARIES},
        "machine": platform.machine(),
    }
    return {
        name: json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value
        for name, value in (common | facts).items()
    }


@cache
def commit() -> str:
    """The commit of the code, with "-dirty" after it if files differ, or "unknown"."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip()

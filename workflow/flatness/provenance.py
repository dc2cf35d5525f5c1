"""What a result was made from, stored inside it.

Nothing here depends on the clock, so that the same run gives the same file.
"""

import json
import platform
import subprocess
from collections.abc import Mapping
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
        "processor": processor(),
    }
    return {
        name: json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value
        for name, value in (common | facts).items()
    }


def commits(attributes: Mapping[str, Any]) -> dict[str, str]:
    """The commits of the code that trained, measured and analysed a run, from its attributes."""
    return {
        "training": json.loads(attributes["training"]).get("commit", "unknown"),
        "measuring": attributes["commit"],
        "analysis": attributes["analysis_commit"],
    }


@cache
def processor() -> str:
    """The model of this machine's processor, or "unknown"."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return platform.processor() or "unknown"
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or "unknown"


@cache
def commit() -> str:
    """The commit of the code, or "unknown".

    With "-dirty" after it if a file that git knows differs from it, or if a file beside the
    package, below `workflow/`, is not in it: networks and quantities are found by their files.
    Whoever deletes `results/`, with the page in it, has changed no code.
    """
    if not _git("ls-files", "--", __file__):  # installed into somebody else's repository
        return "unknown"
    asked = (
        _git("describe", "--always", "--abbrev=12", "--exclude=*"),
        _git("status", "--porcelain", "-uno", "--", ":(top)", ":(top,exclude)results"),
        _git("status", "--porcelain", "-unormal", "--", "."),
    )
    if None in asked:
        return "unknown"
    described, changed, untracked = asked
    return f"{described}-dirty" if changed or untracked else described


def _git(*arguments: str) -> str | None:
    """What git prints of the folder that holds the package, or None where it fails."""
    try:
        found = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()

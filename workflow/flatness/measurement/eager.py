"""Networks that torch.compile was applied to, run as they are written."""

import sys
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")


def as_written(compute: Callable[[], Result]) -> Result:
    """Call a function in which compiled parts of a network run as they are written.

    Asking for that loads torch's compiler, which takes two seconds, more than measuring a small
    network. Where it is not loaded nothing was compiled. A network that compiles itself when it is
    called loads it meanwhile; then the function is called once more.

    Args:
        compute: gives the same whenever it is called.
    """
    if not _compiler_is_loaded():
        try:
            result = compute()
        except Exception:
            if not _compiler_is_loaded():
                raise
        else:
            if not _compiler_is_loaded():
                return result
    with torch.compiler.set_stance("force_eager"):
        return compute()


def _compiler_is_loaded() -> bool:
    return "torch._dynamo" in sys.modules

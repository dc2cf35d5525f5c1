"""Modules of exported programs, whose mode was fixed when they were made."""

import sys
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.fx import GraphModule

# Operations that are done differently in training, and the argument that says so.
_TRAINING = {"batch_norm": 5, "dropout": 2}


def is_program(value: Any) -> bool:
    """Whether it is what torch.export.export returns."""
    exporting = sys.modules.get("torch.export")  # there where anything was exported
    return exporting is not None and isinstance(value, exporting.ExportedProgram)


def is_exported(module: nn.Module) -> bool:
    """Whether it is the module of an exported program: always in training mode, without eval()."""
    return isinstance(module, GraphModule) and "train" in vars(module)


def own_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules of a network by name, but for those of exported programs."""
    exported: list[str] = []
    for name, module in model.named_modules():
        if is_exported(module):
            exported.append(f"{name}." if name else "")
        elif not any(name.startswith(prefix) for prefix in exported):
            yield name, module


def training_operation(model: nn.Module) -> str | None:
    """What an exported program in a network does as in training, if anything."""
    for module in model.modules():
        for node in module.graph.nodes if is_exported(module) else ():
            name = getattr(node.target, "__name__", str(node.target))
            for operation, position in _TRAINING.items():
                if operation in name and len(node.args) > position and node.args[position] is True:
                    return name
    return None

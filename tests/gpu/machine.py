"""The card, its driver, and versions, in words."""

import os
import platform

import torch

from flatness.experiment.device import device_name
from flatness.experiment.usable_gpu import built_for, driver


def described(device: torch.device) -> str:
    """One line for the head of a table."""
    return (
        f"{_card(device)}, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"torch {torch.__version__}"
    )


def _card(device: torch.device) -> str:
    if device.type != "cuda":
        return device_name(device)
    facts = torch.cuda.get_device_properties(device)
    cudnn = torch.backends.cudnn.version()
    return (
        f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB, {facts.multi_processor_count} "
        f"multiprocessors; {driver()}, {built_for()}, cuDNN {cudnn}"
    )

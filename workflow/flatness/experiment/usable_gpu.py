"""Whether torch can use a GPU, and why not where a job was given one."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

# By these a batch system, or whoever starts a job, says which GPUs it has. The first is a number
# of GPUs; the others list positions or names, among which 0 is one.
_COUNT = "SLURM_GPUS_ON_NODE"
_LISTS = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "GPU_DEVICE_ORDINAL", "CUDA_VISIBLE_DEVICES")
_NOTHING = ("", "-1", "nodevfiles", "none", "void")
_DRIVER = Path("/proc/driver/nvidia/version")


def given_gpu(environment: Mapping[str, str] = os.environ) -> str | None:
    """By what this job was given a GPU, as NAME=VALUE; None where nothing says that it was."""
    for name in (_COUNT, *_LISTS):
        value = environment.get(name, "").strip()
        if value.lower() not in _NOTHING and not (name == _COUNT and value == "0"):
            return f"{name}={value}"
    return None


def why_unusable() -> str:
    """Why torch finds no GPU that it can use, in the words of torch, with what it is built for."""
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA"
    said = "there is none"
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        said = re.split(r"\.\s|\n", str(error))[0].rstrip(".")
    return f"{said}; {built_for()}, {driver()}"


def built_for() -> str:
    """Which CUDA this torch is built for, in words."""
    return f"torch {torch.__version__} is built for CUDA {torch.version.cuda}"


def driver(file: Path = _DRIVER) -> str:
    """The version of NVIDIA's driver, in words."""
    try:
        text = file.read_text()
    except OSError:
        return "no NVIDIA driver is loaded"
    found = re.search(r"Kernel Module\D*([\d.]+)", re.sub(r"x86_64|aarch64", "", text))
    return f"the driver is {found[1] if found else 'of an unknown version'}"


def has_kernels(capability: tuple[int, int], architectures: Sequence[str]) -> bool:
    """Whether some of the architectures that torch is built for run on a card.

    Args:
        capability: of the card, (9, 0) for an H100.
        architectures: `torch.cuda.get_arch_list()`: sm_86 runs on every later 8.x, sm_90a on 9.0
            alone, and compute_90 is compiled for any later card when it starts.
    """
    for architecture in architectures:
        kind, _, digits = architecture.partition("_")
        only_this = not digits.isdigit()
        number = digits.rstrip("abcdefghijklmnopqrstuvwxyz")
        built = (int(number[:-1]), int(number[-1]))
        if kind == "compute":
            fits = capability >= built
        elif only_this:
            fits = capability == built
        else:
            fits = capability[0] == built[0] and capability >= built
        if fits:
            return True
    return False

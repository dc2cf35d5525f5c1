"""Random numbers of single samples, which leave torch's own generators alone."""

import hashlib

import torch
from torch import Tensor


def generator_of(seed: int, sample: int, purpose: str) -> torch.Generator:
    """A generator on the CPU for one sample and one purpose.

    What is drawn does not depend on the chunk size, on other samples, or on the device.

    Args:
        seed: what the caller chose.
        sample: position among all samples.
        purpose: any text, such as the name of a module.
    """
    digest = hashlib.sha256(f"{seed} {sample} {purpose}".encode()).digest()
    return torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:7]))


def signs(generator: torch.Generator, count: int) -> Tensor:
    """(count,) int8 on the CPU: independent, 1 or -1 with equal probability."""
    drawn = torch.randint(0, 2, (count,), generator=generator, dtype=torch.int8, device="cpu")
    return drawn * 2 - 1

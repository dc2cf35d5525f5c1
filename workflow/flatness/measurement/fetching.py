"""Values of a device for Python to read, with few waits.

Each copy from a GPU waits for all that was queued before it, and leaves the GPU without work until
Python has gone on. So what is read at one time is put together first.
"""

from collections.abc import Hashable, Mapping, Sequence

import torch
from torch import Tensor


def fetched(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Tensors of one device on the CPU, those of one shape and dtype by one copy together.

    Those that are on the CPU are returned as they are.
    """
    found: list[Tensor] = list(tensors)
    alike: dict[tuple, list[int]] = {}
    for k, tensor in enumerate(found):
        if tensor.device.type != "cpu":
            alike.setdefault((tensor.shape, tensor.dtype), []).append(k)
    for positions in alike.values():
        together = torch.stack([found[k] for k in positions]).cpu()
        for k, tensor in zip(positions, together, strict=True):
            found[k] = tensor
    return found


def fetched_by_name(tensors: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
    """The same of tensors that have names."""
    return dict(zip(tensors, fetched(list(tensors.values())), strict=True))

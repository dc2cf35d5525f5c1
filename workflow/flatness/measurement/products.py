"""Products of many small matrices, where they are fastest.

On one thread of an AMD EPYC, A^T D of the first layer of VGG10 for 100 samples, (27 x 1156)
times (1156 x 16), takes 1.5 ms in numpy and 3.8 ms in torch, whose BLAS chooses narrower
vectors on this maker's processors.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor


def products(one: Tensor, other: Tensor) -> Tensor:
    """(b, K, L) times (b, L, M), in one of the dtypes that BLAS has."""
    if one.device.type == "cpu":
        return torch.from_numpy(np.matmul(one.numpy(), other.numpy()))
    return one @ other


@contextmanager
def threads_as_torch() -> Iterator[None]:
    """Let numpy and scipy compute with as many threads as torch."""
    with _libraries().limit(limits=torch.get_num_threads(), user_api="blas"):
        yield


@cache
def _libraries() -> ThreadpoolController:
    """Found once: looking for them takes milliseconds."""
    import scipy.linalg  # noqa: F401  brings a BLAS of its own

    return ThreadpoolController()

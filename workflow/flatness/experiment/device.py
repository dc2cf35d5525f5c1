"""Where a job computes, and with how many threads."""

import ctypes
import os
import sys

import torch
from torch import nn

from flatness.errors import DeviceError
from flatness.experiment.gpus import claim


def configure(device: str, threads: int) -> torch.device:
    """Choose the device of this process and make its arithmetic repeatable.

    TF32 is switched off and cuDNN made to choose deterministic algorithms without
    trying which is fastest. Jobs are spread over several GPUs. The thread count is set
    here and nowhere else, because sums over more threads round differently.

    Args:
        device: "auto", "cpu" or "cuda"; "auto" takes a GPU where there is one.
        threads: CPU threads of one operation.

    Raises:
        DeviceError: "cuda" was asked for and is absent.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "device = 'cuda', but torch finds no usable GPU. Allowed here: auto, cpu. Set device "
            "to one of these, or run where a GPU, its driver and a CUDA build of torch are present."
        )
    torch.set_num_threads(threads)
    _keep_freed_memory()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        # Read by cuBLAS when its first handle is made.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cuda.matmul.fp32_precision = "ieee"
        torch.backends.cudnn.conv.fp32_precision = "ieee"
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        return _gpu()
    return torch.device(device)


def _gpu() -> torch.device:
    """The only GPU, or the one of several that fewest jobs on this machine have."""
    count = torch.cuda.device_count()
    if count == 1 or sys.platform != "linux":
        return torch.device("cuda")
    # An index means another GPU to a job that sees others of them.
    chosen = claim([str(torch.cuda.get_device_properties(k).uuid) for k in range(count)])
    torch.cuda.set_device(chosen)
    return torch.device("cuda", chosen)


def _keep_freed_memory() -> None:
    """Make this process use freed memory again in the place of giving it back.

    Every iteration and every sweep needs the same tensors. Otherwise Linux hands out their
    pages anew each time, which takes a tenth of the time of a sweep.
    """
    mallopt = sys.platform == "linux" and getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # absent from C libraries other than glibc
        largest_from_heap, given_back_above = -3, -1  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
        mallopt(largest_from_heap, 2**30)
        mallopt(given_back_above, 2**31 - 1)


def memory_format(network: nn.Module, device: torch.device) -> torch.memory_format:
    """The memory format in which a network runs fastest.

    On the CPU, VGG10 trains 1.1 (8x8 inputs) to 1.4 times (32x32) as fast with the channels
    innermost, mostly because max-pooling is vectorised over them.
    """
    convolves = any(isinstance(module, nn.Conv2d) for module in network.modules())
    if convolves and device.type == "cpu":
        return torch.channels_last
    return torch.contiguous_format


def device_name(device: torch.device) -> str:
    """The device in words, for provenance."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"

"""Where a job computes, and with how many threads."""

import ctypes
import logging
import os
import sys

import torch
from torch import nn

from flatness.errors import DeviceError
from flatness.experiment.gpus import claim
from flatness.experiment.usable_gpu import built_for, driver, given_gpu, has_kernels, why_unusable

log = logging.getLogger(__name__)

# The GPU that this process took, of those that it sees.
_TAKEN: dict[tuple[str, ...], int] = {}


def configure(device: str, threads: int) -> torch.device:
    """Choose the device of this process, log it, and make its arithmetic repeatable.

    TF32 is switched off and cuDNN made to choose deterministic algorithms without
    trying which is fastest. Jobs are spread over several GPUs; a process keeps the one that it
    took. The thread count is set here and nowhere else, because sums over more threads round
    differently.

    Args:
        device: "auto", "cpu" or "cuda"; "auto" takes a GPU where there is one.
        threads: CPU threads of one operation.

    Raises:
        DeviceError: "cuda" was asked for, or "auto" by a job that was given a GPU, and torch
            cannot use one; or it has no kernels for the card.
    """
    torch.set_num_threads(threads)
    _keep_freed_memory()
    if device == "cpu" or not _gpu_is_usable(device):
        log.info("computing on the CPU with %d threads", threads)
        return torch.device("cpu")
    # Read by cuBLAS when its first handle is made.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "ieee"
    torch.backends.cudnn.rnn.fp32_precision = "ieee"
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    gpu = _gpu()
    _refuse_unless_it_has_kernels(gpu)
    log.info("computing on %s (%s): %s, %s", device_name(gpu), gpu, built_for(), driver())
    return gpu


def _gpu_is_usable(device: str) -> bool:
    """Whether there is one; where there must be, it is refused to go on without."""
    if torch.cuda.is_available():
        return True
    if device == "cuda":
        raise DeviceError(
            f"device = 'cuda', but torch finds no usable GPU: {why_unusable()}. Allowed here: "
            "auto, cpu. Set device to one of these, or run where a GPU, its driver and a CUDA "
            "build of torch are present."
        )
    given = given_gpu()
    if given:
        raise DeviceError(
            f"device = 'auto', and this job was given a GPU ({given}), but torch cannot use it: "
            f"{why_unusable()}. Allowed here: cpu. Set device to cpu, unset the variable, or mend "
            "the driver or the installation of torch, so that torch.cuda.is_available()."
        )
    return False


def _gpu() -> torch.device:
    """The only GPU, or the one of several that fewest jobs on this machine have."""
    count = torch.cuda.device_count()
    if count == 1 or sys.platform != "linux":
        return torch.device("cuda")
    # An index means another GPU to a job that sees others of them.
    names = tuple(str(torch.cuda.get_device_properties(k).uuid) for k in range(count))
    if names not in _TAKEN:
        _TAKEN[names] = claim(names)
    torch.cuda.set_device(_TAKEN[names])
    return torch.device("cuda", _TAKEN[names])


def _refuse_unless_it_has_kernels(gpu: torch.device) -> None:
    capability, architectures = torch.cuda.get_device_capability(gpu), torch.cuda.get_arch_list()
    if not has_kernels(capability, architectures):
        raise DeviceError(
            f"device: {device_name(gpu)} has compute capability {capability[0]}.{capability[1]}, "
            f"for which {built_for()} holds no kernels. Allowed: {', '.join(architectures)}. Set "
            "device to cpu, or install a torch that is built for this card."
        )


def _keep_freed_memory() -> None:
    """Make this process use freed memory again in the place of giving it back.

    Every iteration and every backward pass needs the same tensors. Otherwise Linux hands out their
    pages anew each time, which takes a tenth of the time of the passes.
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
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type

"""What the NVIDIA driver says, without loading torch."""

import ctypes


def visible_gpus() -> int:
    """How many GPUs the driver lets this process see."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value

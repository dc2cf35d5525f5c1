"""NVIDIA's Multi-Process Service: kernels of several processes run on one card at a time."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_CONTROL = "nvidia-cuda-mps-control"


@contextmanager
def multi_process_service() -> Iterator[str]:
    """While this lasts, processes that start share the card; yields why not, or an empty text."""
    if not shutil.which(_CONTROL):
        yield f"no {_CONTROL} here"
        return
    with tempfile.TemporaryDirectory() as folder:
        places = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        began = subprocess.run(
            [_CONTROL, "-d"], env=os.environ | places, capture_output=True, text=True, check=False
        )
        if began.returncode:
            yield f"{_CONTROL} does not start: {(began.stderr or began.stdout).strip()[:80]}"
            return
        before = {name: os.environ.get(name) for name in places}
        os.environ.update(places)
        try:
            yield ""
        finally:
            subprocess.run([_CONTROL], input="quit\n", text=True, capture_output=True, check=False)
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value

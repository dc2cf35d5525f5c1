"""Measuring changes nothing: arithmetic settings and generators are put back."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from flatness.measurement.products import threads_as_torch


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """Differentiate in full precision, whatever modes the caller has set.

    TF32 is off, gradients are recorded, autocast does not apply, numpy takes as many threads
    as torch, and torch's random generators afterwards stand where they stood.
    """
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)
    before = [backend.fp32_precision for backend in backends]
    cuda = device.type == "cuda"
    try:
        for backend in backends if cuda else ():
            backend.fp32_precision = "ieee"
        with (
            torch.random.fork_rng([device] if cuda else []),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(device.type, enabled=False),
            threads_as_torch(),
        ):
            yield
    finally:
        for backend, precision in zip(backends, before, strict=True) if cuda else ():
            backend.fp32_precision = precision

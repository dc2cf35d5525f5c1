"""A look at numbers of a device that does not keep the device waiting."""

import torch
from torch import Tensor


class Look:
    """Whether some numbers are all finite: asked for now, and answered when it is asked.

    On a GPU the answer is queued behind the work that it is about. Whoever queues more work before
    asking for it waits for the first work only, and the GPU for nobody.

    Args:
        values: of any shape.
    """

    def __init__(self, values: Tensor):
        self._finite, self._done = values.isfinite().all(), None
        if values.device.type == "cuda":
            # Only memory that stays in its place is copied to while Python goes on.
            there = torch.empty((), dtype=torch.bool, device="cpu", pin_memory=True)
            self._finite = there.copy_(self._finite, non_blocking=True)
            self._done = torch.cuda.Event()
            self._done.record()

    def all_finite(self) -> bool:
        """The answer; waits for the work it is about."""
        if self._done is not None:
            self._done.synchronize()
        return bool(self._finite)

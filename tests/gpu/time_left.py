"""The time of a slice."""

import time


class Clock:
    """Says how much of a time is left.

    Args:
        seconds: from now on.
    """

    def __init__(self, seconds: float):
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, not below 0."""
        return max(0.0, self._end - time.monotonic())

    def allows(self, seconds: float) -> bool:
        """Whether something that may take so long can be begun."""
        return self.left > seconds

"""One line at the bottom of a terminal, below whatever else is written there."""

import os
import sys
from typing import TextIO

# Back to the line's beginning, and nothing to its right.
_CLEAR = "\r\x1b[K"
_WIDTH = 80


def is_terminal(stream: TextIO) -> bool:
    """Whether a line can be redrawn there."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def make_room() -> None:
    """Take away the line that another process may have drawn where errors are written now."""
    if is_terminal(sys.stderr):
        sys.stderr.write(_CLEAR)
        sys.stderr.flush()


class LineBelow:
    """A stream that takes its line away before anything else is written.

    Args:
        stream: of the terminal.
    """

    def __init__(self, stream: TextIO):
        self._stream, self._drawn = stream, ""

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write something that stays."""
        self.clear()
        return self._stream.write(text)

    def draw(self, line: str) -> None:
        """Show this line in the place of the one before."""
        self._stream.write(f"{_CLEAR}{line}")
        self._stream.flush()
        self._drawn = line

    def clear(self) -> None:
        """Show none."""
        if self._drawn:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._drawn = ""

    @property
    def width(self) -> int:
        """Characters that a line may have: in the last column some terminals begin another."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return (columns or _WIDTH) - 1

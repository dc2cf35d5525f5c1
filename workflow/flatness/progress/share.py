"""What goes on tells how far it is, to whoever listens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Called with the share that is newly done.
_receive: ContextVar[Callable[[float], None] | None] = ContextVar("receive", default=None)


def done(share: float) -> None:
    """Tell whoever listens that this share of what goes on is newly done.

    Args:
        share: of the whole, or of the `part` around the call.
    """
    receive = _receive.get()
    if receive is not None:
        receive(share)


@contextmanager
def part(share: float) -> Iterator[None]:
    """Let what goes on be this share of what goes on around it."""
    receive = _receive.get()
    if receive is None:
        yield
    else:
        with listening(lambda inner: receive(share * inner)):
            yield


@contextmanager
def step(share: float) -> Iterator[None]:
    """A `part` that is done entirely at its end and no earlier, whatever is told within."""
    receive = _receive.get()
    if receive is None:
        yield
        return
    told = 0.0

    def hear(inner: float) -> None:
        nonlocal told
        inner = min(inner, 1 - told)
        told += inner
        receive(share * inner)

    with listening(hear):
        yield
    receive(share * (1 - told))


@contextmanager
def listening(receive: Callable[[float], None]) -> Iterator[None]:
    """Hear each share that is newly done of what goes on."""
    token = _receive.set(receive)
    try:
        yield
    finally:
        _receive.reset(token)


def heard() -> bool:
    """Whether somebody listens."""
    return _receive.get() is not None

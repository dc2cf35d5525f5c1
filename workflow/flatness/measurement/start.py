"""A module whose output is where the measured map begins, such as an embedding of tokens."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor, nn

from flatness.errors import MeasurementError
from flatness.measurement.selection import described


class Start:
    """What one module returns, taken from a network and put in the place of what it returns.

    The network goes on to be given its own inputs, as it may read them elsewhere, too, such as
    for a mask.

    Args:
        module: of the network; must be called once in each forward pass.
        name: of the module.
        given: (n, ...), the inputs of the network.
    """

    def __init__(self, module: nn.Module, name: str, given: Tensor):
        self._module, self._name, self._given = module, name, given

    def of(self, rows: slice | Sequence[int] | Tensor) -> Self:
        """The same of some of the samples."""
        return type(self)(self._module, self._name, self._given[rows])

    def values(self, call: Callable[[Tensor], Any], chunk_size: int, kind: Tensor) -> Tensor:
        """What the module returns.

        Args:
            call: of the network.
            chunk_size: samples that are taken together.
            kind: a tensor with the dtype and device that it must have.

        Returns:
            (n, ...), detached.

        Raises:
            MeasurementError: it is not called once, or does not return one tensor of that kind
                with the samples first.
        """
        found: list[Tensor] = []
        for samples in self._given.split(chunk_size):
            returned: list[Tensor] = []

            handle = self._module.register_forward_hook(self._noting(returned, len(samples), kind))
            try:
                call(samples.clone())
            finally:
                handle.remove()
            self._check_calls(len(returned))
            found.append(returned[0])
        return torch.cat(found)

    @contextmanager
    def returning(self, inputs: Tensor) -> Iterator[Tensor]:
        """Let the module return other values.

        Args:
            inputs: (n, ...), of the samples; copied, because the network may change them in place.

        Yields:
            What the network is to be given.

        Raises:
            MeasurementError: the module was not called once.
        """
        if len(self._given) != len(inputs):
            raise AssertionError(f"{len(inputs)} samples in the place of {len(self._given)}")
        calls = 0
        # Taken here, as the module may be called without gradients, as a frozen one is.
        copied = inputs.clone()

        def replace(_module: nn.Module, _arguments: tuple, _returned: Any) -> Tensor:
            nonlocal calls
            calls += 1
            return copied

        handle = self._module.register_forward_hook(replace)
        try:
            real = self._given.is_floating_point()
            yield self._given.to(inputs.dtype, copy=True) if real else self._given.clone()
        finally:
            handle.remove()
        self._check_calls(calls)

    def _noting(self, returned: list[Tensor], samples: int, kind: Tensor) -> Callable:
        def note(_module: nn.Module, _arguments: tuple, output: Any) -> None:
            self._check(output, samples, kind)
            # A copy, because what follows may work in place.
            returned.append(output.detach().clone())

        return note

    def _check_calls(self, calls: int) -> None:
        if calls != 1:
            raise MeasurementError(
                f"start = {self._name!r} is called {calls} times. Allowed: a module that is called "
                "once. Choose another, or wrap the network."
            )

    def _check(self, returned: Any, samples: int, kind: Tensor) -> None:
        if (
            not isinstance(returned, Tensor)
            or returned.ndim < 2
            or len(returned) != samples
            or (returned.dtype, returned.device) != (kind.dtype, kind.device)
        ):
            dtype = f" of {returned.dtype}" if isinstance(returned, Tensor) else ""
            raise MeasurementError(
                f"start = {self._name!r}: returned {described(returned)}{dtype}, for {samples} "
                f"samples. Allowed: one tensor of shape ({samples}, ...) and {kind.dtype}, as the "
                "parameters are. Choose another module."
            )
        if not returned.isfinite().all():
            raise MeasurementError(
                f"start = {self._name!r}: returned values that are not finite. Allowed: finite "
                "numbers. Measure other samples."
            )

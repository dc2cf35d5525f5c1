"""A device that is not the CPU, for machines without a GPU: its tensors lie in the CPU's memory.

It is made with torch's means for devices written in Python: the dispatch key PrivateUse1 has one
fallback, below autograd, that takes every operation. The operation is run by the CPU's kernel on
tensors of the CPU that share the memory, and what it returns is put on the device again. So
autograd, views, hooks and the threads of backward passes are those of any device, numbers are
those of the CPU, and what only a GPU does (kernels of its own, streams, graphs) is not there.

As on a GPU

- tensors of two devices in one operation are refused, but for single numbers, and for positions
  that pick out entries (which is slow there);
- no array of numpy is made of a tensor;
- values reach Python by an operation that waits for the device. These are counted.

Registering is for the whole process and cannot be undone; `install` does it once.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)

from tests.device.fused_lstm import lstm_cell, lstm_cell_backward

NAME = "standin"

aten = torch.ops.aten
_CPU = torch.device("cpu")
_KERNELS_OF_CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
# These wait for all work that was queued: results of a size, or values, that the host must know.
_WAITING = frozenset(
    f"aten::{name}"
    for name in (
        "_local_scalar_dense",
        "nonzero",
        "equal",
        "masked_select",
        "bincount",
        "_unique2",
        "unique_dim",
        "unique_consecutive",
        "repeat_interleave.Tensor",
    )
)
# On a GPU positions may lie on the CPU. They are copied: before one of these, or within the first.
_PUTTING = "aten::_index_put_impl_"
_CROSSING = frozenset({_PUTTING, *(f"aten::{name}" for name in ("index.Tensor_out", "_copy_from"))})
# What has no kernel on the CPU, by one that has.
_IN_THE_PLACE_OF: dict[str, Callable] = {
    "aten::convolution_overrideable": aten.convolution.default,
    "aten::_thnn_fused_lstm_cell": lstm_cell,
    "aten::_thnn_fused_lstm_cell_backward_impl": lstm_cell_backward,
}
# Launch nothing.
_ALLOCATING = ("aten::empty", "aten::new_empty", "aten::resize", "aten::set_")


class Counts:
    """What was done on the device.

    - operations: by name, those that would launch at least one kernel: no views, nothing that
      only allocates memory.
    - synchronisations: by name, those that would wait until all queued work is done.
    """

    def __init__(self):
        self.operations: Counter[str] = Counter()
        self.synchronisations: Counter[str] = Counter()


_COUNTING: list[Counts] = []


@contextmanager
def counting() -> Iterator[Counts]:
    """Count while this lasts, in all threads."""
    counts = Counts()
    _COUNTING.append(counts)
    try:
        yield counts
    finally:
        _COUNTING.remove(counts)


class _Module(_DummyBackendModule):
    """What torch asks a device for, as `torch.cuda` answers for a GPU."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]

    def get_rng_state(self, device: Any = None) -> Tensor:
        """Random numbers are those of the CPU's generator, which has a state of its own."""
        return torch.empty(0, dtype=torch.uint8, device=_CPU)

    def set_rng_state(self, state: Tensor, device: Any = None) -> None:
        """Nothing is to be put back."""


@cache
def install() -> torch.device:
    """The device; registers it at the first call."""
    _setup_privateuseone_for_python_backend(NAME, _Module())
    everything = torch.library.Library("_", "IMPL")
    everything.fallback(_run, "PrivateUse1")
    # Torch's own kernel for any device says that there is none.
    convolutions = torch.library.Library("aten", "IMPL")
    convolutions.impl("convolution_overrideable", _convolve, "PrivateUse1")
    convolutions.impl("convolution_backward_overrideable", _convolve_backward, "PrivateUse1")
    _LIBRARIES.extend([everything, convolutions])
    return torch.device(NAME, 0)


_LIBRARIES: list[torch.library.Library] = []  # what they register ends with them


def _convolve(*arguments: Any) -> Tensor:
    return _run(aten.convolution_overrideable.default, *arguments)


def _convolve_backward(gradient: Tensor, inputs: Tensor, weight: Tensor, *how: Any) -> Any:
    *geometry, mask = how
    bias = [weight.shape[1] * geometry[5] if geometry[3] else len(weight)]
    return _run(aten.convolution_backward.default, gradient, inputs, weight, bias, *geometry, mask)


def _run(operation: Any, *arguments: Any, **keywords: Any) -> Any:
    """One operation on the device, in the memory of the CPU, below autograd."""
    with torch._C.DisableTorchFunction(), torch._C._AutoDispatchBelowAutograd():
        return _Call(operation, arguments, keywords).result()


class _Call:
    def __init__(self, operation: Any, arguments: tuple, keywords: dict):
        self._operation, self._name = operation, operation.name()
        self._pairs: list[tuple[Tensor, Tensor]] = []  # on the device, and its twin on the CPU
        self._others: list[Tensor] = []
        self._arguments = [self._twins(value) for value in arguments]
        self._keywords = {name: self._twins(value) for name, value in keywords.items()}
        if self._keywords.get("device") is not None:
            self._keywords["device"] = _CPU
        self._refuse_mixed()

    def result(self) -> Any:
        if self._name.startswith("aten::_copy_from"):
            return self._copied()
        function = _IN_THE_PLACE_OF.get(self._name, self._operation)
        found = function(*self._arguments, **self._keywords)
        for tensor, twin in self._pairs:
            if tensor.data_ptr() != twin.data_ptr() or tensor.shape != twin.shape:
                _lay(tensor, _storage_of(twin), twin)  # it was resized
        self._launches = not self._name.startswith(_ALLOCATING)
        on_device = self._back(found)
        waits = self._name in _WAITING or (self._name == _PUTTING and self._positions_wait())
        self._count(self._launches, waits)
        return on_device

    def _twins(self, value: Any) -> Any:
        """An argument with tensors of the CPU in the place of those of the device."""
        if isinstance(value, Tensor):
            return self._twin(value)
        if isinstance(value, list | tuple):
            return type(value)(map(self._twins, value))
        return value

    def _back(self, value: Any) -> Any:
        """A result with tensors of the device in the place of those of the CPU."""
        if isinstance(value, list | tuple):
            return type(value)(map(self._back, value))
        if not isinstance(value, Tensor):
            return value
        memory = value.untyped_storage()
        for tensor, twin in self._pairs:
            if value is twin:
                return tensor
            if memory.nbytes() and memory.data_ptr() == twin.untyped_storage().data_ptr():
                self._launches = False
                return _lay(_empty(value.dtype), tensor.untyped_storage(), value)
        return _lay(_empty(value.dtype), _storage_of(value), value)

    def _copied(self) -> Tensor:
        """A copy within the device, or one that crosses; those to it may be left in a queue."""
        source, target = self._arguments[:2]
        asynchronous = any(flag is True for flag in self._arguments[2:])
        to_device = self._pairs[-1][1] is target
        crossing = len(self._pairs) == 1
        target.copy_(source)
        self._count(not crossing, crossing and not (asynchronous and to_device))
        return self._pairs[-1][0] if to_device else target

    def _twin(self, tensor: Tensor) -> Tensor:
        if tensor.device.type != NAME:
            self._others.append(tensor)
            return tensor
        for known, twin in self._pairs:
            if known is tensor:
                return twin
        memory = getattr(tensor.untyped_storage(), "memory", None)
        twin = torch.empty(0, dtype=tensor.dtype, device=_CPU)
        if memory is not None:
            twin.set_(memory, tensor.storage_offset(), tensor.shape, tensor.stride())
        self._pairs.append((tensor, twin))
        return twin

    def _refuse_mixed(self) -> None:
        if not self._pairs or self._name in _CROSSING:
            return
        if any(tensor.ndim for tensor in self._others):
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{NAME}:0 and {self._others[0].device}, in {self._name}"
            )

    def _positions_wait(self) -> bool:
        """Whether positions are copied to the device, or found where a mask is true."""
        positions = [each for each in self._arguments[1] if each is not None]
        away = any(one is other for one in positions for other in self._others)
        return away or any(one.dtype in (torch.bool, torch.uint8) for one in positions)

    def _count(self, launches: bool, waits: bool) -> None:
        for counts in _COUNTING:
            counts.operations[self._name] += launches
            counts.synchronisations[self._name] += waits


def _empty(dtype: torch.dtype) -> Tensor:
    return torch._C._acc.create_empty_tensor((0,), dtype)


def _storage_of(tensor: Tensor) -> torch.UntypedStorage:
    """A storage of the device that is the memory of a tensor of the CPU, and keeps it."""
    memory = tensor.untyped_storage()
    storage = torch._C._construct_storage_from_data_pointer(
        memory.data_ptr(), torch.device(NAME, 0), memory.nbytes()
    )
    storage.memory = memory
    return storage


def _lay(tensor: Tensor, storage: torch.UntypedStorage, like: Tensor) -> Tensor:
    """Let a tensor of the device have this storage, and shape, strides and offset of another."""
    where = like.storage_offset(), like.shape, like.stride()
    aten.set_.source_Storage_storage_offset.redispatch(_KERNELS_OF_CPU, tensor, storage, *where)
    return tensor

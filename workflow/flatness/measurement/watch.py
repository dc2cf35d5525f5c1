"""Notes what a network calculates without gradients, while it runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from flatness.measurement.frozen import FrozenNetwork

# What takes values out of autograd's graph although gradients are on.
_TAKING_OUT = ("detach", "detach_", "tolist", "item", "__float__")
_DATA = Tensor.data.__get__


class Watch(TorchFunctionMode):
    """Notes where differentiable numbers are used without gradients, up to the layer asked for.

    Gradients that somebody switched off count, by `torch.no_grad()` or otherwise. Inside the
    forward of an autograd function they are off, too, but there a backward replaces them.

    Args:
        network: what runs; names of its modules say where that is, "" is the network itself.

    - without_gradients: the outermost modules that were called while gradients were off, or
      the module that switched them off where it called none.
    - detached: the modules that detached a tensor or took its values.
    - parameters: where each parameter was first read without gradients, by its name.
    """

    def __init__(self, network: FrozenNetwork):
        super().__init__()
        self._model, self._layer = network.model, network.layer
        self._names = {id(leaf): name for name, leaf in network.leaves.items()}
        self._inside: list[str] = []
        self._switched_off = False
        # How many modules were being called when gradients were switched off.
        self._depth: int | None = None
        self._passed_layer = False
        self.without_gradients: list[str] = []
        self.detached: list[str] = []
        self.parameters: dict[str, str] = {}

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name == "_set_grad_enabled" and args and not args[0] and torch.is_grad_enabled():
            self._switched_off, self._depth = True, len(self._inside)
        result = func(*args, **(kwargs or {}))
        if self._passed_layer:
            return result
        if self._off():
            if _floats(result):
                self._note((args, kwargs))
        elif (name in _TAKING_OUT or func == _DATA) and _read(args):
            self.detached.append(self._inside[-1] if self._inside else "")
        return result

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While this lasts."""
        handles = []
        for name, module in self._model.named_modules():
            handles.append(module.register_forward_pre_hook(self._entering(name), prepend=True))
            handles.append(module.register_forward_hook(self._leaving, always_call=True))
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _entering(self, name: str) -> Callable:
        def enter(_module: nn.Module, _arguments: Any) -> None:
            self._off()
            self._inside.append(name)

        return enter

    def _leaving(self, _module: nn.Module, _arguments: Any, _output: Any) -> None:
        if self._inside.pop() == self._layer:
            self._passed_layer = True

    def _off(self) -> bool:
        """Whether somebody switched gradients off."""
        inference = torch.is_inference_mode_enabled()
        if torch.is_grad_enabled() and not inference:
            self._switched_off, self._depth = False, None
            return False
        if inference and self._depth is None:
            self._depth = len(self._inside)
        return inference or self._switched_off

    def _note(self, arguments: Any) -> None:
        read = _read(arguments)
        if not read:
            return
        called = self._inside[self._depth :] or self._inside[-1:]
        place = called[0] if called else ""
        self.without_gradients.append(place)
        for tensor in read:
            if id(tensor) in self._names:
                self.parameters.setdefault(self._names[id(tensor)], place)


def _read(values: Any) -> list[Tensor]:
    """The tensors among some arguments that can be differentiated."""
    return [tensor for tensor in _floats(values) if tensor.requires_grad]


def _floats(values: Any) -> list[Tensor]:
    """The tensors in a value that hold floating-point numbers."""
    if isinstance(values, Tensor):
        return [values] if values.is_floating_point() or values.is_complex() else []
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, tuple | list):
        return []
    return [tensor for value in values for tensor in _floats(value)]

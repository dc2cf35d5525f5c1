"""Measuring changes nothing: arithmetic settings, generators and attributes are put back."""

from collections.abc import Iterable, Iterator, MutableMapping, MutableSequence, MutableSet
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from flatness.measurement.products import threads_as_torch

_CONTAINERS = (MutableSequence, MutableMapping, MutableSet)


@contextmanager
def exact_arithmetic(device: torch.device, model: nn.Module) -> Iterator[None]:
    """Differentiate in full precision, whatever modes the caller has set.

    TF32 is off, gradients are recorded, autocast does not apply, numpy takes as many threads
    as torch, recurrent layers can be differentiated, and torch's random generators afterwards
    stand where they stood.
    """
    cuda = device.type == "cuda"
    with (
        full_float32_of_gpus(model) if cuda else nullcontext(),
        torch.random.fork_rng([device] if cuda else []),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        threads_as_torch(),
    ):
        yield


@contextmanager
def full_float32_of_gpus(model: nn.Module) -> Iterator[None]:
    """Switch TF32 off, and cuDNN where the model has recurrent layers.

    cuDNN's recurrent layers have no derivative in eval mode; torch's own have. Convolutions
    beside them then take longer. `torch.backends.cudnn.flags()` would not do: it raises once
    precisions were set for each kind of operation.
    """
    cudnn = torch.backends.cudnn
    backends = (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn)
    before, enabled = [backend.fp32_precision for backend in backends], cudnn.enabled
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        if any(isinstance(module, nn.RNNBase) for module in model.modules()):
            cudnn.enabled = False
        yield
    finally:
        cudnn.enabled = enabled
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


@contextmanager
def gradients_required(model: nn.Module) -> Iterator[None]:
    """Let every parameter require gradients for a while.

    What a checkpoint calculates once more during a backward pass reads the network's own
    parameters, and must find them as the forward pass found those in their place.
    """
    frozen = [p for p in model.parameters() if p.is_floating_point() and not p.requires_grad]
    frozen = [parameter for parameter in frozen if not parameter.is_inference()]
    for parameter in frozen:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


@contextmanager
def attributes_kept(model: nn.Module) -> Iterator[None]:
    """Put the attributes of all modules back: a forward pass may set them or add to them.

    The same objects stand where they stood; containers, also within one another, hold what they
    held, and tensors have the values that they had. Buffers are not looked at: what runs are
    copies of them.
    """
    modules = list(model.modules())
    attributes = [dict(vars(module)) for module in modules]
    kept = _Kept()
    for each in attributes:
        for name, value in each.items():
            kept.note(value, deep=name != "_buffers")
    try:
        yield
    finally:
        for module, before in zip(modules, attributes, strict=True):
            now = vars(module)
            for name in [name for name in now if name not in before]:
                del now[name]
            now.update(before)
        kept.put_back()


class _Kept:
    """What containers and tensors hold, to be put back."""

    def __init__(self):
        self._containers: dict[int, tuple[Any, Any]] = {}
        self._tensors: dict[int, tuple[Tensor, int | None, Tensor]] = {}
        self._tuples: set[int] = set()

    def note(self, value: Any, *, deep: bool = True) -> None:
        """Copy what a container or a tensor holds and, if deep, what is in the container."""
        if isinstance(value, Tensor):
            self._note_tensor(value)
        elif isinstance(value, _CONTAINERS):
            if id(value) not in self._containers:
                content = dict(value) if isinstance(value, MutableMapping) else list(value)
                self._containers[id(value)] = (value, content)
                for inner in _members(content) if deep else ():
                    self.note(inner)
        elif isinstance(value, tuple) and id(value) not in self._tuples:
            self._tuples.add(id(value))
            for inner in value:
                self.note(inner)

    def put_back(self) -> None:
        """Give everything what it held; what was not touched is left alone."""
        for container, before in self._containers.values():
            if _same(container, before):
                continue
            if isinstance(container, MutableSequence):
                while len(container):  # not every one has clear()
                    container.pop()
                container.extend(before)
            elif isinstance(container, MutableMapping):
                container.clear()
                container.update(before)
            else:
                container.clear()
                for each in before:
                    container.add(each)
        for tensor, version, before in self._tensors.values():
            if version is not None and tensor._version == version:
                continue
            with torch.inference_mode(tensor.is_inference()), torch.no_grad():
                tensor.detach().copy_(before)

    def _note_tensor(self, tensor: Tensor) -> None:
        if id(tensor) in self._tensors or is_lazy(tensor):
            return
        # Tensors made in inference mode do not count their changes.
        version = None if tensor.is_inference() else tensor._version
        self._tensors[id(tensor)] = (tensor, version, tensor.detach().clone())


def _members(content: dict | list) -> Iterable[Any]:
    return content.values() if isinstance(content, dict) else content


def _same(container: Any, before: Any) -> bool:
    """Whether a container holds the very objects that it held, in the same order."""
    now = container.items() if isinstance(container, MutableMapping) else container
    then = before.items() if isinstance(before, dict) else before
    if len(now) != len(then):
        return False
    if isinstance(before, dict):
        return all(a[0] is b[0] and a[1] is b[1] for a, b in zip(now, then, strict=True))
    return all(a is b for a, b in zip(now, then, strict=True))

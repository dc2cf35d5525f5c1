"""A network as a function that is differentiated and leaves no trace."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node, get_gradient_edge
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd

from flatness.errors import MeasurementError
from flatness.measurement.selection import Choice, selected
from flatness.measurement.start import Start

# Modules that apply a weight linearly; not all of these have closed forms.
LINEAR_MAPS = (nn.Linear, nn.Bilinear, _ConvNd)


@dataclass(frozen=True)
class ModuleCall:
    """One call of a module that applies a weight linearly.

    Args:
        module: the module.
        begins, ends: autograd numbers the operations in the order of calculation; these are
            the numbers of the first one of this call and of the first one after it.
        input: what the module was given, None where it was not one tensor that can be
            differentiated.
        outlet: the node of a view that only this module reads, where it pads its input.
        output: the node of what it returned; None where that was not one such tensor. Taken
            before anything can change input or output in place.
    """

    module: nn.Module
    begins: int
    ends: int
    input: Tensor | None
    outlet: Node | None
    output: Node | None


@dataclass(frozen=True)
class ForwardPass:
    """A differentiable forward pass.

    Args:
        inputs: the leaf at which derivatives with respect to the inputs are taken.
        output: (n, N), what was selected of what the network returned.
        calls: the calls of every module that applies a weight linearly, by its name.
    """

    inputs: Tensor
    output: Tensor
    calls: dict[str, list[ModuleCall]]


class FrozenNetwork:
    """A network as a function of leaves that stand in for its parameters.

    The network's own tensors are never differentiated, so their `requires_grad` and
    `grad` stay as they are; buffers are copies, so a forward pass may write to them.

    Args:
        model: the network.
        layer: name of a module whose flattened output is what the function returns; None
            for the output of the network.
        output: what is taken of that output, see `selection`; None for one tensor as it is.
        start: name of a module whose output is what the function is given (see `begin`); None
            for the inputs of the network.
        dtype: what parameters, buffers and inputs are converted to; None for what they are.

    Raises:
        MeasurementError: the network has no module of a name.
    """

    def __init__(
        self,
        model: nn.Module,
        layer: str | None = None,
        output: Choice | None = None,
        start: str | None = None,
        dtype: torch.dtype | None = None,
    ):
        modules = dict(model.named_modules())
        for role, name in (("layer", layer), ("start", start)):
            if name is not None and name not in modules:
                raise MeasurementError(
                    f"{role} = {name!r} is no module of the network. Allowed: "
                    f"{', '.join(repr(each) for each in modules if each)}. Choose one of these."
                )
        self.model, self.layer, self.output, self.start = model, layer, output, start
        self._start: Start | None = None
        self._dtype = dtype
        self.leaves = {
            name: self._converted(_detached_from_inference(parameter)).requires_grad_()
            for name, parameter in model.named_parameters()
        }
        self.buffers = {
            name: self._converted(buffer.detach().clone()) for name, buffer in model.named_buffers()
        }

    def begin(self, inputs: Tensor, chunk_size: int) -> Tensor:
        """What the function is a function of, for the samples to be measured.

        Args:
            inputs: (samples, ...), of the network.
            chunk_size: how many are taken together.

        Returns:
            (samples, ...): what the module `start` returns for them, or themselves, converted.

        Raises:
            MeasurementError: the module is not called once, or does not return one tensor with
                the samples first.
        """
        inputs = self._converted(inputs)
        if self.start is None:
            return inputs
        self._start = Start(self.model.get_submodule(self.start), self.start, inputs)
        tensors = self.leaves | self.buffers
        with torch.set_grad_enabled(torch.is_grad_enabled()):
            return self._start.values(
                lambda given: functional_call(self.model, tensors, (given,)),
                chunk_size,
                next(iter(self.leaves.values())),
            )

    def of(self, rows: slice | Sequence[int] | Tensor) -> Self:
        """The same function of some of the samples that `begin` was given."""
        if self._start is None:
            return self
        part = copy.copy(self)
        part._start = self._start.of(rows)
        return part

    def __call__(self, inputs: Tensor) -> Tensor:
        """(n, N): the network's output, or that of the layer asked for.

        Args:
            inputs: (n, ...); copied, because the network may change them in place.

        Raises:
            MeasurementError: the layer is not called once, or what is returned is no such tensor.
        """
        # A forward pass may leave gradients switched off.
        with torch.set_grad_enabled(torch.is_grad_enabled()):
            return self._called(self.leaves | self.buffers, inputs)

    def at(self, leaves: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """The output in float64 with other parameters, which may be some of them only."""
        tensors = self.leaves | self.buffers
        wide = {
            name: tensor.detach().double() if tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()
        }
        return self._called(wide | dict(leaves), inputs)

    def _converted(self, tensor: Tensor) -> Tensor:
        """In the dtype asked for, if it holds real numbers."""
        if self._dtype is None or not tensor.is_floating_point():
            return tensor
        return tensor.to(self._dtype)

    def _called(self, tensors: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        samples = len(inputs)
        # Copies, because the network may change them in place.
        starting = self._start.returning(inputs) if self._start else nullcontext(inputs.clone())
        with self._noting(outputs, samples), starting as given:
            returned = functional_call(self.model, tensors, (given,))
        if self.layer is None:
            return selected(returned, self.output, samples)
        if len(outputs) != 1:
            raise MeasurementError(
                f"layer = {self.layer!r} is called {len(outputs)} times. Allowed: a module that is "
                "called once. Choose another, or wrap the network."
            )
        return outputs[0]

    @contextmanager
    def _noting(self, outputs: list[Tensor], samples: int) -> Iterator[None]:
        """Note what the layer asked for returns, if any."""
        if self.layer is None:
            yield
            return
        whose = f"layer = {self.layer!r}"

        def note(_module: nn.Module, _arguments: tuple, returned: Any) -> None:
            found = selected(returned, self.output, samples, whose=whose, flatten=True)
            # A copy, because what follows may work in place.
            outputs.append(found.clone())

        handle = self.model.get_submodule(self.layer).register_forward_hook(note)
        try:
            yield
        finally:
            handle.remove()

    def record(self, inputs: Tensor) -> ForwardPass:
        """A forward pass on (n, *input_shape), recorded."""
        leaf = inputs.detach().clone().requires_grad_()
        calls: dict[str, list[ModuleCall]] = {}
        with self._recording(calls):
            output = self(leaf)
        return ForwardPass(leaf, output, calls)

    @contextmanager
    def _recording(self, calls: dict[str, list[ModuleCall]]) -> Iterator[None]:
        handles = []
        try:
            for name, module in self.model.named_modules():
                if isinstance(module, LINEAR_MAPS):
                    recorder = _Recorder(calls.setdefault(name, []))
                    handles.append(module.register_forward_pre_hook(recorder.before))
                    handles.append(module.register_forward_hook(recorder.after))
            yield
        finally:
            for handle in handles:
                handle.remove()


class _Recorder:
    """Hooks that note the calls of one module."""

    def __init__(self, calls: list[ModuleCall]):
        self._calls = calls
        self._begun: list[tuple[int, Tensor | None, Node | None]] = []

    def before(self, module: nn.Module, arguments: tuple) -> tuple | None:
        seen = arguments[0] if len(arguments) == 1 and _is_differentiated(arguments[0]) else None
        outlet = None
        if seen is not None and _may_pad(module):
            seen = seen.view_as(seen)
            outlet = get_gradient_edge(seen).node
            arguments = (seen,)
        self._begun.append((_next_number(), None if seen is None else _detached(seen), outlet))
        return arguments

    def after(self, module: nn.Module, _arguments: tuple, output: Any) -> None:
        begins, seen, outlet = self._begun.pop()
        node = get_gradient_edge(output).node if _is_differentiated(output) else None
        self._calls.append(ModuleCall(module, begins, _next_number(), seen, outlet, node))


def _detached_from_inference(parameter: Tensor) -> Tensor:
    """Detached; a copy where it was made in inference mode, which never requires gradients."""
    found = parameter.detach()
    return found.clone() if parameter.is_inference() else found


def _may_pad(module: nn.Module) -> bool:
    """Whether a module may make its input larger itself: repeats entries, or adds zeros.

    The second where the padding is to keep the extents and the kernel's are even.
    """
    mode, padding = getattr(module, "padding_mode", "zeros"), getattr(module, "padding", None)
    return mode != "zeros" or padding == "same"


def _is_differentiated(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _detached(tensor: Tensor) -> Tensor:
    """As `detach`, unseen by those who watch what the network does."""
    with torch._C.DisableTorchFunction():
        return tensor.detach()


def _next_number() -> int:
    """The number that autograd gives to the next operation on this thread."""
    with (
        torch._C.DisableTorchFunction(),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        probe = torch.empty((), device="cpu", requires_grad=True)
        return probe.view(()).grad_fn._sequence_nr()

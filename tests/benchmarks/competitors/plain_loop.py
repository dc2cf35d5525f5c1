"""Samples and outputs one after the other, as research code does it.

Each output of each sample is differentiated with respect to the input, to all parameters, and to
what enters and leaves each layer, with one backward pass for each of these.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tests.benchmarks.competitors import Primitives, layers_of, own_view, spectral_norms, squares


def plain_loop(network: nn.Module, inputs: Tensor) -> Primitives:
    """Dense Jacobians of each sample."""
    layers = layers_of(network)
    names, parameters = zip(*network.named_parameters(), strict=True)
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def record(name: str):
        def hook(_module, arguments, output):
            seen[name] = (arguments[0], output)

        return hook

    handles = [module.register_forward_pre_hook(own_view) for module in layers.values()]
    handles += [module.register_forward_hook(record(name)) for name, module in layers.items()]
    values: list[Tensor] = []
    sq_norms = {name: [] for name in names}
    sensitivities, output_sq_norms = ({name: [] for name in layers} for _ in range(2))
    for sample in inputs:
        leaf = sample[None].clone().requires_grad_()
        output = network(leaf)[0]
        (J,) = _jacobians(output, [leaf])
        values.append(torch.linalg.svdvals(J))
        for name, K in zip(names, _jacobians(output, parameters), strict=True):
            sq_norms[name].append(squares(K[None])[0])
        for name in seen:  # not all are called as modules
            into, out_of = _jacobians(output, seen[name])
            sensitivities[name].append(spectral_norms(into[None])[0])
            output_sq_norms[name].append(squares(out_of[None])[0])
    for handle in handles:
        handle.remove()
    stacked = (
        {name: torch.stack(column) for name, column in term.items() if column}
        for term in (sq_norms, sensitivities, output_sq_norms)
    )
    return Primitives(torch.stack(values), *stacked)


def _jacobians(output: Tensor, wanted: Sequence[Tensor]) -> list[Tensor]:
    """(N, entries) for each tensor, one backward pass for each output."""
    rows = [torch.autograd.grad(value, wanted, retain_graph=True) for value in output]
    return [torch.stack([row[k].flatten() for row in rows]) for k in range(len(wanted))]

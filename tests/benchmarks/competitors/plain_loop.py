"""Samples and outputs one after the other, one backward pass each, as research code does it."""

import torch
from torch import Tensor, nn

from competitors import Primitives, layers_of, own_view, spectral_norms, squares


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
    found = []
    for sample in inputs:
        leaf = sample[None].clone().requires_grad_()
        output = network(leaf)[0]
        wanted = [leaf, *parameters]
        wanted += [seen[name][0] for name in layers] + [seen[name][1] for name in layers]
        rows = [torch.autograd.grad(value, wanted, retain_graph=True) for value in output]
        found.append([torch.stack([row[k].flatten() for row in rows]) for k in range(len(wanted))])
        found[-1][0] = torch.linalg.svdvals(found[-1][0])
        for k in range(1, len(wanted)):
            last = k >= 1 + len(parameters) + len(layers)
            norm = k <= len(parameters) or last
            J = found[-1][k]
            found[-1][k] = squares(J[None])[0] if norm else spectral_norms(J[None])[0]
    for handle in handles:
        handle.remove()
    columns = [torch.stack(values) for values in zip(*found, strict=True)]
    first = 1 + len(parameters)
    return Primitives(
        columns[0],
        dict(zip(names, columns[1:first], strict=True)),
        dict(zip(layers, columns[first : first + len(layers)], strict=True)),
        dict(zip(layers, columns[first + len(layers) :], strict=True)),
    )

"""BackPACK's squared norms of per-sample gradients, beside the Jacobian from the same passes."""

import copy
import warnings

import torch
from backpack import backpack, extend
from backpack.extensions import BatchL2Grad
from torch import Tensor, nn

from tests.benchmarks.competitors import Primitives, layers_of, own_view, spectral_norms, squares


def backpack_norms(network: nn.Module, inputs: Tensor) -> Primitives:
    """One backward pass of the batch for each output."""
    with warnings.catch_warnings():
        # Of modules without an extension of their own: those inside them have one.
        warnings.simplefilter("ignore", UserWarning)
        return _norms(extend(copy.deepcopy(network).requires_grad_(True)), inputs)


def _norms(network: nn.Module, inputs: Tensor) -> Primitives:
    layers = layers_of(network)
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def record(name: str):
        def hook(_module, arguments, output):
            seen[name] = (arguments[0], output)
            for tensor in seen[name]:
                tensor.retain_grad()

        return hook

    handles = [module.register_forward_pre_hook(own_view) for module in layers.values()]
    handles += [module.register_forward_hook(record(name)) for name, module in layers.items()]
    leaf = inputs.clone().requires_grad_()
    output = network(leaf)
    n, outputs = output.shape
    sq_norms = {name: torch.zeros(n) for name, _ in network.named_parameters()}
    output_sq_norms = {name: torch.zeros(n) for name in layers}
    J = torch.empty(n, outputs, leaf[0].numel())
    by_layer = {name: torch.empty(n, outputs, s[0][0].numel()) for name, s in seen.items()}
    for j in range(outputs):
        leaf.grad = None
        for tensor in (tensor for both in seen.values() for tensor in both):
            tensor.grad = None
        with backpack(BatchL2Grad(), retain_graph=True):
            output[:, j].sum().backward(retain_graph=True)
        J[:, j] = leaf.grad.flatten(1)
        for name, parameter in network.named_parameters():
            sq_norms[name] += parameter.batch_l2
            parameter.grad = None
        for name, (into, out_of) in seen.items():
            by_layer[name][:, j] = into.grad.flatten(1)
            output_sq_norms[name] += squares(out_of.grad)
    for handle in handles:
        handle.remove()
    sensitivities = {name: spectral_norms(L) for name, L in by_layer.items()}
    return Primitives(torch.linalg.svdvals(J), sq_norms, sensitivities, output_sq_norms)

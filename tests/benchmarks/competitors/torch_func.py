"""`torch.func`: vmap over samples of jacrev over inputs, parameters and layers."""

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from tests.benchmarks.competitors import Primitives, layers_of, spectral_norms


def torch_func(network: nn.Module, inputs: Tensor, chunk_size: int = 10) -> Primitives:
    """Derivatives at layers are those with respect to zeros added there."""
    layers = layers_of(network)
    weights = {name: p.detach() for name, p in network.named_parameters()}
    shapes: dict[str, tuple[torch.Size, torch.Size]] = {}
    added: dict[str, tuple[Tensor, Tensor]] = {}

    def before(name: str):
        def hook(_module, arguments):
            return (arguments[0] + added[name][0],) if added else None

        return hook

    def after(name: str):
        def hook(_module, arguments, output):
            if not added:
                shapes[name] = (arguments[0].shape[1:], output.shape[1:])
                return None
            return output + added[name][1]

        return hook

    handles = [m.register_forward_pre_hook(before(name)) for name, m in layers.items()]
    handles += [m.register_forward_hook(after(name)) for name, m in layers.items()]
    with torch.no_grad():
        network(inputs[:1])
    zeros = {name: tuple(torch.zeros(1, *s) for s in both) for name, both in shapes.items()}

    def function(parameters, sample, changes):
        added.update(changes)
        return functional_call(network, parameters, (sample[None],))[0]

    def of_sample(sample):
        by_weight, by_input, by_layer = jacrev(function, argnums=(0, 1, 2))(weights, sample, zeros)
        # Reduced at once, so that no Jacobian of all samples is held.
        return (
            by_input.flatten(1),
            {name: J.square().sum() for name, J in by_weight.items()},
            {name: J[0].flatten(1) for name, J in by_layer.items()},
            {name: J[1].square().sum() for name, J in by_layer.items()},
        )

    J, sq_norms, by_layer, output_sq_norms = vmap(of_sample, chunk_size=chunk_size)(inputs)
    for handle in handles:
        handle.remove()
    sensitivities = {name: spectral_norms(L) for name, L in by_layer.items()}
    return Primitives(torch.linalg.svdvals(J), sq_norms, sensitivities, output_sq_norms)

"""Dense Jacobians, one sample and one output at a time, in float64.

Nothing of the package is used: each row is one call of autograd on a copy of the
network in which every parameter requires a gradient.
"""

import copy

import torch
from torch import Tensor, nn


def dense_jacobians(model: nn.Module, inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Input Jacobians and parameter Jacobians.

    Returns:
        (n, N, M), and by parameter (n, N, entries).
    """
    model = copy.deepcopy(model).double().eval().requires_grad_(True)
    names, parameters = zip(*model.named_parameters(), strict=True)
    by_input, by_parameter = [], {name: [] for name in names}
    for sample in inputs.double():
        x = sample[None].clone().requires_grad_()
        output = model(x * 1)[0]
        rows = [
            torch.autograd.grad(
                value,
                [x, *parameters],
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            for value in output
        ]
        by_input.append(torch.stack([row[0].flatten() for row in rows]))
        for k, name in enumerate(names, start=1):
            by_parameter[name].append(torch.stack([row[k].flatten() for row in rows]))
    return torch.stack(by_input), {name: torch.stack(K) for name, K in by_parameter.items()}

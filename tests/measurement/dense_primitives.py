"""Primitives of parameters and inputs in relation to their size, and of layers, densely.

Nothing of the package is used but the names that its measurements have: one sample and one output
at a time, by autograd in float64.
"""

import copy

import numpy as np
import torch
from torch import Tensor, nn

from tests.measurement.reference import dense_jacobians


def layer_jacobians(model: nn.Module, inputs: Tensor, layer: str) -> list[Tensor]:
    """df/dx^l through layer l alone, (N, entries of x^l) for each sample.

    It is the derivative with respect to a shift of what the layer is given.
    """
    model = copy.deepcopy(model).double().eval().requires_grad_(True)
    caught = []

    def shift(_module: nn.Module, arguments: tuple) -> tuple:
        caught.append(torch.zeros_like(arguments[0], requires_grad=True))
        return arguments[0] + caught[-1], *arguments[1:]

    model.get_submodule(layer).register_forward_pre_hook(shift)
    found = []
    for sample in inputs.double():
        output = model(sample[None].clone().requires_grad_() * 1)[0]
        rows = [
            torch.autograd.grad(value, caught[-1], retain_graph=True, materialize_grads=True)[0]
            for value in output
        ]
        found.append(torch.stack([row.flatten() for row in rows]).detach())
    return found


def log_volume(jacobian: Tensor) -> float:
    """Sum of the logarithms of all N singular values of (N, M); minus infinity for N > M."""
    N, M = jacobian.shape
    return -np.inf if N > M else float(torch.linalg.svdvals(jacobian).log().sum())


def adaptive_sq_norms(model: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    """By parameter, the sum over outputs and entries of (theta_p df_j/dtheta_p)^2, (samples,)."""
    _, K = dense_jacobians(model, inputs)
    values = {name: p.detach().double().flatten() for name, p in model.named_parameters()}
    return {name: (K[name] * values[name]).square().sum((1, 2)) for name in K}


def input_times_gradient_sq_norms(model: nn.Module, inputs: Tensor) -> Tensor:
    """||J diag(x)||_F^2, (samples,)."""
    J, _ = dense_jacobians(model, inputs)
    return (J * inputs.double().flatten(1)[:, None]).square().sum((1, 2))

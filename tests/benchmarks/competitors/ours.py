"""`flatness.measure`, operator norms and checks included."""

import torch
from torch import Tensor, nn

import flatness
from tests.benchmarks.competitors import Primitives


def ours(network: nn.Module, inputs: Tensor, chunk_size: int = 100) -> Primitives:
    """Through the public interface."""
    measured = flatness.measure(network, inputs, chunk_size=chunk_size)

    def columns(name: str, dimension: str) -> dict[str, Tensor]:
        values = torch.from_numpy(measured[name].values)
        return dict(zip(measured[dimension].values, values.unbind(1), strict=True))

    return Primitives(
        torch.from_numpy(measured["singular_value"].values),
        columns("parameter_gradient_sq_norm", "parameter"),
        columns("layer_sensitivity", "layer"),
        columns("layer_output_gradient_sq_norm", "layer"),
    )


def ours_in_part(network: nn.Module, inputs: Tensor) -> None:
    """Without adaptive norms and without the singular values of every layer's Jacobian."""
    only = ("sharpness", "log_volume", "mls", "mean_input_gradient_sq_norm", "mls_bound_d")
    flatness.measure(network, inputs, only=only)

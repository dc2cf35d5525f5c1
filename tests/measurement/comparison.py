"""What `measure` finds for a network, beside its dense Jacobians."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

import flatness
from tests.measurement.reference import dense_jacobians


class Then(nn.Module):
    """A network and what is done with its output."""

    def __init__(self, network: nn.Module, function: Callable[[Any], Tensor]):
        super().__init__()
        self.network, self.function = network, function

    def forward(self, x):
        return self.function(self.network(x))


def assert_as_dense(
    model: nn.Module,
    inputs: Tensor,
    *,
    rtol: float = 1e-9,
    chunk_size: int = 100,
    then: Callable[[Any], Tensor] | None = None,
    **options: Any,
) -> xr.Dataset:
    """Measure a network in float64 and compare every primitive that a dense Jacobian gives.

    Args:
        model: is put into eval mode and float64.
        inputs: (n, ...), are converted.
        rtol: of singular values relative to the largest one, and of squared norms relative to
            the largest one of the same parameter.
        chunk_size: as for `measure`.
        then: what makes (n, N) of the network's output, by hand; None where it is that.
        options: of `measure`.

    Returns:
        What was measured.
    """
    model, inputs = model.double().eval(), inputs.double()
    J, K = dense_jacobians(model if then is None else Then(model, then), inputs)
    K = {name.removeprefix("network.") if then else name: rows for name, rows in K.items()}
    measured = flatness.measure(model, inputs, chunk_size=chunk_size, **options)
    expected = torch.linalg.svdvals(J).numpy()
    expected = np.pad(expected, ((0, 0), (0, J.shape[1] - expected.shape[1])))
    values = measured["singular_value"].values
    assert values.shape == expected.shape
    assert np.abs(values - expected).max() <= rtol * expected.max(), "singular values"
    assert list(measured["parameter"].values) == list(K)
    sq_norms = {name: jacobian.square().sum((1, 2)).numpy() for name, jacobian in K.items()}
    total = sum(norms.max() for norms in sq_norms.values())
    for name, norms in sq_norms.items():
        found = measured["parameter_gradient_sq_norm"].sel(parameter=name).values
        # A parameter without influence has rounding where others have their norms.
        assert np.abs(found - norms).max() <= rtol * max(norms.max(), 1e-10 * total), name
    return measured

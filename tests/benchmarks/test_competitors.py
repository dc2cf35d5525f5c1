"""What the benchmarks compare gives the same numbers as dense Jacobians in float64."""

import pytest
import torch

from tests.benchmarks.competitors import layers_of
from tests.benchmarks.competitors.floor import floor
from tests.benchmarks.competitors.ours import ours
from tests.benchmarks.competitors.plain_loop import plain_loop
from tests.benchmarks.competitors.torch_func import torch_func
from tests.benchmarks.networks import NETWORKS, small
from tests.measurement.reference import dense_jacobians

WAYS = {"ours": ours, "plain loop": plain_loop, "torch.func": torch_func}


def _way(name):
    if name != "BackPACK":
        return WAYS[name]
    pytest.importorskip("backpack", reason="BackPACK is not installed (extra `bench`)")
    from tests.benchmarks.competitors.backpack_norms import backpack_norms

    return backpack_norms


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("way", [*WAYS, "BackPACK"])
def test_every_way_gives_the_same_numbers(network, way):
    model, inputs = small(network)
    J, K = dense_jacobians(model, inputs)
    found = _way(way)(model, inputs)
    assert torch.allclose(found.singular_values.double(), torch.linalg.svdvals(J), atol=1e-5)
    assert list(found.sq_norms) == list(K)
    for name, jacobian in K.items():
        assert torch.allclose(
            found.sq_norms[name].double(), jacobian.square().sum((1, 2)), rtol=1e-4
        ), name
    expected = plain_loop(model.double(), inputs.double())
    for name in layers_of(model):
        for term in ("sensitivities", "output_sq_norms"):
            got = getattr(found, term)[name].double()
            assert torch.allclose(got, getattr(expected, term)[name], rtol=1e-4), (term, name)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_floor_is_the_input_jacobian(network):
    model, inputs = small(network)
    J, _ = dense_jacobians(model, inputs)
    assert torch.allclose(floor(model, inputs).transpose(0, 1).flatten(2).double(), J, atol=1e-5)

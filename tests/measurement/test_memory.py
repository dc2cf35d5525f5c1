"""A small budget of memory: Jacobians come in several rounds, and give the same numbers."""

import numpy as np
import pytest
import torch
from torch import nn

import flatness
from flatness.measurement import chunk_terms

GIB = 2**30


def _convolutional() -> nn.Module:
    layers = [nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.Tanh()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(48, 4))


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(20, 15), nn.Tanh(), nn.Linear(15, 9), nn.Tanh(), nn.Linear(9, 4))


def _more_outputs() -> nn.Module:
    hidden = [layer for _ in range(3) for layer in (nn.Linear(7, 7), nn.Tanh())]
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), *hidden, nn.Linear(7, 12))


# A network and the shape of its samples.
NETWORKS = {
    "convolutional": (_convolutional, (2, 6, 6)),
    "MLP": (_mlp, (20,)),
    "more outputs than inputs": (_more_outputs, (5,)),
}


def _network(name: str, dtype: torch.dtype) -> tuple[nn.Module, torch.Tensor]:
    construct, shape = NETWORKS[name]
    torch.manual_seed(0)
    return construct().to(dtype).eval(), torch.randn(3, *shape, dtype=dtype)


def _budget(model: nn.Module, inputs: torch.Tensor, columns: int) -> int:
    """Bytes of that many columns of one sample's Jacobian."""
    return columns * model(inputs[:1]).numel() * inputs.element_size()


def _least(model: nn.Module, inputs: torch.Tensor) -> int:
    """Columns that take as much as the Gram matrix in float64, below which nothing is measured."""
    return model(inputs[:1]).numel() * 8 // inputs.element_size()


@pytest.fixture
def rounds_taken(monkeypatch) -> list[int]:
    """How many rounds each chunk took."""
    taken: list[int] = []
    real = chunk_terms.rounds

    def spy(*arguments):
        found = real(*arguments)
        taken.append(len(found))
        return found

    monkeypatch.setattr(chunk_terms, "rounds", spy)
    return taken


@pytest.mark.parametrize("more", [0, 1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_results_do_not_depend_on_the_memory(name, dtype, more, rounds_taken):
    model, inputs = _network(name, dtype)
    whole = flatness.measure(model, inputs)
    assert rounds_taken == [1]
    rounds_taken.clear()
    room = _least(model, inputs) + more
    few = flatness.measure(model, inputs, memory_gib=_budget(model, inputs, room) / GIB)
    assert len(rounds_taken) == len(inputs)  # one sample at a time
    columns = sum(_widths(model, inputs))
    assert set(rounds_taken) == {-(-columns // room)}
    assert min(rounds_taken) > 1
    rtol = 1e-5 if dtype == torch.float32 else 1e-10
    assert set(few) == set(whole)
    for variable in whole.data_vars:
        expected, found = whole[variable], few[variable]
        assert found.attrs == expected.attrs, variable
        atol = rtol * float(abs(expected).max()) if variable == "singular_value" else 0
        assert np.allclose(found, expected, rtol=rtol, atol=atol, equal_nan=True), variable
    assert (few["singular_value"][:, inputs[0].numel() :] == 0).all()


def _widths(model: nn.Module, inputs: torch.Tensor) -> list[int]:
    """Entries of the input of each layer; the first layer's is the network's."""
    widths = []
    for module in model:
        if isinstance(module, nn.Linear | nn.Conv2d):
            widths.append(inputs[0].numel())
        inputs = module(inputs)
    return widths


def test_small_singular_values_survive_in_rounds():
    """In float64 no Jacobian is squared, whatever its columns are grouped into."""
    model, inputs = _network("MLP", torch.float64)
    with torch.no_grad():
        model[0].weight[1:] *= 1e-11
    whole = flatness.measure(model, inputs)["singular_value"]
    few = flatness.measure(model, inputs, memory_gib=_budget(model, inputs, 4) / GIB)
    assert (whole[:, -1] < 1e-8 * whole[:, 0]).all()
    assert (whole[:, -1] > 0).all()
    assert np.allclose(few["singular_value"], whole, rtol=1e-3, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("tiny", [False, True])
def test_jacobians_stay_within_the_budget(tiny, dtype, monkeypatch):
    """Also where squares of tiny derivatives are taken once more in float64."""
    torch.manual_seed(0)
    outputs = 11
    model = nn.Sequential(nn.Linear(200, 150), nn.Tanh(), nn.Linear(150, outputs))
    if tiny:
        with torch.no_grad():
            model[2].weight *= 1e-25
    model, inputs = model.to(dtype).eval(), torch.randn(3, 200, dtype=dtype)
    made = []
    real = chunk_terms.Columns

    class Watched(real):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self._rows.numel() * self._rows.element_size())

    monkeypatch.setattr(chunk_terms, "Columns", Watched)
    for columns in (350, 90, 40):
        made.clear()
        budget = _budget(model, inputs, columns)
        flatness.measure(model, inputs, memory_gib=budget / GIB)
        assert made
        assert max(made) <= budget
        assert max(made) > budget / 2

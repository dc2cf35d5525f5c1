"""Outputs that are not one tensor (n, N): selected by hand, or refused with what would work."""

import collections
import dataclasses
import re

import numpy as np
import pytest
import torch
from torch import nn

import flatness
from flatness.errors import MeasurementError
from tests.measurement.comparison import assert_as_dense
from tests.measurement.reference import dense_hessian_trace

Named = collections.namedtuple("Named", ["hidden", "logits"])


@dataclasses.dataclass
class Output:
    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    hidden_states: tuple | None = None


class ModelOutput(collections.OrderedDict):
    """As in Hugging Face's transformers: a mapping with attributes."""

    def __getattr__(self, name):
        return self[name]


class Returning(nn.Module):
    """Returns what a function makes of its logits (n, 2) and its hidden layer (n, 3, 4)."""

    def __init__(self, function):
        super().__init__()
        self.first, self.last = nn.Linear(6, 12), nn.Linear(12, 2)
        self.function = function

    def forward(self, x):
        hidden = torch.tanh(self.first(x))
        return self.function(self.last(hidden), hidden.unflatten(1, (3, 4)))


@pytest.fixture
def inputs():
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


# What is returned, the choice, and the same by hand.
CHOICES = {
    "name in a dict": (lambda y, h: {"h": h, "logits": y}, "logits", lambda r: r["logits"]),
    "name of something with more axes": (
        lambda y, h: {"h": h, "logits": y},
        "h",
        lambda r: r["h"].flatten(1),
    ),
    "dataclass": (lambda y, h: Output(None, y), "logits", lambda r: r.logits),
    "path in a dataclass": (
        lambda y, h: Output(None, y, (y, h)),
        "hidden_states.-1",
        lambda r: r.hidden_states[-1].flatten(1),
    ),
    "index without what is None": (lambda y, h: Output(None, y), 0, lambda r: r.logits),
    "mapping of transformers": (
        lambda y, h: ModelOutput(logits=y, hidden_states=(h,)),
        "logits",
        lambda r: r["logits"],
    ),
    "path in a mapping": (
        lambda y, h: ModelOutput(logits=y, hidden_states=(h,)),
        "hidden_states.0",
        lambda r: r["hidden_states"][0].flatten(1),
    ),
    "named tuple": (lambda y, h: Named(h, y), "logits", lambda r: r[1]),
    "tuple": (lambda y, h: (h, y), 1, lambda r: r[1]),
    "from the end": (lambda y, h: [y, h], -1, lambda r: r[1].flatten(1)),
    "index as a word": (lambda y, h: (h, y), "1", lambda r: r[1]),
    "flattened": (lambda y, h: h, "flatten", lambda r: r.flatten(1)),
    "the last position": (lambda y, h: h, -1, lambda r: r[:, -1]),
    "one output": (lambda y, h: y, 1, lambda r: r[:, 1:]),
    "function": (
        lambda y, h: {"h": h},
        lambda r: r["h"].mean(1),
        lambda r: r["h"].mean(1),
    ),
    "function that gives more axes": (
        lambda y, h: (h, y),
        lambda r: r[0],
        lambda r: r[0].flatten(1),
    ),
    "a name with a dot": (lambda y, h: {"a.b": y, "a": h}, "a.b", lambda r: r["a.b"]),
    "number as a key": (lambda y, h: {7: h, 1: y}, 1, lambda r: r[1]),
    "vector": (lambda y, h: y.sum(1), None, lambda r: r[:, None]),
    "vector in a dict": (lambda y, h: {"value": y[:, 0]}, "value", lambda r: r["value"][:, None]),
    "squeezed": (lambda y, h: y.sum(1, keepdim=True).squeeze(), None, lambda r: r.reshape(-1, 1)),
}


@pytest.mark.parametrize("chunk_size", [1, 100])
@pytest.mark.parametrize("case", CHOICES)
def test_as_selected_by_hand(inputs, case, chunk_size):
    function, choice, by_hand = CHOICES[case]
    torch.manual_seed(1)
    network = Returning(function)
    found = assert_as_dense(network, inputs, output=choice, then=by_hand, chunk_size=chunk_size)
    with torch.no_grad():
        expected = by_hand(network(inputs))
    np.testing.assert_allclose(found["network_output"], expected, rtol=1e-12)
    words = choice.__qualname__ if callable(choice) else None if choice is None else str(choice)
    assert found.attrs.get("output") == words


def test_parameters_without_a_closed_form_and_squeezed_samples(inputs):
    """Each sample is run on its own, which leaves a squeezing network no axis at all."""

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.randn(6, 6))

        def forward(self, x):
            return torch.einsum("ni,ij,nj->n", x, self.w @ self.w, x).squeeze()

    assert_as_dense(Own(), inputs, then=lambda r: r.reshape(-1, 1))


def test_a_layer_that_returns_a_tuple(inputs):
    torch.manual_seed(1)
    inner = Returning(lambda y, h: (y, h))
    network = nn.Sequential(inner, Taking(1), nn.Linear(12, 3)).double().eval()
    found = flatness.measure(network, inputs, layer="0", output=1)
    expected = flatness.measure(nn.Sequential(inner, Taking(1)).eval(), inputs)
    np.testing.assert_allclose(found["singular_value"], expected["singular_value"], rtol=1e-10)
    with pytest.raises(
        MeasurementError, match=r"^layer = '0': returned a tuple with 0 \(.*output=0"
    ):
        flatness.measure(network, inputs, layer="0")


def test_a_layer_whose_container_is_changed_later(inputs):
    torch.manual_seed(1)
    network = nn.Sequential(Returning(lambda y, h: Output(logits=y)), Doubling()).double().eval()
    with torch.no_grad():
        logits = network[0](inputs).logits
    found = flatness.measure(network, inputs, layer="0", output="logits")
    np.testing.assert_allclose(found["network_output"], logits, rtol=1e-12)


class Taking(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.k = k

    def forward(self, x):
        return x[self.k].flatten(1)


class Doubling(nn.Module):
    def forward(self, x):
        return x.logits.mul_(2)


def test_the_curvature_of_what_is_selected(inputs):
    torch.manual_seed(1)
    network = Returning(lambda y, h: {"h": h, "logits": y}).double().eval()
    targets = torch.randn(5, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    primitives = flatness.measure(network, inputs, output="logits")
    curved = flatness.curvature(network, inputs, targets, output="logits")
    found = flatness.quantities(primitives.merge(curved))["hessian_trace"]

    def loss(returned):
        return (returned["logits"] - targets).square().sum() / (2 * len(inputs))

    assert float(found) == pytest.approx(dense_hessian_trace(network, inputs, loss), rel=1e-9)


def test_a_vector_ends_with_its_linear_layer(inputs):
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0))
    found = flatness.measure(network.double().eval(), inputs)
    assert found["layer_weight_frobenius_norm"].attrs["output_layer"] == "2"


# What is returned, what is chosen, and what the refusal says.
REFUSED = {
    "dict": (
        lambda y, h: {"h": h, "logits": y},
        None,
        r"^model: returned a dict with 'h' \(5, 3, 4\), 'logits' \(5, 2\), for 5 samples\. "
        r"Allowed: one tensor of shape \(5, N\)\. Give output='logits'\.$",
    ),
    "dataclass with a loss": (
        lambda y, h: Output(y.sum(), y),
        None,
        r"returned a Output with 'loss' \(\), 'logits' \(5, 2\), .* Give output='logits'\.",
    ),
    "tuple": (
        lambda y, h: (y, h),
        None,
        r"returned a tuple with 0 \(5, 2\), 1 \(5, 3, 4\), .* Give output=0\.",
    ),
    "within each other": (
        lambda y, h: {"all": (y.sum(), h)},
        None,
        r"returned a dict with 'all' tuple, .* Give output='all\.1'\.",
    ),
    "more axes": (
        lambda y, h: h,
        None,
        r"returned a tensor of shape \(5, 3, 4\), .* Give output='flatten' for all 12 numbers of a "
        r"sample, or output=-1 for those at the last position of the second axis\.",
    ),
    "a loss": (
        lambda y, h: y.mean(),
        None,
        r"returned a tensor of shape \(\), .* keep the samples as the first axis",
    ),
    "a loss in a dict": (
        lambda y, h: {"loss": y.mean()},
        None,
        r"returned a dict with 'loss' \(\), .* Wrap the network",
    ),
    "a loss that was chosen": (
        lambda y, h: {"loss": y.mean(), "logits": y},
        "loss",
        r"'logits' \(5, 2\), of which output='loss' gives a tensor of shape \(\), .* Give "
        r"output='logits'\.",
    ),
    "an absent name": (
        lambda y, h: {"out": y},
        "logits",
        r"^output='logits': model returned a dict with 'out' \(5, 2\), .* Give output='out'\.",
    ),
    "an absent index": (lambda y, h: (y, h), 2, r"^output=2: model returned a tuple with 0 \(5"),
    "an index beyond the second axis": (
        lambda y, h: h,
        3,
        r"^output=3: model returned a tensor of shape \(5, 3, 4\), for 5 samples\.",
    ),
    "a function that fails": (
        lambda y, h: {"out": y},
        lambda r: r["logits"],
        r"^output: the function raised KeyError: 'logits', on a dict with 'out' \(5, 2\)\. Allowed",
    ),
    "a function that returns no tensor": (
        lambda y, h: (y, h),
        lambda r: r,
        r"of which the function of output gives a tuple with 0 \(5, 2\), 1 .* Give output=0\.",
    ),
    "nothing": (lambda y, h: None, None, r"^model: returned a NoneType, for 5 samples\. Allowed"),
    "many entries": (
        lambda y, h: {f"n{k}": y for k in range(9)},
        None,
        r"'n5' \(5, 2\) and 3 more, for 5 samples\. .* Give output='n0'\.",
    ),
    "samples on another axis": (
        lambda y, h: y.mT,
        None,
        r"returned a tensor of shape \(2, 5\), for 5 samples\. .* keep the samples as the first",
    ),
    "no gradient": (lambda y, h: {"label": y.argmax(1)}, "label", r"its output has no gradient"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_what_would_work(inputs, case):
    function, choice, message = REFUSED[case]
    network = Returning(function).double().eval()
    with pytest.raises(MeasurementError) as caught:
        flatness.measure(network, inputs, output=choice)
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)
    works = re.search(r"Give output=(\S+?)[.,]?(?: for|$)", str(caught.value))
    if works:
        choice = works[1].strip("'")
        flatness.measure(network, inputs, output=int(choice) if choice.isdigit() else choice)

"""Networks of tokens, measured from a module on: as the rest of them, written by hand."""

import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import flatness
from flatness.errors import MeasurementError
from tests.measurement.reference import dense_hessian_trace, dense_jacobians


class Classifier(nn.Module):
    """Reads the tokens twice: in the embedding, and for the mask."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 4, padding_idx=0)
        self.position = nn.Parameter(0.3 * torch.randn(5, 4))
        self.block = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True)
        self.head = nn.Linear(4, 2)

    def rest(self, h, tokens):
        padding = tokens == 0
        z = self.block(h + self.position, src_key_padding_mask=padding)
        return self.head((z * ~padding[..., None]).sum(1))

    def forward(self, tokens):
        return self.rest(self.embedding(tokens), tokens)


class Tied(nn.Module):
    """The weight of the embedding is that of the head, too; logits (n, T, V)."""

    def __init__(self):
        super().__init__()
        self.embedding, self.inner = nn.Embedding(9, 4), nn.Linear(4, 4)
        self.head = nn.Linear(4, 9, bias=False)
        self.head.weight = self.embedding.weight

    def rest(self, h, tokens):
        return self.head(torch.tanh(self.inner(h)).cumsum(1))

    def forward(self, tokens):
        return self.rest(self.embedding(tokens), tokens)


class Own(nn.Module):
    """A parameter without a closed form, a lookup besides, and a change in place."""

    def __init__(self):
        super().__init__()
        self.embedding, self.weights = nn.Embedding(9, 4), nn.Embedding(9, 1)
        self.w = nn.Parameter(torch.randn(4, 4))

    def rest(self, h, tokens):
        h.mul_(1 + self.weights(tokens))
        return torch.stack([torch.einsum("nti,ij,ntj->n", h, self.w @ self.w, h)], 1)

    def forward(self, tokens):
        return self.rest(self.embedding(tokens), tokens)


class Rest(nn.Module):
    """The map from the embeddings of some tokens."""

    def __init__(self, network, tokens, select):
        super().__init__()
        self.network, self.tokens, self.select = network, tokens, select

    def forward(self, h):
        return self.select(self.network.rest(h, self.tokens))


def _as_it_is(returned):
    return returned


def _last(returned):
    return returned[:, -1]


NETWORKS = {
    "mask": (Classifier, None, _as_it_is),
    "tied": (Tied, -1, _last),
    "own": (Own, None, _as_it_is),
}


@pytest.fixture
def tokens():
    drawn = torch.randint(1, 9, (6, 5), generator=torch.Generator().manual_seed(0))
    drawn[1, 3:] = 0
    return drawn


def _made(case):
    make, choice, select = NETWORKS[case]
    torch.manual_seed(3)
    return make().double().eval(), choice, select


@pytest.mark.parametrize("chunk_size", [1, 4, 100])
@pytest.mark.parametrize("case", NETWORKS)
def test_the_rest_of_the_network_by_hand(tokens, case, chunk_size):
    network, choice, select = _made(case)
    found = flatness.measure(
        network, tokens, start="embedding", output=choice, chunk_size=chunk_size
    )
    h = network.embedding(tokens).detach()
    every = [
        dense_jacobians(Rest(network, tokens[i : i + 1], select), h[i : i + 1]) for i in range(6)
    ]
    J = torch.cat([by_input for by_input, _ in every])
    np.testing.assert_allclose(
        found["singular_value"], torch.linalg.svdvals(J), rtol=1e-9, atol=1e-10
    )
    np.testing.assert_allclose(found["input_norm"], h.flatten(1).norm(dim=1), rtol=1e-12)
    np.testing.assert_allclose(
        found["network_output"], select(network(tokens)).detach(), rtol=1e-10
    )
    names = list(every[0][1])
    expected = {
        name.removeprefix("network."): torch.cat([K[name] for _, K in every]).square().sum((1, 2))
        for name in names
    }
    behind = {name: values for name, values in expected.items() if values.any()}
    assert set(found["parameter"].values) == set(behind)
    assert ("embedding.weight" in behind) == (case == "tied")
    for name, values in behind.items():
        np.testing.assert_allclose(
            found["parameter_gradient_sq_norm"].sel(parameter=name),
            values,
            rtol=1e-9,
            atol=1e-12,
            err_msg=name,
        )
    assert found.attrs["start"] == "embedding"


@pytest.mark.parametrize("chunk_size", [4, 100])
def test_estimates_from_a_start(tokens, chunk_size):
    """Of one output, each combination is that output or its negative; some has no closed form."""
    network, _, _ = _made("own")
    options = {"start": "embedding", "chunk_size": chunk_size}
    exact = flatness.measure(network, tokens, **options)
    found = flatness.measure(network, tokens, probes=2, **options)
    for name in ("parameter_gradient_sq_norm", "parameter_adaptive_sq_norm"):
        np.testing.assert_allclose(found[name], exact[name], rtol=1e-10, err_msg=name)
    assert (exact["parameter_gradient_sq_norm"].sel(parameter="w") > 0).all()
    np.testing.assert_allclose(
        found["input_jacobian_norm"], exact["singular_value"].isel(mode=0), rtol=1e-6
    )


@pytest.mark.parametrize("case", ["mask", "tied", "own"])
def test_the_curvature_in_the_parameters_behind(tokens, case):
    network, choice, select = _made(case)
    outputs = select(network(tokens)).shape[1]
    targets = torch.randn(6, outputs, generator=torch.Generator().manual_seed(1)).double()
    options = {"start": "embedding", "output": choice}
    primitives = flatness.measure(network, tokens, **options)
    curved = flatness.curvature(network, tokens, targets, exact_products=10**6, **options)
    found = float(flatness.quantities(primitives.merge(curved))["hessian_trace"])
    h = network.embedding(tokens).detach()

    def loss(output):
        return (output - targets).square().sum() / (2 * len(tokens))

    expected = dense_hessian_trace(Rest(network, tokens, select), h, loss)
    assert found == pytest.approx(expected, rel=1e-8)


def test_as_the_modules_behind_a_middle_layer():
    torch.manual_seed(3)
    network = nn.Sequential(
        nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3), nn.Tanh()
    )
    network.double().eval()
    behind = network[2:5].eval()
    inputs = torch.randn(7, 6, dtype=torch.float64)
    found = flatness.measure(network, inputs, start="1", layer="4", chunk_size=3)
    expected = flatness.measure(behind, network[:2](inputs).detach(), chunk_size=3)
    assert list(found["parameter"].values) == ["2.weight", "2.bias", "4.weight", "4.bias"]
    assert found["layer_operator_norm"].attrs["input_layer"] == "2"
    for name in ("singular_value", "parameter_gradient_sq_norm", "layer_sensitivity"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12)
    quantities = flatness.quantities(found)
    for name, value in flatness.quantities(expected).items():
        if "layer" not in value.dims:
            np.testing.assert_allclose(quantities[name], value, rtol=1e-10, err_msg=name)
    flatness.bounds(found)


@pytest.mark.parametrize("kind", ["tokens", "numbers"])
def test_one_number_for_each_sample(kind):
    torch.manual_seed(3)
    if kind == "tokens":
        first, inputs = nn.Embedding(7, 3), torch.tensor([1, 0, 6, 6])
    else:
        first = nn.Sequential(nn.Unflatten(0, (-1, 1)), nn.Linear(1, 3))
        inputs = torch.tensor([1.0, 0.5, -2.0, 3.0], dtype=torch.float64)
    network = nn.Sequential(first, nn.Linear(3, 2)).double().eval()
    found = flatness.measure(network, inputs, start="0")
    expected = torch.linalg.svdvals(network[1].weight.detach()).expand(4, 2)
    np.testing.assert_allclose(found["singular_value"], expected, rtol=1e-12)
    squares = 2 * network[0](inputs).detach().square().sum(1)
    of_weight = found["parameter_gradient_sq_norm"].sel(parameter="1.weight")
    np.testing.assert_allclose(of_weight, squares, rtol=1e-12)


def test_squares_that_float32_does_not_hold(tokens):
    """Samples that are taken once more are given with their own tokens."""
    network, *_ = _made("mask")
    network.head.weight.data *= torch.tensor([[1e-25], [1.0]], dtype=torch.float64)
    network.head.weight.data[1] = 0
    wide = flatness.measure(network, tokens, start="embedding")
    narrow = flatness.measure(network.float(), tokens, start="embedding")
    for name in ("block.linear1.weight", "position"):
        np.testing.assert_allclose(
            narrow["parameter_gradient_sq_norm"].sel(parameter=name),
            wide["parameter_gradient_sq_norm"].sel(parameter=name),
            rtol=1e-3,
        )


def test_the_network_is_left_as_it_was(tokens):
    network, *_ = _made("mask")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    given = tokens.clone()
    flatness.measure(network, tokens, start="embedding")
    assert not network.embedding._forward_hooks
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert torch.equal(tokens, given)


def test_a_gradient_that_ends_behind_the_start(tokens):
    class Cut(Classifier):
        def rest(self, h, tokens):
            with torch.no_grad():
                h = self.block(h + self.position)
            return self.head(h.sum(1))

    torch.manual_seed(3)
    with pytest.raises(MeasurementError, match=r"the gradient ends in modules? .*'block'"):
        flatness.measure(Cut().double().eval(), tokens, start="embedding")


def test_what_is_frozen_before_the_start_is_no_cut(tokens):
    class Frozen(Classifier):
        def forward(self, tokens):
            with torch.no_grad():
                h = self.embedding(tokens)
            return self.rest(h, tokens)

    torch.manual_seed(3)
    found = flatness.measure(Frozen().double().eval(), tokens, start="embedding")
    network, *_ = _made("mask")
    expected = flatness.measure(network, tokens, start="embedding")
    np.testing.assert_array_equal(found["singular_value"], expected["singular_value"])


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.unused, self.head = nn.Embedding(9, 4), nn.Linear(4, 4), nn.LSTM(4, 2)
        self.integers = nn.Identity()

    def forward(self, tokens):
        both = self.embedding(self.integers(tokens)) + self.embedding(tokens.flip(1))
        return self.head(both)[0].sum(1)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("absent", r"^start = 'absent' is no module of the network\. Allowed: 'embedding', 'unus"),
        ("embedding", r"^start = 'embedding' is called 2 times\. Allowed: a module that is called"),
        ("unused", r"^start = 'unused' is called 0 times\."),
        ("head", r"^start = 'head': returned a tuple with 0 \(6, 5, 2\), 1 tuple, for 6 samples\."),
        ("integers", r"^start = 'integers': returned a tensor of shape \(6, 5\) of torch\.int64, "),
    ],
)
def test_refused(tokens, start, message):
    with pytest.raises(MeasurementError, match=message):
        flatness.measure(Twice().double().eval(), tokens, start=start)


def test_a_start_that_is_not_on_the_way(tokens):
    class Aside(Classifier):
        def forward(self, tokens):
            self.head(self.embedding(tokens))
            return self.rest(functional.embedding(tokens, self.embedding.weight), tokens)

    with pytest.raises(MeasurementError, match=r"^start = 'embedding': the output does not depend"):
        flatness.measure(Aside().double().eval(), tokens, start="embedding")


@pytest.mark.parametrize(("case", "output"), [("mask", None), ("tied", "flatten")])
def test_tokens_without_a_start_are_told_the_call_that_works(tokens, case, output):
    network, *_ = _made(case)
    with pytest.raises(MeasurementError) as caught:
        flatness.measure(network, tokens, output=output)
    (start,) = re.findall(
        r"^inputs: torch\.int64, .* For tokens call flatness\.measure\(model, inputs, "
        r"start='(\w+)'\), for the map",
        str(caught.value),
    )
    flatness.measure(network, tokens, start=start, output=output)


def test_numbers_of_one_kind_are_asked_for_behind_the_start(tokens):
    network, *_ = _made("mask")
    network.head.float()
    with pytest.raises(
        MeasurementError,
        match=r"parameter 'position': torch\.float64 on cpu, but parameter 'head\.weight' is torch",
    ):
        flatness.measure(network, tokens, start="embedding")

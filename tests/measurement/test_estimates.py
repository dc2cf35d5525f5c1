"""Estimates from random combinations of the outputs, against the exact way and dense Jacobians."""

import itertools
import random

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import flatness
from flatness.errors import MeasurementError
from flatness.measurement import estimating, probing
from flatness.measurement.probes import Probes
from flatness.measurement.wanted import _ESTIMATED_PARTS, _PARTS
from tests.measurement.architectures import ARCHITECTURES, SAMPLES, network
from tests.measurement.reference import dense_jacobians

MEANS = (
    "parameter_gradient_sq_norm",
    "parameter_adaptive_sq_norm",
    "layer_output_gradient_sq_norm",
    "input_times_gradient_sq_norm",
)


@pytest.fixture
def every_sign(monkeypatch):
    """All 2^N combinations in the place of random ones: their mean is the sum over outputs."""

    def signs(self, first, samples, outputs):
        every = torch.tensor(list(itertools.product((1, -1), repeat=outputs)), dtype=torch.int8)
        return every.expand(samples, -1, -1)

    monkeypatch.setattr(Probes, "signs", signs)


# Its many combinations of large images take long, and vgg10-8x8 has the same layers.
@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "vgg10-32x32"])
def test_the_mean_over_all_combinations_is_exact(every_sign, name):
    model, inputs = network(name, torch.float64)
    exact, found = flatness.measure(model, inputs), flatness.measure(model, inputs, probes=2)
    for primitive in MEANS:
        expected = exact[primitive]
        scale = float(expected.max()) if expected.size else 0.0
        assert np.allclose(found[primitive], expected, rtol=1e-9, atol=1e-12 * scale), primitive
        assert found[primitive].attrs["estimate"].startswith("mean over 2 random combinations")
    squares = np.square(exact["singular_value"]).sum("mode")
    assert np.allclose(found["input_gradient_sq_norm"], squares, rtol=1e-9)
    same = set(found.variables) & set(exact.variables) - set(MEANS)
    assert {"input_norm", "network_output", "layer_operator_norm", "layer_input_norm"} <= same
    for primitive in same - {"parameter", "layer"}:
        assert np.array_equal(found[primitive], exact[primitive], equal_nan=True), primitive


def test_standard_errors_are_those_of_the_values_of_single_probes(every_sign):
    """That of a sum over parameters is not made of those of its terms, which share the probes."""
    model, inputs = network("mlp-tanh", torch.float64)
    J, K = dense_jacobians(model, inputs)
    v = torch.tensor(list(itertools.product((1.0, -1.0), repeat=J.shape[1])), dtype=torch.float64)
    found = flatness.measure(model, inputs, probes=2)

    def error(jacobians):
        """(n,): of (n, N, entries) each."""
        squares = sum((v @ each).square().sum(2) for each in jacobians)
        return (squares.std(1, correction=1) / len(v) ** 0.5).numpy()

    adaptive = {
        name: each * model.get_parameter(name).detach().flatten() for name, each in K.items()
    }
    for term, jacobians in (("gradient", K), ("adaptive", adaptive)):
        for name, each in jacobians.items():
            one = found[f"parameter_{term}_sq_norm_standard_error"].sel(parameter=name)
            assert np.allclose(one, error([each]), rtol=1e-8, atol=1e-12), name
        total = found[f"total_{term}_sq_norm_standard_error"]
        assert np.allclose(total, error(list(jacobians.values())), rtol=1e-8)
    single = found["parameter_gradient_sq_norm_standard_error"]
    apart = np.sqrt(np.square(single).sum("parameter"))
    assert (found["total_gradient_sq_norm_standard_error"] > 1.2 * apart).all()
    assert np.allclose(found["input_gradient_sq_norm_standard_error"], error([J]), rtol=1e-8)
    times = J * inputs.flatten(1)[:, None]
    expected = error([times])
    assert np.allclose(found["input_times_gradient_sq_norm_standard_error"], expected, rtol=1e-8)
    # Linear layers at one position: ||df/db|| is ||df/dz||.
    biases = single.sel(parameter=["0.bias", "2.bias", "4.bias"])
    layers = found["layer_output_gradient_sq_norm_standard_error"]
    assert np.allclose(layers, biases, rtol=1e-8, atol=1e-12)
    # The last layer's bias has the gradient v, whose squared norm is N for every probe.
    assert np.allclose(biases[:, -1], 0, atol=1e-12)


def _many_outputs(activation=nn.Tanh) -> nn.Module:
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Linear(6, 12), activation(), nn.Linear(12, 10), activation(), nn.Linear(10, 24)
    )
    return model.double().eval()


def test_intervals_cover_the_exact_values():
    """At least 90 of 100 intervals, estimate +- t quantile (97.5 %, k - 1) x standard error.

    Trials are independent since draws of different samples are: three samples, a hundred times.
    """
    model, trials, k = _many_outputs(), 100, 40
    three = torch.randn(3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = flatness.measure(model, three)
    found = flatness.measure(
        model, three.repeat(trials, 1), probes=k, seed=1, chunk_size=3 * trials
    )
    quantile = stats.t.ppf(0.975, k - 1)

    def assert_covers(estimates, errors, value):
        near = np.abs(estimates - value) <= quantile * errors + 1e-9 * np.abs(value)
        assert near.shape == (trials,)
        counts.append(int(near.sum()))
        # Errors of the right size, neither far too large nor too small.
        assert 0.7 < errors.mean() / estimates.std() < 1.4

    counts: list[int] = []
    expected = flatness.quantities(exact)
    by_trial = found.coarsen(sample=3).construct(sample=("trial", "sample"))
    quantities = flatness.quantities(by_trial)
    for name in ("sharpness", "adaptive_sharpness", "mean_input_gradient_sq_norm"):
        estimates, errors = (
            quantities[each].to_numpy() for each in (name, f"{name}_standard_error")
        )
        assert_covers(estimates, errors, float(expected[name]))
    for primitive, dimension in (
        ("parameter_gradient_sq_norm", "parameter"),
        ("parameter_adaptive_sq_norm", "parameter"),
        ("layer_output_gradient_sq_norm", "layer"),
    ):
        for name in exact[dimension].values:
            if name in ("4", "4.weight", "4.bias"):
                continue  # the last layer's squares are the same for all combinations
            one = found[primitive].sel({dimension: name})[::3].to_numpy()
            error = found[f"{primitive}_standard_error"].sel({dimension: name})[::3].to_numpy()
            assert_covers(one, error, float(exact[primitive].sel({dimension: name})[0]))

    assert len(counts) == 3 + 2 * 4 + 2
    assert min(counts) >= 90, counts


@pytest.mark.parametrize("name", ["batch-norm", "attention", "recurrent", "grouped-convolution"])
def test_random_draws_converge(name):
    """Within five standard errors for each parameter and sample, with 400 probes."""
    model, inputs = network(name, torch.float64)
    exact, found = flatness.measure(model, inputs), flatness.measure(model, inputs, probes=400)
    for primitive in MEANS:
        errors = found[f"{primitive}_standard_error"]
        scale = float(exact[primitive].max())
        assert (np.abs(found[primitive] - exact[primitive]) <= 5 * errors + 1e-9 * scale).all()
    total = found["parameter_gradient_sq_norm"].sum("parameter")
    assert (found["total_gradient_sq_norm_standard_error"] < 0.1 * total).all()


def test_signs_are_independent_and_those_of_a_sample_depend_on_nothing_else():
    probes = Probes(400, seed=5)
    drawn = probes.signs(0, 6, 7)
    assert drawn.shape == (6, 400, 7)
    assert set(drawn.unique().tolist()) == {1, -1}
    # Products of different entries, probes and samples have mean 0, with deviation 1 / sqrt(400).
    flat = drawn.double().transpose(1, 2).reshape(42, 400)
    assert ((flat @ flat.T / 400).fill_diagonal_(0).abs() < 5 / 20).all()
    assert torch.equal(probes.signs(2, 3, 7), drawn[2:5])
    assert not torch.equal(Probes(400, seed=6).signs(0, 6, 7), drawn)


@pytest.mark.parametrize("name", ["attention", "vgg10-8x8", "recurrent"])
def test_estimates_do_not_depend_on_the_chunk_size(name):
    model, inputs = network(name, torch.float64)
    whole = flatness.measure(model, inputs, probes=5, seed=2)
    for options in ({"chunk_size": 2}, {"chunk_size": 1}, {"memory_gib": 1e-7}):
        found = flatness.measure(model, inputs, probes=5, seed=2, **options)
        assert set(found.variables) == set(whole.variables)
        for primitive in set(whole.variables) - {"parameter", "layer"}:
            scale = float(np.nan_to_num(np.abs(whole[primitive])).max())
            close = np.allclose(
                found[primitive], whole[primitive], rtol=1e-8, atol=1e-10 * scale, equal_nan=True
            )
            assert close, (options, primitive)
    first = flatness.measure(model, inputs[:3], probes=5, seed=2)
    for primitive in ("parameter_gradient_sq_norm", "input_jacobian_norm"):
        assert np.allclose(first[primitive], whole[primitive][:3], rtol=1e-9), "samples that follow"


def test_the_same_seed_gives_the_same_and_another_one_others():
    model, inputs = network("mlp-tanh", torch.float64)
    one, again, other = (flatness.measure(model, inputs, probes=3, seed=s) for s in (0, 0, 1))
    assert one.identical(again)
    assert one.identical(flatness.measure(model, inputs, probes=np.int64(3), seed=np.int64(0)))
    assert (one.attrs["probes"], one.attrs["seed"], other.attrs["seed"]) == (3, 0, 1)
    total = "total_gradient_sq_norm_standard_error"
    assert not np.isclose(one[total], other[total]).any()
    assert not np.isclose(one["input_gradient_sq_norm"], other["input_gradient_sq_norm"]).any()
    # The norm is what it is, whichever vector the iterations start from.
    assert np.allclose(one["input_jacobian_norm"], other["input_jacobian_norm"], rtol=1e-9)


def test_global_generators_are_left_alone():
    model, inputs = network("recurrent", torch.float64)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    flatness.measure(model, inputs, probes=3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


def test_chunks_become_smaller_where_they_need_more_memory(monkeypatch):
    model, inputs = network("vgg10-8x8", torch.float64)
    sizes = []
    real = estimating.probe

    def noted(traced, signs, wanted):
        sizes.append(len(traced.inputs))
        return real(traced, signs, wanted)

    monkeypatch.setattr(estimating, "probe", noted)
    flatness.measure(model, inputs, probes=2)
    flatness.measure(model, inputs, probes=2, memory_gib=1e-7)
    assert sizes == [SAMPLES, *[1] * SAMPLES]


@pytest.mark.parametrize("scale", [1e-24, 1e22])
def test_squares_that_float32_cannot_hold_are_taken_again(monkeypatch, scale):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = nn.Linear(3, 6), nn.Linear(6, 2)

        def forward(self, x):
            return self.head(torch.tanh(self.layer(x))) * x[:, :1]

    torch.manual_seed(0)
    model, inputs = Scaled().eval(), torch.rand(4, 3)
    inputs[1, 0], inputs[2, 0] = 0, scale
    taken = []
    real = probing.Sums

    def noted(traced, wanted, passes, dtype):
        taken.append((len(traced.inputs), dtype))
        return real(traced, wanted, passes, dtype)

    monkeypatch.setattr(probing, "Sums", noted)
    found = flatness.measure(model, inputs, probes=8)
    # Where the input is zero so is its product with the gradient, which is looked at once more.
    assert taken == [(4, torch.float32), (2, torch.float64)]
    wide = flatness.measure(model.double(), inputs.double(), probes=8)
    for name in (*MEANS, "total_gradient_sq_norm_standard_error", "input_gradient_sq_norm"):
        assert np.isfinite(found[name]).all()
        assert np.allclose(found[name], wide[name], rtol=1e-4, atol=0), name


def test_a_middle_layer():
    model, inputs = network("vgg10-8x8", torch.float64)
    middle = next(name for name, each in model.named_modules() if isinstance(each, nn.Linear))
    exact = flatness.measure(model, inputs, layer=middle)
    found = flatness.measure(model, inputs, layer=middle, probes=50)
    assert found.sizes["output"] == exact.sizes["output"]
    assert list(found["parameter"].values) == list(exact["parameter"].values)
    exact, found = flatness.quantities(exact), flatness.quantities(found)
    difference = abs(float(found["sharpness"] - exact["sharpness"]))
    assert difference <= 4 * float(found["sharpness_standard_error"])
    assert float(found["mls"]) == pytest.approx(float(exact["mls"]), rel=1e-6)


def test_a_network_whose_output_has_nothing_to_do_with_the_inputs():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.value = nn.Parameter(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))

        def forward(self, x):
            return self.value.expand(len(x), -1)

    found = flatness.measure(Constant().eval(), torch.ones(2, 3).double(), probes=4)
    assert (found["input_gradient_sq_norm"] == 0).all()
    assert (found["input_jacobian_norm"] == 0).all()
    assert (found["parameter_gradient_sq_norm"] == 3).all()
    assert (found["parameter_gradient_sq_norm_standard_error"] == 0).all()


@pytest.fixture(scope="module", params=["mlp-tanh", "attention"])
def estimated(request):
    model, inputs = network(request.param, torch.float64)
    return model, inputs, flatness.quantities(flatness.measure(model, inputs, probes=4))


@pytest.mark.parametrize("name", _ESTIMATED_PARTS)
def test_one_estimate_alone(estimated, name):
    model, inputs, everything = estimated
    found = flatness.quantities(flatness.measure(model, inputs, only=[name], probes=4))
    assert list(found.data_vars) == [name]
    assert np.allclose(found[name], everything[name], rtol=1e-9, equal_nan=True)
    assert found[name].attrs == everything[name].attrs


def test_what_can_be_asked_for_is_what_is_not_absent(estimated):
    reason = "needs all singular values, of which random probes give none but the largest"
    absent = {n for n, value in estimated[2].items() if value.attrs.get("absent") == reason}
    assert absent == set(_PARTS) - set(_ESTIMATED_PARTS)
    assert "log_volume" in absent
    assert not {"mls", "mean_input_gradient_sq_norm", "sharpness"} & absent


@pytest.mark.parametrize(
    ("only", "passes", "iterations"),
    [
        (("sharpness",), 1, 0),
        (("mls",), 0, 1),
        (("mean_input_gradient_sq_norm",), 1, 0),
        (None, 1, 1),
    ],
)
def test_nothing_else_is_computed(monkeypatch, only, passes, iterations):
    calls = []
    for module, name in ((probing, "Sums"), (estimating, "largest_singular_values")):
        real = getattr(module, name)

        def counting(*arguments, real=real, name=name):
            calls.append(name)
            return real(*arguments)

        monkeypatch.setattr(module, name, counting)
    flatness.measure(*network("mlp-tanh", torch.float64), only=only, probes=2)
    assert calls.count("Sums") == passes
    assert calls.count("largest_singular_values") == iterations


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probes": 1}, r"probes = 1\. Allowed: an integer of 2 or more"),
        ({"probes": 0}, r"probes = 0\. Allowed"),
        ({"probes": True}, r"probes = True\. Allowed"),
        ({"probes": 2.5}, r"probes = 2\.5\. Allowed"),
        ({"probes": 2, "seed": "x"}, r"seed = 'x'\. Allowed: an integer"),
        (
            {"probes": 2, "only": ["log_volume"]},
            r"only: 'log_volume' has no estimate: .* Allowed with probes: sharpness, .* mls",
        ),
        ({"probes": 2, "only": ["sharp"]}, r"only: 'sharp' is no quantity that is measured here"),
        ({"probes": 2, "only": "mls"}, r"Write only=\('mls',\)"),
        ({"only": ["mls_residual"]}, r"only: 'mls_residual' is no quantity that is measured here"),
    ],
)
def test_refused_before_anything_is_called(options, message):
    class NotToBeCalled(nn.Linear):
        def forward(self, x):
            raise AssertionError("called")

    with pytest.raises(MeasurementError, match=message) as caught:
        flatness.measure(NotToBeCalled(3, 2).eval(), torch.ones(2, 3), **options)
    assert "\n" not in str(caught.value)


def test_more_outputs_than_a_gram_matrix_has_room_for():
    model, inputs = nn.Linear(3, 2000).eval(), torch.ones(2, 3)
    with pytest.raises(MeasurementError, match="Gram matrix"):
        flatness.measure(model, inputs, memory_gib=0.01)
    found = flatness.measure(model, inputs, memory_gib=0.01, probes=3)
    assert np.allclose(found["parameter_gradient_sq_norm"], [6000, 2000])

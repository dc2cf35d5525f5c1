"""Numbers that every machine and version must agree with, and how well.

**Measuring.** A sum of K products in floating point with unit roundoff u (2^-53 in float64,
2^-24 in float32) is off by at most K u times the sum of their absolute values, to first order.
An entry of a Jacobian is such sums nested through all layers, with K operations one after the
other (`longest_sum`: 51 and 208), and its sums of absolute values are up to kappa times the
Jacobian itself (`cancellation`, computed here: 5 and 19). The slope of an activation is
off by the rounding of its argument, which is made in the same way: a factor of 2. So the
Jacobian, and with it each singular value, is off by at most

    d = 2 K kappa u  times the largest singular value.

Squared norms are off by 2 d, for squares double a relative error; a mean of logarithms by
d sigma_1 / sigma_N for each of the N modes. In float32 d is 3e-5 and 5e-4, in float64 6e-14 and
9e-13. These are bounds of the worst case: rounding errors are of both signs, and what one machine
finds is a hundredth of them or less.

**Training.** A step changes weights by gradients that are off by d; the steps here are short
enough (0.1 is below 2 over the largest curvature) not to enlarge what earlier ones left, so the
loss of step k is off by at most k d, besides the d of its own sum.

No sample lies within rounding of a kink: arguments of ReLU and gaps in max-pooling windows are at
least 4e-5, and float32 rounds them by 1e-7.

`python -m pytest tests/golden --write-golden` computes the file anew.
"""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import flatness
from flatness.experiment.losses import half_squared_error, targets
from flatness.experiment.sgd import Sgd
from flatness.measurement.curvature import curvature
from tests.golden.independent import (
    RATE,
    cancellation,
    computed,
    drawn,
    longest_sum,
    networks,
    part,
)

FILE = Path(__file__).parent / "numbers.safetensors"
LARGEST = 100_000  # bytes
DTYPES = {torch.float32: 2.0**-24, torch.float64: 2.0**-53}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def golden(request):
    if request.config.getoption("write_golden"):
        tensors = drawn()
        save_file(tensors | computed(tensors), FILE)
    return load_file(FILE)


@pytest.fixture(scope="module", params=["mlp", "vgg"])
def case(request, golden):
    """Name, network with the golden weights, inputs and expected numbers."""
    network, _ = networks()[request.param]
    stored = part(golden, f"{request.param}/")
    network.load_state_dict(part(stored, "weights/"))
    return network, stored


def _tolerance(case, dtype) -> float:
    """d: the largest error of a Jacobian, over its largest singular value."""
    network, stored = case
    kappa = cancellation(network.double(), stored["inputs"])
    return 2 * longest_sum(network) * kappa * DTYPES[dtype]


def test_the_file_is_small_and_what_the_independent_code_computes(golden):
    assert FILE.stat().st_size <= LARGEST
    for name, value in computed(golden).items():
        assert torch.allclose(golden[name], value, rtol=1e-11, atol=1e-13), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_measuring_agrees(case, dtype):
    d = _tolerance(case, dtype)
    assert d < {torch.float32: 2e-3, torch.float64: 4e-12}[dtype], "the bound says something"
    network, stored = case
    measured = flatness.measure(network.to(dtype), stored["inputs"].to(dtype))
    sigma = stored["singular_value"]
    for name, relative in (
        ("singular_value", d),
        ("network_output", d),
        ("input_norm", d),
        ("parameter_gradient_sq_norm", 2 * d),
    ):
        found = torch.from_numpy(measured[name].values).double()
        largest = stored[name].abs().amax(-1, keepdim=True)
        assert ((found - stored[name]).abs() <= relative * largest).all(), name
    expected = torch.nn.functional.one_hot(stored["labels"], 3).to(dtype)
    bent = curvature(network, stored["inputs"].to(dtype), expected, exact_products=10**6)
    quantities = flatness.quantities(measured.merge(bent))
    trace = float(stored["hessian_trace"])
    # It is a difference: of the sharpness and sums that are no larger.
    assert float(quantities["hessian_trace"]) == pytest.approx(
        trace, abs=4 * d * float(stored["quantities/sharpness"])
    )
    of_logarithms = 3 * d * float((sigma[:, 0] / sigma[:, -1]).max())
    for name, relative, absolute in (
        ("sharpness", 2 * d, 0),
        ("mean_input_gradient_sq_norm", 2 * d, 0),
        ("mls", d, 0),
        ("local_dimension", 8 * d, 0),
        ("log_volume", 0, of_logarithms),
        ("log_mean_volume", 0, of_logarithms),
    ):
        expected = float(stored[f"quantities/{name}"])
        assert float(quantities[name]) == pytest.approx(expected, rel=relative, abs=absolute), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_training_agrees(case, dtype):
    d = _tolerance(case, dtype)
    network, stored = case
    network.load_state_dict(part(stored, "weights/"))
    network.to(dtype)
    labels = targets("half_squared_error", stored["labels"], 3, dtype)
    inputs = stored["inputs"].to(dtype)
    iterate = Sgd(network, half_squared_error, RATE, inputs, labels)
    losses = iterate(stored["batches"]).double()
    steps = torch.arange(1, len(losses) + 1)
    assert ((losses - stored["losses"]).abs() <= (steps + 1) * d * stored["losses"]).all()
    network.load_state_dict(part(stored, "weights/"))


def test_a_small_change_of_a_weight_is_noticed(golden):
    """The bound of float32 is no blanket: one layer's weights, larger by a hundredth, show."""
    network, _ = networks()["mlp"]
    stored = part(golden, "mlp/")
    network.load_state_dict(part(stored, "weights/"))
    with torch.no_grad():
        network[1].weight *= 1.01
    d = _tolerance((network, stored), torch.float32)
    network.float()
    found = torch.from_numpy(flatness.measure(network, stored["inputs"])["singular_value"].values)
    assert ((found - stored["singular_value"]).abs() > d * stored["singular_value"][:, :1]).any()

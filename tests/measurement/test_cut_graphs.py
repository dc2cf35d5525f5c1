"""Networks in which the gradient ends although the values go on.

Autograd sees zero there, finite differences do not. Such a network is refused, with the module
in which the gradient ends. What autograd differentiates on purpose otherwise, as a
straight-through estimator, is measured as autograd differentiates it.
"""

import pytest
import torch
from torch import nn

import flatness
from flatness.errors import MeasurementError
from tests.measurement.comparison import assert_as_dense
from tests.measurement.finite_differences import input_jacobians


class Probe(nn.Module):
    """A head on what a backbone makes of the inputs."""

    def __init__(self, read, backbone=None):
        super().__init__()
        self.read = read
        self.backbone = backbone or nn.Sequential(nn.Linear(6, 5), nn.Tanh())
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        return self.head(self.read(self, x))


class Inner(nn.Module):
    """A block that cuts by itself."""

    def __init__(self, cut):
        super().__init__()
        self.cut, self.layer = cut, nn.Linear(6, 5)

    def forward(self, x):
        return self.cut(self.layer(x))


class OneWay(torch.autograd.Function):
    """A function that forgets to give a gradient back."""

    @staticmethod
    def forward(ctx, z):
        return z.sin()

    @staticmethod
    def backward(ctx, gradient):
        return None


class Scaled(torch.autograd.Function):
    """The gradient is scaled, and forward switches gradients off where they are off."""

    @staticmethod
    def forward(ctx, z):
        with torch.no_grad():
            copied = 1 * z
        return 1 * copied

    @staticmethod
    def backward(ctx, gradient):
        return 3 * gradient


@torch.no_grad()
def _decorated(model, x):
    return model.backbone(x)


def _no_grad(model, x):
    with torch.no_grad():
        return model.backbone(x)


def _inference_mode(model, x):
    with torch.inference_mode():
        z = model.backbone(x)
    return z.clone()


def _switched_off(model, x):
    with torch.set_grad_enabled(False):
        return model.backbone(x)


def _through_numpy(model, x):
    return torch.from_numpy(model.backbone(x).detach().numpy())


def _copied_values(model, x):
    return x.new_tensor(model.backbone(x).tolist())


def _one_of_two_ways(model, x):
    with torch.no_grad():
        z = model.backbone(x)
    return z + x[:, :5]


def _with_the_last_column_only(model, x):
    with torch.no_grad():
        z = model.backbone(x)
    return z * x[:, 5:]


def _nested():
    return Probe(lambda model, x: model.backbone(x), nn.Sequential(Inner(lambda z: z.detach())))


# name: (network, the module that the message names; the network itself goes by its class)
CUT = {
    "no_grad around a backbone": (lambda: Probe(_no_grad), "backbone"),
    "a decorated method": (lambda: Probe(_decorated), "backbone"),
    "inference mode": (lambda: Probe(_inference_mode), "backbone"),
    "gradients switched off": (lambda: Probe(_switched_off), "backbone"),
    "detach in forward": (lambda: Probe(lambda m, x: m.backbone(x).detach()), "Probe|backbone"),
    "data in forward": (lambda: Probe(lambda m, x: m.backbone(x).data), "Probe|backbone"),
    "detached inputs": (lambda: Probe(lambda m, x: m.backbone(x.detach())), "Probe|backbone"),
    "through numpy": (lambda: Probe(_through_numpy), "Probe|backbone"),
    "values copied": (lambda: Probe(_copied_values), "Probe|backbone"),
    "detach in an inner module": (_nested, r"backbone\.0"),
    "a function without gradient": (
        lambda: Probe(lambda m, x: m.backbone(x), Inner(OneWay.apply)),
        "backbone|OneWay",
    ),
    "one of two ways": (lambda: Probe(_one_of_two_ways), "backbone"),
    "one factor of a product": (lambda: Probe(_with_the_last_column_only), "backbone"),
}


def _case(name):
    build, place = CUT[name]
    torch.manual_seed(0)
    return build().double().eval(), torch.randn(4, 6).double(), place


def _assert_helpful(error, place):
    message = str(error.value)
    assert "\n" not in message
    assert "Allowed: " in message
    assert "gradient" in message
    assert "cannot be called" not in message
    first = message.partition("Allowed: ")[0]
    assert any(f"{name!r}" in first for name in place.replace("\\", "").split("|")), message


@pytest.mark.parametrize("name", CUT)
def test_measure_refuses_and_says_where(name):
    model, inputs, place = _case(name)
    # Without this, the refusal might be of a network that is flat there.
    assert input_jacobians(model, inputs).abs().max() > 1e-3
    with pytest.raises(MeasurementError) as caught:
        flatness.measure(model, inputs)
    _assert_helpful(caught, place)


@pytest.mark.parametrize("name", CUT)
def test_curvature_refuses_and_says_where(name):
    model, inputs, place = _case(name)
    with pytest.raises(MeasurementError) as caught:
        flatness.curvature(model, inputs, torch.zeros(4, 2).double())
    _assert_helpful(caught, place)


def test_no_grad_around_parameters_that_matter():
    """The output reads a layer of which autograd knows nothing."""

    class Prompted(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.randn(1, 6))
            self.project, self.head = nn.Linear(6, 6), nn.Linear(6, 2)

        def forward(self, x):
            with torch.no_grad():
                prompt = self.project(self.token)
            return self.head(torch.tanh(x + prompt))

    torch.manual_seed(0)
    with pytest.raises(MeasurementError) as caught:
        flatness.measure(Prompted().double().eval(), torch.randn(4, 6).double())
    _assert_helpful(caught, "project")


def test_an_output_without_gradient_says_where():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), Inner(lambda z: z.detach())).double().eval()
    model[1].layer = nn.Linear(5, 2).double().eval()
    with pytest.raises(MeasurementError) as caught:
        flatness.measure(model, torch.randn(4, 6).double())
    _assert_helpful(caught, "1")


def test_parameters_without_gradients_that_do_not_matter():
    class Teacher(nn.Module):
        def __init__(self):
            super().__init__()
            self.teacher, self.head = nn.Linear(6, 2), nn.Linear(6, 2)

        def forward(self, x):
            with torch.no_grad():
                self.distance = float((self.teacher(x) - self.head(x)).norm())
            return self.head(x)

    torch.manual_seed(0)
    found = flatness.measure(Teacher().double().eval(), torch.randn(4, 6).double())
    sq_norms = found["parameter_gradient_sq_norm"]
    assert (sq_norms.sel(parameter="teacher.weight") == 0).all()


def test_the_gradient_mode_is_that_of_before():
    def left_switched_off(model, x):
        torch.set_grad_enabled(False)
        return model.backbone(x)

    try:
        with pytest.raises(MeasurementError, match="Allowed: "):
            flatness.measure(Probe(left_switched_off).eval(), torch.randn(4, 6))
        assert torch.is_grad_enabled()
    finally:
        torch.set_grad_enabled(True)


def test_a_cut_behind_the_layer_asked_for_does_not_matter():
    model, inputs, _ = _case("no_grad around a backbone")
    behind = Probe(lambda m, x: m.backbone(x).detach()).double().eval()
    behind.load_state_dict(model.state_dict())
    found = flatness.measure(behind, inputs, layer="backbone")
    expected = flatness.measure(behind.backbone, inputs)["singular_value"]
    assert abs(found["singular_value"] - expected).max() < 1e-12
    with pytest.raises(MeasurementError) as caught:
        flatness.measure(model, inputs, layer="backbone")
    _assert_helpful(caught, "backbone")


class Rotated(nn.Module):
    """Angles made of the shape of the inputs, not of their values."""

    def __init__(self):
        super().__init__()
        self.register_buffer("frequencies", torch.tensor([1.0, 0.5, 0.25]))

    @torch.no_grad()
    def forward(self, x):
        return torch.outer(torch.arange(x.shape[1]).to(x), self.frequencies).flatten()[:5]


def _rotated(model, x):
    return model.backbone(x) * model.angles(x).cos()


def _with_angles():
    model = Probe(_rotated)
    model.angles = Rotated()
    return model


def _masked(model, x):
    with torch.no_grad():
        keep = (x[:, :1] > 0).to(x)
    return model.backbone(x) * keep


def _sorted(model, x):
    with torch.no_grad():
        order = x.argsort(1)
    return model.backbone(x.gather(1, order))


def _only_looked_at(model, x):
    with torch.no_grad():
        model.norm_of_features = float(model.backbone(x).norm())
    return model.backbone(x)


def _rounded(model, x):
    z = model.backbone(x)
    return z + ((8 * z).round() / 8 - z).detach()


def _binarised(model, x):
    z = model.backbone(x)
    return z.clamp(-1, 1) + (z.sign() - z.clamp(-1, 1)).detach()


def _codebook(model, x):
    z = model.backbone(x)
    nearest = model.codes[torch.cdist(z, model.codes).argmin(1)]
    return z + (nearest - z).detach()


def _with_codes():
    model = Probe(_codebook)
    model.register_buffer("codes", torch.randn(7, 5))
    return model


def _rounded_without_gradients(model, x):
    z = model.backbone(x)
    with torch.no_grad():
        change = (8 * z).round() / 8 - z
    return z + change


def _scaled_by_own_function(model, x):
    return Scaled.apply(model.backbone(x))


def _dead():
    """No unit of the backbone is active: flat, but not cut."""
    model = Probe(lambda m, x: m.backbone(x), nn.Sequential(nn.Linear(6, 5), nn.ReLU()))
    nn.init.constant_(model.backbone[0].bias, -100.0)
    return model


MEASURED = {
    "angles under no_grad": _with_angles,
    "a mask under no_grad": lambda: Probe(_masked),
    "an order under no_grad": lambda: Probe(_sorted),
    "a value that is only looked at": lambda: Probe(_only_looked_at),
    "straight-through rounding": lambda: Probe(_rounded),
    "straight-through signs": lambda: Probe(_binarised),
    "straight-through codebook": _with_codes,
    "straight-through rounding under no_grad": lambda: Probe(_rounded_without_gradients),
    "a scaled gradient": lambda: Probe(_scaled_by_own_function),
    "dead units": _dead,
    "a detached copy that cancels": lambda: Probe(
        lambda m, x: m.backbone(x + (x - x).detach()),
    ),
}


@pytest.mark.parametrize("name", MEASURED)
def test_measured_as_autograd_differentiates_it(name):
    torch.manual_seed(0)
    assert_as_dense(MEASURED[name](), torch.randn(5, 6))

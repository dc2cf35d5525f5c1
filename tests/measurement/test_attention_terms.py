"""The terms of the linear maps inside attention, against dense Jacobians of what follows them."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import flatness
from tests.measurement.architectures import network

HEADS = 2


def _attended(z: Tensor) -> Tensor:
    """What the output projection is given, (positions, width), of queries, keys and values."""
    q, k, v = (part.unflatten(1, (HEADS, -1)).movedim(1, 0) for part in z.chunk(3, 1))
    scores = q @ k.mT / q.shape[2] ** 0.5
    return (scores.softmax(2) @ v).movedim(0, 1).flatten(1)


def _rest(model: nn.Module, tokens: Tensor, out: Tensor) -> Tensor:
    """The network's output of one sample, given what the output projection returned."""
    tokens = tokens + out
    tokens = tokens + functional.gelu(model.mix(tokens))
    return model.head(tokens.mean(0))


def _jacobian(function, x: Tensor) -> Tensor:
    J = torch.autograd.functional.jacobian(function, x)
    return J.reshape(len(J), -1)


@pytest.mark.parametrize("architecture", ["attention", "attention-samples-second"])
def test_terms_equal_those_of_dense_jacobians(architecture):
    model, inputs = network(architecture, torch.float64)
    measured = flatness.measure(model, inputs)
    attention = model.attention
    W, b = attention.in_proj_weight.detach(), attention.in_proj_bias.detach()
    project = attention.out_proj
    for sample, x in enumerate(inputs):
        tokens = (model.embed(x) + model.position).detach()
        y = model.norm(tokens).detach()
        z = y @ W.mT + b
        a = _attended(z)
        out = project(a).detach()
        # The pieces are those of the network.
        assert torch.allclose(_rest(model, tokens, out), model(inputs)[sample], rtol=1e-12)

        def after_out(o, tokens=tokens):
            return _rest(model, tokens, o)

        def after_in(z, after_out=after_out):
            return after_out(project(_attended(z)))

        for name, seen, into, out_of in (
            ("attention.in_proj", y, lambda y: after_in(y @ W.mT + b), (after_in, z)),
            ("attention.out_proj", a, lambda a: after_out(project(a)), (after_out, out)),
        ):
            of_layer = measured.sel(layer=name).isel(sample=sample)
            values = torch.linalg.svdvals(_jacobian(into, seen))
            for term, expected in (
                ("layer_input_norm", seen.norm()),
                ("layer_sensitivity", values[0]),
                ("layer_log_volume", values.log().sum()),
                ("layer_output_gradient_sq_norm", _jacobian(*out_of).square().sum()),
            ):
                assert np.isclose(of_layer[term], float(expected), rtol=1e-10), (name, term)


@pytest.mark.parametrize("architecture", ["attention", "attention-samples-second"])
def test_norms_are_those_of_the_weights(architecture):
    model, inputs = network(architecture, torch.float64)
    measured = flatness.measure(model, inputs)
    for name, weight in (
        ("attention.in_proj", model.attention.in_proj_weight.detach()),
        ("attention.out_proj", model.attention.out_proj.weight.detach()),
    ):
        of_layer = measured.sel(layer=name)
        norm = float(torch.linalg.matrix_norm(weight, 2))
        assert np.isclose(of_layer["layer_operator_norm"], norm, rtol=1e-12)
        assert np.isclose(of_layer["layer_weight_frobenius_norm"], float(weight.norm()))
        assert of_layer["layer_outputs"] == len(weight)
        assert not of_layer["layer_eq4_holds"]

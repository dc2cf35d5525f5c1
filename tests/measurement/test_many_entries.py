"""Sums over millions of entries keep the precision of float32."""

import numpy as np
import torch
from torch import nn

import flatness


def test_norms_of_a_wide_layer_at_many_positions():
    torch.manual_seed(0)
    mixed = nn.Sequential(nn.Linear(768, 1536), nn.Tanh(), nn.Linear(1536, 2))

    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = mixed

        def forward(self, x):
            return self.layers(x).square().mean(1)

    model, inputs = Mean().eval(), torch.randn(2, 150, 768)
    single = flatness.measure(model, inputs)
    double = flatness.measure(model.double(), inputs.double())
    for name in (
        "parameter_gradient_sq_norm",
        "parameter_adaptive_sq_norm",
        "layer_output_gradient_sq_norm",
        "input_times_gradient_sq_norm",
    ):
        assert np.allclose(single[name], double[name], rtol=3e-6, atol=0), name

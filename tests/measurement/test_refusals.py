"""What cannot be measured is refused with a line that says why."""

import numpy as np
import pytest
import torch
from torch import nn

import flatness
from flatness.errors import MeasurementError

INPUTS = torch.ones(4, 3)


class Applied(nn.Module):
    """A linear layer with `after` applied to its output."""

    def __init__(self, after):
        super().__init__()
        self.layer, self.after = nn.Linear(3, 2), after

    def forward(self, x):
        return self.after(self.layer(x))


class Output(nn.Module):
    """The sequence that a recurrent layer returns, without its state."""

    def forward(self, sequence_and_state):
        return sequence_and_state[0]


def _mixing(output):
    return output - output.mean(0)


def _noisy(output):
    return output + torch.randn_like(output)


REFUSED = {
    "training mode": (nn.Linear(3, 2).train(), INPUTS, r"module 'Linear' is in training mode"),
    "one module in training mode": (
        nn.Sequential(nn.Linear(3, 2), nn.Dropout()).eval().requires_grad_(True),
        INPUTS,
        r"module '1' is in training mode",
    ),
    "no sample axis": (nn.Linear(3, 2).eval(), torch.ones(3), r"shape \(3,\).*sample axis"),
    "no samples": (nn.Linear(3, 2).eval(), torch.ones(0, 3), r"at least one sample"),
    "integers": (
        nn.Linear(3, 2).eval(),
        torch.ones(4, 3).long(),
        r"torch\.int64, which has no derivative",
    ),
    "mixed dtypes": (nn.Linear(3, 2).eval(), INPUTS.double(), r"torch\.float64.*one dtype"),
    "not finite inputs": (
        nn.Linear(3, 2).eval(),
        torch.tensor([[1.0, 1, 1], [1, float("nan"), 1]]),
        r"sample 1 holds values that are not finite",
    ),
    "no parameters": (nn.ReLU().eval(), INPUTS, r"has no parameters"),
    "output of wrong rank": (
        Applied(lambda y: y[:, None]).eval(),
        INPUTS,
        r"shape \(4, 1, \d\).*\(4, N\)",
    ),
    "output without samples": (
        Applied(lambda y: y.mean(0)[None]).eval(),
        INPUTS,
        r"shape \(1, 2\)",
    ),
    "several outputs": (Applied(lambda y: (y, y)).eval(), INPUTS, r"returned a tuple with 0"),
    "detached output": (Applied(lambda y: y.detach()).eval(), INPUTS, r"Look for detach"),
    "not finite outputs": (Applied(lambda y: y / 0).eval(), INPUTS, r"earlier checkpoint"),
    "not differentiable": (
        Applied(lambda y: (y - y.detach()).sqrt()).eval(),
        INPUTS,
        r"input Jacobian holds values that are not finite",
    ),
    "mixed samples": (Applied(_mixing).eval(), torch.eye(4)[:, :3], r"mixes samples"),
    "mixed samples that leave the first alone": (
        Applied(lambda y: y.cumsum(0)).eval(),
        torch.eye(4)[:, :3],
        r"mixes samples",
    ),
    "mixed samples by subtracting the first": (
        Applied(lambda y: y - y[:1]).eval(),
        torch.eye(4)[:, :3],
        r"mixes samples",
    ),
    "recurrent layer that reads samples as time": (
        nn.Sequential(nn.LSTM(3, 2), Output()).eval(),
        torch.eye(4)[:, :3],
        r"see batch_first",
    ),
    "half precision": (nn.Linear(3, 2).half().eval(), INPUTS.half(), r"torch\.float16 cannot"),
    "bfloat16": (nn.Linear(3, 2).bfloat16().eval(), INPUTS.bfloat16(), r"torch\.bfloat16 cannot"),
    "array": (nn.Linear(3, 2).eval(), np.ones((4, 3), np.float32), r"a ndarray.*torch\.as_tensor"),
    "inputs that do not fit": (
        nn.Linear(3, 2).eval(),
        torch.ones(4, 5),
        r"cannot be called or differentiated on these inputs \(RuntimeError: .*mat1 and mat2",
    ),
    "random output": (Applied(_noisy).eval(), INPUTS, r"draws random numbers"),
}
REFUSED["one module in training mode"][0][1].train()


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    model, inputs, message = REFUSED[case]
    with pytest.raises(MeasurementError, match=message) as caught:
        flatness.measure(model, inputs)
    assert "\n" not in str(caught.value)
    assert "Allowed: " in str(caught.value)


def test_chunk_size_below_one():
    with pytest.raises(MeasurementError, match=r"chunk_size = 0\. Allowed: 1 or more"):
        flatness.measure(nn.Linear(3, 2).eval(), INPUTS, chunk_size=0)

"""Layers changed after they were built: what torch computes counts, not what they were built as.

People take a trained network and exchange a stem, turn strides into dilation, or remove a bias;
torch then computes with what it finds.
"""

from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from torch import nn

from tests.measurement.comparison import assert_as_dense

_KINDS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def _changed(layer: nn.Module, **attributes) -> nn.Module:
    for name, value in attributes.items():
        setattr(layer, name, value)
    return layer


def _parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(0.3 * torch.randn(*shape))


def _before_head(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers, nn.Tanh(), nn.Flatten(), nn.LazyLinear(2))


class Stem(nn.Module):
    """A small residual network whose stem and second stage can be exchanged."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 7, stride=2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.first = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        self.short = nn.Conv2d(4, 6, 1, stride=2)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        x = torch.tanh(self.norm(self.stem(x)))
        y = self.second(torch.tanh(self.first(x))) + self.short(x)
        return self.head(torch.tanh(y).mean((2, 3)))


def _exchanged_stem():
    model = Stem()
    _changed(model.stem, weight=_parameter(4, 3, 3, 3), stride=(1, 1), padding=(1, 1))
    return model


def _strides_turned_into_dilation():
    model = Stem()
    for layer in (model.first, model.second, model.short):
        reach = layer.kernel_size[0] // 2 * 2
        _changed(layer, stride=(1, 1), dilation=(2, 2), padding=(reach, reach))
    return model


def _more_input_channels():
    """Four channels for three, as for depth images; in_channels keeps its old value."""
    model = Stem()
    weight = model.stem.weight.detach()
    model.stem.weight = nn.Parameter(torch.cat([weight, weight.mean(1, keepdim=True)], 1))
    return model


def _pruned_channels():
    first, second = nn.Conv2d(2, 6, 3), nn.Conv2d(6, 3, 3)
    first.weight, first.bias = nn.Parameter(first.weight[:4]), nn.Parameter(first.bias[:4])
    second.weight = nn.Parameter(second.weight[:, :4])
    return _before_head(first, nn.Tanh(), second)


def _reset_in_place():
    """`.data` of another shape."""
    layer = nn.Conv2d(3, 4, 3, padding=1)
    layer.weight.data = torch.randn(4, 3, 1, 5)
    return _before_head(layer)


def _attention_with_more_heads():
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    _changed(attention, num_heads=4, head_dim=2)

    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention, self.head = attention, nn.Linear(8, 2)

        def forward(self, x):
            return self.head(self.attention(x, x, x)[0].mean(1))

    return Attends()


# name: (network, shape of one sample)
CHANGED = {
    "padding of a long kernel": (
        lambda: _before_head(_changed(nn.Conv2d(3, 4, 11, stride=4, padding=2), padding=(3, 3))),
        (3, 19, 19),
    ),
    "padding of the same size elsewhere": (
        lambda: _before_head(_changed(nn.Conv2d(3, 4, 3, padding=(1, 0)), padding=(0, 1))),
        (3, 6, 6),
    ),
    "padding by name": (
        lambda: _before_head(_changed(nn.Conv2d(3, 4, (3, 2)), padding="same")),
        (3, 5, 5),
    ),
    "one number in the place of a tuple": (
        lambda: _before_head(_changed(nn.Conv2d(3, 4, 3), padding=1, stride=2, dilation=2)),
        (3, 6, 6),
    ),
    "stride": (lambda: _before_head(_changed(nn.Conv1d(2, 3, 3), stride=(2,))), (2, 9)),
    "dilation": (
        lambda: _before_head(_changed(nn.Conv3d(1, 2, 2), dilation=(1, 2, 1))),
        (1, 3, 4, 3),
    ),
    "padding mode": (
        lambda: _before_head(_changed(nn.Conv2d(2, 3, 3, padding=1), padding_mode="circular")),
        (2, 5, 5),
    ),
    "padding mode taken back": (
        lambda: _before_head(
            _changed(nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), padding_mode="zeros")
        ),
        (2, 5, 5),
    ),
    "padding in a mode that had its own": (
        lambda: _before_head(
            _changed(nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), padding=(0, 0))
        ),
        (2, 5, 5),
    ),
    "groups and weight": (
        lambda: _before_head(_changed(nn.Conv2d(4, 4, 3), groups=2, weight=_parameter(4, 2, 3, 3))),
        (4, 5, 5),
    ),
    "kernel size forgotten": (
        lambda: _before_head(_changed(nn.Conv2d(3, 4, 3), weight=_parameter(4, 3, 5, 1))),
        (3, 6, 6),
    ),
    "attributes that torch does not read": (
        lambda: _before_head(
            _changed(nn.Conv2d(3, 4, 3), kernel_size=(5, 5), in_channels=7, out_channels=9)
        ),
        (3, 6, 6),
    ),
    "bias removed": (lambda: _before_head(_changed(nn.Conv2d(3, 4, 3), bias=None)), (3, 5, 5)),
    "bias added": (
        lambda: _before_head(_changed(nn.Conv2d(3, 4, 3, bias=False), bias=_parameter(4))),
        (3, 5, 5),
    ),
    "weight through data": (_reset_in_place, (3, 5, 6)),
    "stem": (_exchanged_stem, (3, 10, 10)),
    "strides turned into dilation": (_strides_turned_into_dilation, (3, 12, 12)),
    "more input channels": (_more_input_channels, (4, 10, 10)),
    "fewer channels": (_pruned_channels, (2, 7, 7)),
    "linear layer of another width": (
        lambda: _before_head(_changed(nn.Linear(6, 3), weight=_parameter(5, 4), bias=None)),
        (4,),
    ),
    "transposed convolution": (
        lambda: _before_head(
            _changed(nn.ConvTranspose2d(2, 3, 3), stride=(2, 2), output_padding=(1, 0))
        ),
        (2, 3, 3),
    ),
    "number of groups of a normalisation": (
        lambda: _before_head(nn.Conv2d(2, 4, 2), _changed(nn.GroupNorm(4, 4), num_groups=2)),
        (2, 4, 4),
    ),
    "eps of a normalisation": (
        lambda: _before_head(nn.Linear(6, 4), _changed(nn.LayerNorm(4), eps=0.5)),
        (6,),
    ),
    "number of heads": (_attention_with_more_heads, (5, 8)),
}


@pytest.mark.parametrize("case", CHANGED)
def test_measured_as_torch_computes_it(case):
    build, shape = CHANGED[case]
    torch.manual_seed(0)
    model, inputs = build(), torch.randn(3, *shape)
    model(inputs)  # the head takes its shape
    assert_as_dense(model, inputs)


@dataclass(frozen=True)
class _Drawn:
    """A changed convolution; torch cannot print one whose tuples became numbers."""

    layer: nn.Module = field(repr=False)
    shape: tuple[int, ...]
    built: str
    changes: list[str]


@st.composite
def _convolutions(draw):
    """A convolution that is changed once or twice after construction."""
    d = draw(st.integers(1, 3))

    def each(*values):
        return tuple(draw(st.sampled_from(values)) for _ in range(d))

    def sizes(*values):
        """A tuple, or one number for all axes."""
        return draw(st.sampled_from([values[-1], each(*values)]))

    torch.manual_seed(draw(st.integers(0, 99)))
    groups = draw(st.sampled_from([1, 1, 2]))
    inputs, outputs = (groups * draw(st.integers(1, 2)) for _ in range(2))
    padding = draw(st.sampled_from(["valid", "same", each(0, 1, 2), each(0, 1, 2)]))
    modes = st.sampled_from(["zeros", "zeros", "circular", "reflect", "replicate"])
    layer = _KINDS[d](
        inputs,
        outputs,
        each(1, 2, 3),
        stride=1 if padding == "same" else each(1, 2),
        padding=padding,
        dilation=each(1, 1, 2),
        groups=groups,
        bias=draw(st.booleans()),
        padding_mode=draw(modes),
    )

    def regrouped():
        layer.groups = 3 - groups
        layer.weight = _parameter(outputs, max(inputs // layer.groups, 1), *each(1, 2, 3))

    changes = {
        "padding": lambda: setattr(layer, "padding", sizes(0, 1, 2)),
        "padding by name": lambda: setattr(
            layer, "padding", draw(st.sampled_from(["same", "valid"]))
        ),
        "stride": lambda: setattr(layer, "stride", sizes(1, 2, 3)),
        "dilation": lambda: setattr(layer, "dilation", sizes(1, 2)),
        "padding mode": lambda: setattr(layer, "padding_mode", draw(modes)),
        "weight": lambda: setattr(
            layer, "weight", _parameter(outputs, inputs // groups, *each(1, 2, 3, 4))
        ),
        "groups": regrouped,
        "bias removed": lambda: setattr(layer, "bias", None),
        "bias exchanged": lambda: setattr(layer, "bias", _parameter(outputs)),
        "kernel size alone": lambda: setattr(layer, "kernel_size", each(1, 2, 3, 4)),
        "channels alone": lambda: setattr(layer, "in_channels", inputs + 1),
    }
    built = str(layer)
    chosen = draw(st.lists(st.sampled_from(sorted(changes)), min_size=1, max_size=2))
    for name in chosen:
        event(name)
        changes[name]()
    return _Drawn(layer, (inputs, *each(3, 4, 5)), built, chosen)


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(drawn=_convolutions(), samples=st.integers(1, 3))
def test_any_change_of_any_convolution(drawn, samples):
    layer, inputs = drawn.layer, torch.randn(samples, *drawn.shape)
    try:
        features = layer(inputs).flatten(1).shape[1]
    except (RuntimeError, ValueError, NotImplementedError):
        assume(False)  # torch itself does not run it
    assume(features > 0)
    assert_as_dense(nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.Linear(features, 2)), inputs)

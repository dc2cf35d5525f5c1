"""The VGG10 of figures 1, 2, 3 and D.5."""

from math import sqrt
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

if TYPE_CHECKING:
    from torch import nn

WIDTHS = (16, 16, 32, 64, 64)
HIDDEN = 128
KERNEL, PADDING = 3, 2


def vgg10(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    activation: Annotated[
        Literal["relu", "tanh"],
        Field(description="Elementwise nonlinearity after each convolution and hidden layer."),
    ] = "relu",
) -> "nn.Module":
    """Five blocks of convolution, activation and 2x2 max-pooling, then two linear layers.

    Convolutions are 3x3 with padding 2 and widths 16, 16, 32, 64, 64; their
    weights start from normal(0, sqrt(2 / (9 * out_channels))), their biases from
    zero. The linear layers start from PyTorch's default. The first of them reads
    what the blocks leave of `input_shape`: 64 maps of 2x2 for 8x8 to 32x32 inputs.
    No operation works in place, so that every layer's output can be measured.
    """
    from torch import nn

    nonlinearity = {"tanh": nn.Tanh, "relu": nn.ReLU}[activation]
    channels, height, width = input_shape
    layers: list[nn.Module] = []
    for out_channels in WIDTHS:
        convolution = nn.Conv2d(channels, out_channels, KERNEL, padding=PADDING)
        nn.init.normal_(convolution.weight, 0.0, sqrt(2 / (KERNEL**2 * out_channels)))
        nn.init.zeros_(convolution.bias)
        layers += [convolution, nonlinearity(), nn.MaxPool2d(2)]
        channels = out_channels
        grown = 2 * PADDING - KERNEL + 1
        height, width = (height + grown) // 2, (width + grown) // 2
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(channels * height * width, HIDDEN),
        nonlinearity(),
        nn.Linear(HIDDEN, outputs),
    )

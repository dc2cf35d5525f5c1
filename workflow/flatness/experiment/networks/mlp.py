"""The 4-layer MLP of figures D.4, D.6, E.7 and E.8."""

from math import prod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

if TYPE_CHECKING:
    from torch import nn


def mlp(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    activation: Annotated[
        Literal["tanh", "relu"],
        Field(description="Elementwise nonlinearity after each hidden layer."),
    ] = "relu",
    hidden_width: Annotated[
        int,
        Field(ge=1, description="Units in each hidden layer.", json_schema_extra={"unit": "units"}),
    ] = 500,
    hidden_layers: Annotated[
        int,
        Field(
            ge=1,
            description="Hidden layers; with the output layer, one linear layer more.",
            json_schema_extra={"unit": "layers"},
        ),
    ] = 3,
) -> "nn.Module":
    """Fully connected network on flattened inputs.

    The defaults give M-500-500-500-N with ReLU, the paper's 4-layer MLP. Weights and
    biases start from PyTorch's default for linear layers.
    """
    from torch import nn

    nonlinearity = {"tanh": nn.Tanh, "relu": nn.ReLU}[activation]
    layers: list[nn.Module] = [nn.Flatten()]
    width = prod(input_shape)
    for _ in range(hidden_layers):
        layers += [nn.Linear(width, hidden_width), nonlinearity()]
        width = hidden_width
    return nn.Sequential(*layers, nn.Linear(width, outputs))

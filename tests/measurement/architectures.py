"""Networks that a user might measure, each with inputs that suit it."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from flatness.experiment import networks

N, SAMPLES = 4, 5


def _registered(name: str, shape: tuple[int, ...], outputs: int = N) -> nn.Module:
    return networks.build({"name": name}, shape, outputs, seed=3)


class Residual(nn.Module):
    """A residual block whose addition works in place."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 6, 3, padding=1)
        self.first = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, N)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        y = self.second(torch.relu_(self.norm(self.first(x))))
        y += x
        return self.head(torch.relu_(y).mean((2, 3)))


class Attention(nn.Module):
    """One transformer block over the rows of an image, with a learned position."""

    def __init__(self, batch_first: bool = True):
        super().__init__()
        self.batch_first = batch_first
        self.embed = nn.Linear(6, 8)
        self.position = nn.Parameter(torch.randn(SAMPLES, 8))
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=batch_first)
        self.mix = nn.Linear(8, 8)
        self.head = nn.Linear(8, N)

    def forward(self, x):
        tokens = self.embed(x) + self.position
        if not self.batch_first:
            tokens = tokens.transpose(0, 1)
        y = self.norm(tokens)
        tokens = tokens + self.attention(y, y, y, need_weights=False)[0]
        tokens = tokens + functional.gelu(self.mix(tokens))
        return self.head(tokens.mean(1 if self.batch_first else 0))


class Shared(nn.Module):
    """One layer called twice, and one whose weight another operation reads too."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6)
        self.tied = nn.Linear(6, 6)
        self.head = nn.Linear(6, N)

    def forward(self, x):
        x = torch.tanh(self.inner(torch.tanh(self.inner(x))))
        x = torch.tanh(self.tied(x)) @ self.tied.weight
        return self.head(x)


class TiedModules(nn.Module):
    """Two layers that hold the same weight under two names."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, N)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.head(torch.tanh(self.two(torch.tanh(self.one(x)))))


class Recurrent(nn.Module):
    """A cell applied to each row of the input."""

    def __init__(self):
        super().__init__()
        self.cell = nn.RNNCell(6, 5)
        self.head = nn.Linear(5, N)

    def forward(self, x):
        state = x.new_zeros(len(x), 5)
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
        return self.head(state)


class Last(nn.Module):
    """A layer that reads the last step of what a recurrent layer returns."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(5, N)

    def forward(self, sequence_and_state):
        return self.head(sequence_and_state[0][:, -1])


class Skip(nn.Module):
    """The inputs reach the output beside the first linear layer."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(6, 6), nn.Linear(6, N)

    def forward(self, x):
        return self.head(torch.tanh(self.first(x)) + x)


class Unused(nn.Module):
    """A layer that is called and does not matter, and one that is never called."""

    def __init__(self):
        super().__init__()
        self.first, self.ignored, self.idle = nn.Linear(6, N), nn.Linear(6, N), nn.Linear(6, N)

    def forward(self, x):
        self.ignored(x)
        return torch.tanh(self.first(x))


class LearnedToken(nn.Module):
    """A layer that is fed a constant of one row, not the samples."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 6))
        self.project, self.head = nn.Linear(6, 6), nn.Linear(6, N)

    def forward(self, x):
        return self.head(torch.tanh(x + self.project(self.token)))


class Sorted(nn.Module):
    """Samples are sorted by length on the way, as for packed sequences."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(6, 6), nn.Linear(6, N)

    def forward(self, x):
        order = x.norm(dim=1).argsort()
        return self.head(torch.tanh(self.first(x[order]))[order.argsort()])


class Experts(nn.Module):
    """Each sample goes through one of two layers."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, N)

    def forward(self, x):
        chosen = x[:, 0] > 0
        y = torch.zeros_like(x)
        y[chosen] = self.one(x[chosen])
        y[~chosen] = self.two(x[~chosen])
        return self.head(torch.tanh(y))


class Unbatched(nn.Module):
    """A convolution called on each sample without a sample axis."""

    def __init__(self):
        super().__init__()
        self.convolution, self.head = nn.Conv2d(1, 1, 3), nn.Linear(12, N)

    def forward(self, x):
        return self.head(torch.stack([self.convolution(image) for image in x]).flatten(1))


class FoldedBatch(nn.Module):
    """Rows of all samples go through a layer as if they were samples."""

    def __init__(self):
        super().__init__()
        self.rows, self.head = nn.Linear(6, 4), nn.Linear(12, N)

    def forward(self, x):
        return self.head(torch.tanh(self.rows(x.reshape(-1, 6))).reshape(len(x), -1))


class OwnGradient(nn.Module):
    """A network that differentiates a potential with respect to its input."""

    def __init__(self):
        super().__init__()
        self.potential, self.head = nn.Linear(6, 5), nn.Linear(6, N)

    def forward(self, x):
        energy = torch.tanh(self.potential(x)).square().sum()
        return self.head(torch.autograd.grad(energy, x, create_graph=True)[0])


def _weight_normalised() -> nn.Module:
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(6, 5))
    return nn.Sequential(layer, nn.Tanh(), nn.Linear(5, N))


def _hooked() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, N))
    model[0].register_forward_hook(lambda module, arguments, output: 2 * output)
    return model


def _frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Linear(5, N))
    return model.requires_grad_(False)


def _batch_norm() -> nn.Module:
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, N)
    )
    with torch.no_grad():
        model(torch.randn(20, 2, 6, 6))  # running statistics that differ from 0 and 1
    return model


def _strided() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)),
        nn.Tanh(),
        nn.Conv2d(4, 3, 2, stride=2, padding="valid"),
        nn.Flatten(),
        nn.LazyLinear(N),
    )


def _grouped() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, groups=2, padding="same", padding_mode="circular"),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8, padding=1, padding_mode="reflect"),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(N),
    )


def _one_and_three_dimensions() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(1, 2, (1, 2, 3), padding=(0, 1, 1)),
        nn.Tanh(),
        nn.Flatten(2),
        nn.Conv1d(2, 3, 5, stride=3, dilation=2, padding=4),
        nn.Flatten(),
        nn.LazyLinear(N),
    )


def _layer_norm() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, N))


def _tokens() -> nn.Module:
    """Linear layers at many positions: more, and fewer, than they have inputs."""
    return nn.Sequential(
        nn.Linear(6, 3), nn.Tanh(), nn.Linear(3, 7), nn.Flatten(), nn.Linear(28, N)
    )


def _mlp(activation: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 9), activation(), nn.Linear(9, 7), activation(), nn.Linear(7, N)
    )


# name: (constructor, input shape)
ARCHITECTURES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(6, N), (6,)),
    "linear-without-bias": (lambda: nn.Linear(6, N, bias=False), (6,)),
    "more-outputs-than-inputs": (lambda: nn.Linear(2, N), (2,)),
    "mlp-tanh": (lambda: _mlp(nn.Tanh), (6,)),
    "mlp-relu": (lambda: _mlp(nn.ReLU), (6,)),
    "mlp-relu-in-place": (lambda: _mlp(lambda: nn.ReLU(inplace=True)), (6,)),
    "mlp-registered": (lambda: _registered("mlp", (1, 4, 4)), (1, 4, 4)),
    "vgg10-8x8": (lambda: _registered("vgg10", (1, 8, 8)), (1, 8, 8)),
    "vgg10-32x32": (lambda: _registered("vgg10", (3, 32, 32)), (3, 32, 32)),
    "strided-convolution": (_strided, (2, 9, 8)),
    "grouped-convolution": (_grouped, (4, 6, 6)),
    "convolutions-1d-3d": (_one_and_three_dimensions, (1, 2, 3, 4)),
    "layer-norm": (_layer_norm, (6,)),
    "batch-norm": (_batch_norm, (2, 6, 6)),
    "residual-in-place": (Residual, (2, 6, 6)),
    "attention": (Attention, (SAMPLES, 6)),
    "attention-samples-second": (lambda: Attention(batch_first=False), (SAMPLES, 6)),
    "linear-at-positions": (_tokens, (4, 6)),
    "shared-weights": (Shared, (6,)),
    "tied-modules": (TiedModules, (6,)),
    "recurrent": (Recurrent, (3, 6)),
    "skip-past-first-layer": (Skip, (6,)),
    "unused-layers": (Unused, (6,)),
    "constant-token": (LearnedToken, (6,)),
    "sorted-samples": (Sorted, (6,)),
    "experts": (Experts, (6,)),
    "unbatched-convolution": (Unbatched, (1, 5, 6)),
    "folded-batch": (FoldedBatch, (3, 6)),
    "gradient-inside": (OwnGradient, (6,)),
    "lstm": (lambda: nn.Sequential(nn.LSTM(6, 5, batch_first=True), Last()), (3, 6)),
    "transposed-convolution": (
        lambda: nn.Sequential(nn.ConvTranspose2d(1, 2, 3), nn.Flatten(), nn.LazyLinear(N)),
        (1, 4, 4),
    ),
    "weight-normalised": (_weight_normalised, (6,)),
    "hooked": (_hooked, (6,)),
    "frozen-parameters": (_frozen, (6,)),
}


def network(name: str, dtype: torch.dtype) -> tuple[nn.Module, torch.Tensor]:
    """A network in eval mode and (SAMPLES, ...) inputs, the same on every call."""
    construct, shape = ARCHITECTURES[name]
    with torch.random.fork_rng():
        torch.manual_seed(11)
        inputs = torch.randn(SAMPLES, *shape)
        model = construct()
        model(inputs.clone().requires_grad_())  # lazy layers take their shape
    return model.to(dtype).eval(), inputs.to(dtype)

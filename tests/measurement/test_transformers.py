"""Transformers as people write them: attention of torch and by hand, tokens, learned scales."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.measurement.comparison import assert_as_dense

T, WIDTH = 3, 4


class Attends(nn.Module):
    """Torch's attention over tokens (n, 3, 4), in either order of axes."""

    def __init__(self, batch_first, need_weights=False, **options):
        super().__init__()
        self.batch_first, self.need_weights = batch_first, need_weights
        self.embed, self.head = nn.Linear(5, WIDTH), nn.Linear(WIDTH, 2)
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=batch_first, **options)

    def forward(self, x):
        z = self.embed(x)
        if not self.batch_first:
            z = z.transpose(0, 1)
        attended, _ = self.attention(z, z.sin(), z.cos(), need_weights=self.need_weights)
        return self.head(attended.mean(1 if self.batch_first else 0))


class Encoder(nn.Module):
    """A vision transformer: class token, learned positions, torch's encoder layers."""

    def __init__(self, batch_first=True, **options):
        super().__init__()
        self.batch_first = batch_first
        self.patches = nn.Conv2d(1, WIDTH, 2, stride=2)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.position = nn.Parameter(torch.randn(1, 5, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 6, batch_first=batch_first, **options)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, x):
        z = self.patches(x).flatten(2).mT
        z = torch.cat([self.token.expand(len(x), -1, -1), z], 1) + self.position
        if not self.batch_first:
            return self.head(self.encoder(z.transpose(0, 1))[0])
        return self.head(self.encoder(z)[:, 0])


class ByHand(nn.Module):
    """One block with fused projections, layer scale and a causal mask."""

    def __init__(self):
        super().__init__()
        self.norm, self.qkv = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH)
        self.out, self.mix = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.scale = nn.Parameter(1e-2 * torch.ones(WIDTH))
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).unflatten(2, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        z = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.scale * self.out(z.transpose(1, 2).flatten(2))
        return self.head((x + self.scale * functional.gelu(self.mix(x)))[:, -1])


class Windows(nn.Module):
    """Windows folded into the batch axis, with a relative bias, as in Swin."""

    def __init__(self):
        super().__init__()
        self.qkv, self.bias = nn.Linear(WIDTH, 3 * WIDTH), nn.Parameter(torch.randn(4, 4))
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, x):
        z = x.unfold(1, 2, 2).unfold(2, 2, 2).permute(0, 1, 2, 4, 5, 3)  # (n, 2, 2, 2, 2, width)
        q, k, v = self.qkv(z.reshape(-1, 4, WIDTH)).chunk(3, -1)
        z = torch.softmax(q @ k.mT / 2 + self.bias, -1) @ v
        return self.head(torch.tanh(z).reshape(len(x), -1, WIDTH).mean(1))


class FromLearnedQueries(nn.Module):
    """Learned queries attend to the tokens: they hold no sample."""

    def __init__(self):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(2, WIDTH))
        self.attention = nn.MultiheadAttention(WIDTH, 1, kdim=5, vdim=5, batch_first=True)
        self.head = nn.Linear(2 * WIDTH, 2)

    def forward(self, x):
        queries = self.queries.expand(len(x), -1, -1)
        return self.head(self.attention(queries, x, x)[0].flatten(1))


TRANSFORMERS = {
    "samples first": (lambda: Attends(True), (T, 5)),
    "sequence first": (lambda: Attends(False), (T, 5)),
    "with weights": (lambda: Attends(True, need_weights=True), (T, 5)),
    "sequence first with weights": (lambda: Attends(False, need_weights=True), (T, 5)),
    "without bias": (lambda: Attends(True, bias=False), (T, 5)),
    "with a bias of keys": (lambda: Attends(True, add_bias_kv=True), (T, 5)),
    "with a zero": (lambda: Attends(False, add_zero_attn=True), (T, 5)),
    "learned queries": (FromLearnedQueries, (T, 5)),
    "encoder": (Encoder, (1, 4, 4)),
    "encoder, norm first": (lambda: Encoder(norm_first=True), (1, 4, 4)),
    "encoder, sequence first": (lambda: Encoder(batch_first=False), (1, 4, 4)),
    "by hand": (ByHand, (T, WIDTH)),
    "windows": (Windows, (4, 4, WIDTH)),
}


@pytest.mark.parametrize("samples", [1, T, 4])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_measured(name, samples):
    """Also for as many samples as tokens, where the axes could be taken for each other."""
    build, shape = TRANSFORMERS[name]
    torch.manual_seed(0)
    assert_as_dense(build(), torch.randn(samples, *shape))

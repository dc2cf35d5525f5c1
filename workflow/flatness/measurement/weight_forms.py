"""Closed forms: per-sample squared gradient norms of the weights of linear maps.

With d_t the cotangent of z_t = W a_t + b at positions t, the gradients of one sample are
dW = sum_t d_t a_t^T and db = sum_t d_t. A weight that is applied several times has the
positions of all its applications. Wanted, summed over the outputs j of the network, are

    sum_j ||dW||_F^2    and    sum_j ||dW o W||_F^2    (o entry by entry),

the second for the elementwise adaptive sharpness. There are two ways to them. With F entries
of a_t, C of d_t and T positions,

- **by gradients**: dW is formed for each output, T F C products;
- **by pairs** of positions, without dW:

      sum_j ||dW||_F^2     = sum_{t,u} (a_t . a_u) sum_c M_tuc,    M_tuc = sum_j d_jtc d_juc,
      sum_j ||dW o W||_F^2 = sum_{t,u} sum_c M_tuc sum_f W_cf^2 a_tf a_uf,

  whose large products are independent of the outputs: T (T + 1) / 2 F C of them. The terms may
  cancel, so it is done in float64, which leaves room where the network is in float32.

For one position there is one pair, and nothing that could cancel: with m_c = sum_j d_jc^2,

      sum_j ||dW||_F^2     = ||a||^2 sum_c m_c,
      sum_j ||dW o W||_F^2 = sum_c m_c sum_f W_cf^2 a_f^2.
"""

from collections.abc import Sequence
from math import ceil, prod

import torch
from torch import Tensor
from torch.nn import functional

from flatness.measurement.operations import LinearMap
from flatness.measurement.placement import Placement
from flatness.measurement.products import grams, products

# Cotangents of several outputs are put side by side up to about so many columns, where the
# layer's weight is applied to more features than that: products with few columns take up to
# twice the time, which is worth the copy.
_COLUMNS = 64
_FEATURES = 64
# Gradients of several samples are squared and added together up to so many bytes, which should
# stay in a cache.
_BLOCK_BYTES = 2**20
# Products add one number after the other, which costs float32 its last digits where there are
# more than so many; sums add pairs of pairs.
_SUMMED_BY_PRODUCTS = 2**16
# Weights whose largest is between these are squared as they are.
_SAFE = (1e-9, 1e9)
_ROLES = ("weight", "bias", "adaptive_weight", "adaptive_bias")


class WeightForm:
    """Squared norms of the gradients of one weight, summed over the outputs given to `add`.

    Args:
        maps: where the weight is applied, all with the same weight.
        placements: where the samples lie along the first axis of their inputs and outputs.
        samples: n.
        outputs: N, how often `add` will be called at most.
        bias: the bias that these maps, and no others, add; None if there is none.
        adaptive: whether gradients times the parameters are wanted, too.
        dtype: in which products are formed, the network's or a wider one.
    """

    def __init__(
        self,
        maps: Sequence[LinearMap],
        placements: Sequence[Placement],
        samples: int,
        outputs: int,
        bias: Tensor | None,
        adaptive: bool,
        dtype: torch.dtype,
    ):
        self._maps, self._placements, self._samples = maps, placements, samples
        self._groups = _groups(maps[0])
        self._dtype = dtype
        weight = weight_by_position(maps[0], maps[0].weight[None].to(dtype))[0]
        C, F = weight.shape[1:]
        T = sum(positions_of(one, samples) for one in maps)
        way = _way((T, F, C), outputs, adaptive, dtype)
        ones = int(way is _Gradients and bias is not None)
        parts = [
            by_position(one, where, samples, dtype, ones)
            for one, where in zip(maps, placements, strict=True)
        ]
        a = parts[0] if len(parts) == 1 else torch.cat(parts, 2)
        self._way = way(a, weight, bias, adaptive)
        # Whether the results hold the squares of all cotangents, too.
        self.sums_cotangents = way is _OnePosition
        collects = way is _Gradients and F > _FEATURES and _together(outputs, C) > 1
        self._columns = _Columns(_together(outputs, C)) if collects else None

    def add(self, cotangents: Sequence[Tensor]) -> None:
        """Take in one output's cotangents, each shaped like what its map returns."""
        parts = [
            self._by_position(cotangent, where)
            for cotangent, where in zip(cotangents, self._placements, strict=True)
        ]
        d = parts[0] if len(parts) == 1 else torch.cat(parts, 2)
        if self._columns is None:
            self._way.add(d.to(self._dtype), 1)
        elif self._columns.put(d, self._dtype):
            self._way.add(*self._columns.taken_out())

    def finish(self) -> None:
        """To be called when all outputs are taken in, before any result is asked for."""
        if self._columns is not None and self._columns.filled:
            self._way.add(*self._columns.taken_out())
        self._columns = None
        self.results = self._way.results()

    def restart(self) -> None:
        """Begin anew with sums of zero, after `finish`; earlier results stay as they are."""
        self._way.restart()

    def _by_position(self, cotangent: Tensor, where: Placement) -> Tensor:
        """(n, groups, T, C)."""
        n, groups = self._samples, self._groups
        if cotangent.ndim == 2:
            d = where.samples_first(cotangent, n)
            return d.reshape(n, 1, -1, d.shape[-1])
        rows, channels = cotangent.shape[:2]
        d = cotangent.flatten(2).mT.reshape(rows, -1, groups, channels // groups)
        d = where.samples_first(d, n)  # (n, before, after, T, groups, C)
        return d.flatten(1, 3).transpose(1, 2)


class _Gradients:
    """From the gradients, with a last feature that is 1 everywhere for the bias.

    Args:
        a: (n, groups, T, F), with that feature if there is a bias.
        weight: (groups, C, F), without it.
        bias: (C of all groups,), or None.
        adaptive: whether gradients times the parameters are wanted, too.
    """

    def __init__(self, a: Tensor, weight: Tensor, bias: Tensor | None, adaptive: bool):
        self._a = a.flatten(0, 1).mT
        self._samples, self._groups = a.shape[:2]
        self._features = weight.shape[2]
        self._factors: dict[str, tuple[Tensor, float]] = {}
        if adaptive:
            relative, scale = _relative(weight)
            self._factors["weight"] = relative.mT.square().contiguous(), scale**2
            if bias is not None:
                relative, scale = _relative(bias.to(weight.dtype))
                square = relative.square().reshape(self._groups, 1, -1)
                self._factors["bias"] = square, scale**2
        self._tiled: dict[tuple[str, int], Tensor] = {}
        self._block = a.new_empty(0)
        self.restart()

    def restart(self) -> None:
        self._sums = self._a.new_zeros(len(_ROLES), self._samples, dtype=torch.float64)

    def add(self, d: Tensor, outputs: int) -> None:
        """Take in (n, groups, T, outputs times C)."""
        d = d.flatten(0, 1)
        shape = self._a.shape[1], d.shape[2]
        step = max(1, _BLOCK_BYTES // (self._groups * prod(shape) * d.element_size()))
        step = min(step, self._samples)
        # Memory that was written to a moment ago takes much less time to write to.
        if self._block.shape != (step * self._groups, *shape):
            self._block = d.new_empty(step * self._groups, *shape)
        sums = d.new_zeros(self._sums.shape)
        for start in range(0, self._samples, step):
            rows = slice(start * self._groups, (start + step) * self._groups)
            squares = products(self._a[rows], d[rows], self._block).square_()
            squares = squares.unflatten(0, (-1, self._groups))
            here = sums[:, start : start + step]
            self._add_sums("weight", here, squares[:, :, : self._features], outputs)
            self._add_sums("bias", here, squares[:, :, self._features :], outputs)
        self._sums += sums

    def _add_sums(self, role: str, sums: Tensor, squares: Tensor, outputs: int) -> None:
        """Add up squares (samples, groups, features, outputs times C) of some samples."""
        if squares.shape[2] == 0:
            return
        flat = squares.flatten(2)
        torch.sum(flat, (1, 2), out=sums[_ROLES.index(role)])
        if role in self._factors:
            if (role, outputs) not in self._tiled:
                factors = self._factors[role][0]
                factors = factors.repeat(1, 1, outputs) if outputs > 1 else factors
                self._tiled[role, outputs] = factors.flatten(1)[:, :, None]
            factors = self._tiled[role, outputs]
            if flat.shape[2] <= _SUMMED_BY_PRODUCTS:
                # (groups, samples, entries) times (groups, entries, 1)
                weighted = torch.bmm(flat.transpose(0, 1), factors)[:, :, 0]
                torch.sum(weighted, 0, out=sums[_ROLES.index(f"adaptive_{role}")])
            else:
                weighted = flat * factors[:, :, 0]
                torch.sum(weighted, (1, 2), out=sums[_ROLES.index(f"adaptive_{role}")])

    def results(self) -> dict[str, Tensor]:
        found = dict(zip(_ROLES, self._sums, strict=True))
        for role, (_, scale) in self._factors.items():
            found[f"adaptive_{role}"] = found[f"adaptive_{role}"] * scale
        return found


class _OnePosition:
    """From the squares of one position."""

    def __init__(self, a: Tensor, weight: Tensor, bias: Tensor | None, adaptive: bool):
        self._a, self._weight, self._bias, self._adaptive = a[:, :, 0], weight, bias, adaptive
        self.restart()

    def restart(self) -> None:
        n, groups, C = len(self._a), *self._weight.shape[:2]
        self._squares = self._a.new_zeros(n, groups, C)  # the m_c

    def add(self, d: Tensor, _outputs: int) -> None:
        """Take in (n, groups, 1, C)."""
        d = d[:, :, 0]
        self._squares.addcmul_(d, d)

    def results(self) -> dict[str, Tensor]:
        a, m = self._a.square(), self._squares
        of_cotangents = m.sum(2, dtype=torch.float64)
        found = {
            "weight": (a.sum(2, dtype=torch.float64) * of_cotangents).sum(1),
            "bias": of_cotangents.sum(1),
            "cotangents": of_cotangents.sum(1),
        }
        if self._adaptive:
            relative, scale = _relative(self._weight)
            weighted = a.transpose(0, 1) @ relative.square().mT  # (groups, n, C)
            weighted *= m.transpose(0, 1)
            found["adaptive_weight"] = weighted.sum((0, 2), dtype=torch.float64) * scale**2
            if self._bias is not None:
                relative, scale = _relative(self._bias.to(m.dtype))
                terms = m * relative.reshape(m.shape[1:]).square()
                found["adaptive_bias"] = terms.sum((1, 2), dtype=torch.float64) * scale**2
        return found


class _Pairs:
    """From products of pairs of positions, whose terms may cancel."""

    def __init__(self, a: Tensor, weight: Tensor, bias: Tensor | None, adaptive: bool):
        self._a, self._weight, self._bias, self._adaptive = a.double(), weight, bias, adaptive
        self.restart()

    def restart(self) -> None:
        n, groups, T, _ = self._a.shape
        pairs, C = T * (T + 1) // 2, self._weight.shape[1]
        self._of_cotangents = self._a.new_zeros(n, groups, pairs, C)  # the M_tuc

    def add(self, d: Tensor, _outputs: int) -> None:
        """Take in (n, groups, T, C)."""
        d = d.double()
        start, T = 0, d.shape[2]
        for t in range(T):
            end = start + T - t
            self._of_cotangents[:, :, start:end].addcmul_(d[:, :, t : t + 1], d[:, :, t:])
            start = end

    def results(self) -> dict[str, Tensor]:
        a, M = self._a, self._of_cotangents
        n, groups, T, F = a.shape
        first, second = torch.triu_indices(T, T, device=a.device)
        twice = (2 - (first == second).to(a.dtype))[:, None]  # pairs in both orders
        of_pairs = M.sum(3) * twice[:, 0]
        gram = grams(a.flatten(0, 1)).unflatten(0, (n, groups))[:, :, first, second]
        found = {
            "weight": (gram * of_pairs).sum((1, 2)).clamp_min(0),
            "bias": of_pairs.sum((1, 2)).clamp_min(0),
        }
        if self._adaptive:
            relative, scale = _relative(self._weight.double())
            factors = relative.square().mT  # (groups, F, C)
            total = a.new_zeros(n)
            block = max(1, 16 * _BLOCK_BYTES // (groups * len(first) * F * a.element_size()))
            for start in range(0, n, block):
                rows = slice(start, start + block)
                pairs = a[rows, :, first] * a[rows, :, second]
                weighted = (pairs.transpose(0, 1).flatten(1, 2) @ factors).unflatten(
                    1, (-1, len(first))
                )
                terms = weighted.transpose(0, 1) * (M[rows] * twice)
                total[rows] = terms.sum((1, 2, 3))
            found["adaptive_weight"] = total.clamp_min(0) * scale**2
            if self._bias is not None:
                relative, scale = _relative(self._bias.double())
                terms = M * twice * relative.reshape(groups, 1, -1).square()
                found["adaptive_bias"] = terms.sum((1, 2, 3)).clamp_min(0) * scale**2
        return found


def _together(outputs: int, channels: int) -> int:
    """How many outputs' cotangents stand side by side, in groups of about equal size."""
    return ceil(outputs / ceil(outputs * channels / _COLUMNS))


class _Columns:
    """The d_t of several outputs side by side: (n, groups, T, outputs times C).

    Args:
        together: how many.
    """

    def __init__(self, together: int):
        self._together = together
        self._columns: Tensor | None = None
        self.filled = 0

    def put(self, d: Tensor, dtype: torch.dtype) -> bool:
        """Take in one output; whether there is no room for another."""
        C = d.shape[3]
        if self._columns is None:
            self._columns = d.new_empty(*d.shape[:3], self._together * C, dtype=dtype)
            self._channels = C
        start, self.filled = self.filled, self.filled + C
        self._columns[..., start : self.filled] = d
        return self.filled == self._columns.shape[3]

    def taken_out(self) -> tuple[Tensor, int]:
        """What was put in since the last time, to be used before the next `put`; how many."""
        filled, self.filled = self.filled, 0
        return self._columns[..., :filled], filled // self._channels


def _way(
    shape: tuple[int, int, int], outputs: int, adaptive: bool, dtype: torch.dtype
) -> type["_Gradients | _OnePosition | _Pairs"]:
    """Which way takes least time, and no more memory than the others.

    Args:
        shape: (T, F, C).
        outputs: N.
        adaptive: whether gradients times the parameters are wanted, too.
        dtype: in which products are formed.
    """
    T, F, C = shape
    pairs = T * (T + 1) // 2
    if T == 1:
        return _OnePosition
    if dtype != torch.float32 or pairs > F:
        return _Gradients
    # Multiplications; float64 counts twice, and what is done with each entry of dW beside the
    # product as much as six of them.
    by_pairs = 2 * T * T * F + 2 * adaptive * pairs * F * C + 4 * outputs * pairs * C
    return _Pairs if by_pairs < outputs * (T + 6) * F * C else _Gradients


def _relative(values: Tensor) -> tuple[Tensor, float]:
    """Values whose squares are numbers of their dtype, and what they were divided by."""
    if values.numel() == 0:
        return values, 1.0
    least, most = torch.stack(values.aminmax()).tolist()  # one copy
    largest = max(-least, most)
    if largest == 0 or _SAFE[0] < largest < _SAFE[1]:
        return values, 1.0
    return values / largest, largest


def _groups(one: LinearMap) -> int:
    return one.convolution.groups if one.convolution else 1


def positions_of(one: LinearMap, samples: int) -> int:
    """How often a map applies its weight to one sample."""
    shape = one.node._input_metadata[0].shape
    return shape[0] * prod(shape[2:]) // samples


def by_position(
    one: LinearMap, where: Placement, samples: int, dtype: torch.dtype, ones: int = 0
) -> Tensor:
    """What a linear map's weight is applied to: (n, groups, T, F), the a_t.

    Features of a convolution are ordered (*kernel, channels); see `weight_by_position`.

    Args:
        one: the map.
        where: the place of the samples along the first axis of its input.
        samples: n.
        dtype: of the result.
        ones: features more, at the end, that are 1 everywhere, as if they multiplied a bias.
    """
    inputs = one.inputs.to(dtype)
    if one.convolution is None:
        a = where.samples_first(inputs, samples)
        a = a.reshape(samples, 1, -1, a.shape[-1])
        return functional.pad(a, (0, ones), value=1) if ones else a
    windows = _windows(one, inputs)
    axes = len(one.convolution.stride)
    positions, features = windows.shape[2 : 2 + axes], windows.shape[2 + axes :]
    a = windows.new_empty(*windows.shape[:2], prod(positions), prod(features) + ones)
    a[..., prod(features) :] = 1
    a[..., : prod(features)].unflatten(3, features).unflatten(2, positions).copy_(windows)
    # (n, before, after, groups, T, F) as (n, groups, before after T, F)
    return where.samples_first(a, samples).movedim(3, 1).flatten(2, 4)


def weight_by_position(one: LinearMap, weights: Tensor) -> Tensor:
    """Weights (n, *shape of the weight) in the order of `by_position`: (n, groups, C, F)."""
    if one.convolution is None:
        return weights[:, None]
    return weights.unflatten(1, (one.convolution.groups, -1)).movedim(3, -1).flatten(3)


def _windows(one: LinearMap, inputs: Tensor) -> Tensor:
    """A view of what a convolution sees: (rows, groups, *positions, *kernel, channels / groups)."""
    how = one.convolution
    padding = [extent for each in reversed(how.padding) for extent in (each, each)]
    padded = functional.pad(inputs, padding) if any(padding) else inputs
    # With the channels innermost, windows are copied in long pieces.
    windows = padded.movedim(1, -1).contiguous()
    axes = len(how.stride)
    for axis, (size, stride, dilation) in enumerate(
        zip(one.weight.shape[2:], how.stride, how.dilation, strict=True), start=1
    ):
        span = dilation * (size - 1) + 1
        windows = windows.unfold(axis, span, stride)[..., ::dilation]
    channels = windows.movedim(1 + axes, -1).unflatten(-1, (how.groups, -1))
    return channels.movedim(-2, 1)

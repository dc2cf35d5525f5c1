"""The part of the loss Hessian's trace that the sharpness leaves out.

For L = 1/(2n) sum_i ||f(x_i) - y_i||^2 (Eq. 2) and residuals r_i = f(x_i) - y_i,

    Tr d^2L/dtheta^2 = S + 1/n sum_i rho_i,   rho_i = sum_j r_ij Tr d^2f_j(x_i)/dtheta^2.

S is exact (see `chunk_terms`); here are the rho_i. Parameters are taken in blocks, one for each
module, since only diagonal blocks enter a trace. Within layer l, which computes
z_t = W a_t + b at positions t, a change U of W and u of b changes z_t by U a_t + u, so
that with g_i = r_i . f(x_i), r_i held fixed,

    Tr over (W, b) of d^2g_i = sum over unit (U, u) of dz . (d^2g_i/dz^2) dz,

and, for one position, (||a||^2 + 1) Tr d^2g_i/dz^2. Each product d^2g_i/dz^2 dz takes one
more backward pass, for all samples together, because each has a z of its own. Where a
product with a vector drawn at random vanishes, so does the whole block: for networks
that are piecewise linear in each layer's parameters, as with ReLU and max-pooling,
rho_i = 0 and Tr d^2L/dtheta^2 = S exactly.

Either all unit directions are taken, which is exact, or random signs in their place
(Hutchinson's estimator), drawn for every sample on its own, so that the mean over
samples averages n times as many probes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import xarray as xr
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge
from torch.nn.attention import SDPBackend, sdpa_kernel

from flatness.errors import MeasurementError, NotFiniteError
from flatness.glossary import annotate
from flatness.glossary.primitives import PRIMITIVES
from flatness.measurement.checks import check_network_and_inputs, refusing_failures
from flatness.measurement.eager import as_written
from flatness.measurement.frozen import FrozenNetwork
from flatness.measurement.irregular import normals
from flatness.measurement.proof import Proof
from flatness.measurement.second_derivatives import (
    refuse_single_derivatives,
    refuse_wrong_derivatives,
)
from flatness.measurement.selection import Choice
from flatness.measurement.signs import generator_of, signs
from flatness.measurement.together import one_or_all
from flatness.measurement.traced import Layer, TracedChunk
from flatness.measurement.unchanged import attributes_kept, exact_arithmetic, gradients_required
from flatness.measurement.unwrapped import unwrapped
from flatness.measurement.weight_forms import by_position, weight_by_position


def curvature(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    start: str | None = None,
    output: Choice | None = None,
    probes: int = 16,
    exact_products: int = 300,
    seed: int = 0,
    chunk_size: int = 100,
    dtype: torch.dtype | None = None,
) -> xr.Dataset:
    """What the trace of the loss Hessian adds to the sharpness, for each sample (Lemma A.1).

    The loss is L = 1/(2n) sum ||f(x_i) - y_i||^2 (Eq. 2), whatever the network was trained
    with. For PyTorch's `MSELoss` with its mean over batch and outputs multiply by 2/N. Merged
    with the result of `measure`, `flatness.quantities` gives `hessian_trace`.

    Args:
        model: as for `measure`.
        inputs: (samples, ...), as for `measure`.
        targets: (samples, N) of the dtype and on the device of the inputs.
        start: as for `measure`; then the trace is that in the parameters behind it.
        output: as for `measure`.
        probes: random probes of each sample where the exact way is too long, at least 2.
        exact_products: the exact way is taken up to this number of products of a Hessian and
            a vector: one for each unit of a linear layer, and one for each entry of the
            parameters of convolutions and all other modules.
        seed: of the probes; torch's generators are left as they were.
        chunk_size: as for `measure`; estimates do not depend on it.
        dtype: as for `measure`; targets are converted, too.

    Returns:
        A Dataset with the dimension sample, all float64:

        - residual_curvature: sum_j (f_j(x) - y_j) Tr d^2f_j(x)/dtheta^2, over all parameters.
        - residual_curvature_standard_error: of its estimate; 0 where it is exact. The standard
          error of the mean over samples is the root of the sum of squares over n.
        - residual_norm: ||f(x) - y||_2.

        The attribute `method` of residual_curvature says how it was found.

    Raises:
        MeasurementError: as for `measure`; targets of another shape, dtype or device, or not
            finite; fewer than 2 probes; the network cannot be differentiated twice.

    Cost: one forward pass, and for each layer with curvature as many pairs of backward
    passes of the batch as there are products, or probes; parameters of layers without a
    closed form take that many for each sample.
    """
    model = unwrapped(model)
    check_network_and_inputs(model, inputs, chunk_size, start, dtype)
    kind = next(model.parameters())
    if dtype is not None and isinstance(targets, Tensor) and targets.is_floating_point():
        kind, targets = kind.to(dtype), targets.to(dtype)
    _check_targets(len(inputs), kind, targets)
    if probes < 2:
        raise MeasurementError(
            f"probes = {probes}. Allowed: 2 or more, or there is no standard error. Raise it."
        )
    with (
        exact_arithmetic(inputs.device, model),
        attributes_kept(model),
        gradients_required(model),
        sdpa_kernel(SDPBackend.MATH),  # the other kernels of attention have one derivative only
        refusing_failures("differentiated twice"),
    ):

        def measured() -> list[tuple[Tensor, Tensor, str]]:
            network = FrozenNetwork(model, output=output, start=start, dtype=dtype)
            begun = network.begin(inputs, chunk_size)
            proofs: dict[tuple, Proof] = {}
            parts = []
            for first in range(0, len(begun), chunk_size):
                here = slice(first, first + chunk_size)
                traced = TracedChunk(network.of(here), begun[here], proofs)
                chunk = _Chunk(traced, targets[here], first)
                exact = chunk.is_flat() or chunk.products() <= exact_products
                how = "exact" if exact else f"{probes} random probes for each sample, seed {seed}"
                estimates = chunk.exact() if exact else chunk.estimates(probes, seed)
                parts.append((estimates, chunk.residual.detach().double().norm(dim=1), how))
            return parts

        parts = as_written(measured)
    if not all(estimates.isfinite().all() for estimates, _, _ in parts):
        raise NotFiniteError(
            "model: its second derivatives hold values that are not finite. Allowed: a network "
            "that is twice differentiable at the samples. Look for overflow, or for roots and "
            "quotients at 0."
        )
    per_sample = {
        "residual_curvature": torch.cat([e.mean(1) for e, _, _ in parts]),
        "residual_curvature_standard_error": torch.cat([_standard_error(e) for e, _, _ in parts]),
        "residual_norm": torch.cat([norm for _, norm, _ in parts]),
    }
    dataset = xr.Dataset(
        {name: ("sample", values.cpu().numpy()) for name, values in per_sample.items()}
    )
    dataset["residual_curvature"].attrs["method"] = one_or_all(how for *_, how in parts)
    return annotate(dataset, PRIMITIVES)


def _check_targets(samples: int, kind: Tensor, targets: Tensor) -> None:
    """Refuse targets that are not (samples, N), finite, and like a parameter."""
    if not isinstance(targets, Tensor) or targets.ndim != 2 or len(targets) != samples:
        found, advice = type(targets).__name__, "Pass one."
        if isinstance(targets, Tensor):
            found, advice = tuple(targets.shape), "Pass a row for each sample."
            if targets.shape == (samples,):
                advice = "Of classes make torch.nn.functional.one_hot(targets, N).to(inputs)."
        raise MeasurementError(
            f"targets: {found}. Allowed: a tensor of shape ({samples}, N), one row per sample. "
            f"{advice}"
        )
    if (targets.dtype, targets.device) != (kind.dtype, kind.device):
        raise MeasurementError(
            f"targets: {targets.dtype} on {targets.device}, but the network is {kind.dtype} on "
            f"{kind.device}. Allowed: one dtype and one device for both. Convert with .to(...)."
        )
    if not targets.isfinite().all():
        raise MeasurementError(
            "targets: hold values that are not finite. Allowed: finite numbers. Mend them."
        )


def _standard_error(estimates: Tensor) -> Tensor:
    """(n,): of the mean over probes; 0 for the one column of an exact result."""
    count = estimates.shape[1]
    if count == 1:
        return torch.zeros_like(estimates[:, 0])
    return estimates.std(1, correction=1) / count**0.5


@dataclass(frozen=True)
class _Block:
    """One layer's z, and the gradient of sum_i g_i there, which can be differentiated again.

    Args:
        layer: the layer.
        gradient: shaped like z.
        samples: n.
    """

    layer: Layer
    gradient: Tensor
    samples: int

    def product(self, change: Tensor) -> Tensor:
        """d^2g/dz^2 times a change of z."""
        (product,) = torch.autograd.grad(
            (self.gradient * change).sum(),
            [GradientEdge(self.layer.node, 0)],
            retain_graph=True,
            allow_unused=True,
            materialize_grads=False,
        )
        return torch.zeros_like(change) if product is None else product

    def quadratic(self, change: Tensor) -> Tensor:
        """(n,) float64: dz . (d^2g/dz^2) dz for each sample."""
        products = change.double() * self.product(change).double()
        return self.by_sample(products).flatten(1).sum(1)

    def by_sample(self, values: Tensor) -> Tensor:
        """Values shaped like z with the samples first."""
        return self.layer.where.samples_first(values, self.samples)

    def like_z(self, values: Tensor) -> Tensor:
        """(n, *entries of z of one sample) shaped like z: the way back from `by_sample`."""
        return self.layer.where.folded(values.reshape(self.by_sample(self.gradient).shape))


class _Chunk:
    """The samples differentiated together.

    Args:
        traced: the samples, run once.
        targets: (n, N).
        first: position of the first one among all samples, from which probes are drawn.
    """

    def __init__(self, traced: TracedChunk, targets: Tensor, first: int):
        self.network, self.inputs, self.first = traced.network, traced.inputs.detach(), first
        if traced.output.shape != targets.shape:
            raise MeasurementError(
                f"targets: {targets.shape[1]} columns for {traced.output.shape[1]} outputs. "
                "Allowed: one column per output. Choose targets that fit the network."
            )
        # Differentiable, or functions with one derivative only would leave no trace.
        self.residual = (traced.output - targets).detach().requires_grad_()
        refuse_wrong_derivatives(self.network, traced.structure.graph, self.inputs, self.residual)
        owners = [layer for layer in traced.layers if layer.names]
        gradients = owners and torch.autograd.grad(
            (traced.output * self.residual).sum(),
            [GradientEdge(layer.node, 0) for layer in owners],
            create_graph=True,
            allow_unused=True,
        )
        self.blocks = [
            _Block(layer, gradient, len(self.inputs))
            for layer, gradient in zip(owners, gradients, strict=True)
            if gradient is not None
        ]
        refuse_single_derivatives([block.gradient for block in self.blocks])
        self.curved = [block for block in self.blocks if self._is_curved(block)]
        closed = {name for layer in owners for name in layer.names.values()}
        # The parameters of one module are a block, as those of a layer are.
        self.rest: dict[str, list[Tensor]] = {}
        for name in traced.structure.uses:
            if name not in closed:
                leaf = traced.network.leaves[name]
                self.rest.setdefault(name.rpartition(".")[0], []).append(leaf)

    def products(self) -> int:
        """How many products the exact way takes, at most."""
        of_rest = sum(leaf.numel() for leaves in self.rest.values() for leaf in leaves)
        return of_rest + sum(
            _units(block) if _at_one_position(block) else _entries(block.layer)
            for block in self.blocks
        )

    def is_flat(self) -> bool:
        """Whether nothing is left to be computed."""
        return not (self.curved or self.rest)

    def exact(self) -> Tensor:
        """(n, 1) float64: the curvature of each sample."""
        total = torch.zeros(len(self.inputs), dtype=torch.float64, device=self.inputs.device)
        for block in self.curved:
            for change, factor in _unit_changes(block):
                total += factor * block.quadratic(change)
        for leaves in self.rest.values():
            directions = torch.eye(sum(leaf.numel() for leaf in leaves), device="cpu")
            for i in range(len(total)):
                total[i] += self._quadratic_of_rest(i, leaves, directions).sum()
        return total[:, None]

    def estimates(self, probes: int, seed: int) -> Tensor:
        """(n, probes) float64: one estimate of the curvature of each sample from each probe."""
        n = len(self.inputs)
        total = torch.zeros(n, probes, dtype=torch.float64, device=self.inputs.device)
        for block in self.curved:
            count = _units(block) if _at_one_position(block) else _entries(block.layer)
            generators = [generator_of(seed, self.first + i, block.layer.name) for i in range(n)]
            for k in range(probes):
                entries = torch.stack([signs(generator, count) for generator in generators])
                # As bytes, which are a quarter or an eighth of the way to a GPU.
                entries = entries.to(block.gradient.device, non_blocking=True)
                change, factor = _random_change(block, entries.to(block.gradient.dtype))
                total[:, k] += factor * block.quadratic(change)
        for module, leaves in self.rest.items():
            count = sum(leaf.numel() for leaf in leaves)
            for i in range(n):
                entries = signs(generator_of(seed, self.first + i, module), probes * count)
                directions = entries.reshape(probes, count)
                total[i] += self._quadratic_of_rest(i, leaves, directions)
        return total

    def _is_curved(self, block: _Block) -> bool:
        return bool(block.product(normals(block.gradient.detach())).any())

    def _quadratic_of_rest(self, i: int, leaves: list[Tensor], directions: Tensor) -> Tensor:
        """(directions,) float64: quadratic forms of one sample in parameters of one module.

        Args:
            i: the sample.
            leaves: the parameters.
            directions: (directions, entries of all of them).
        """
        alone = slice(i, i + 1)
        output = self.network.of(alone)(self.inputs[alone].clone().requires_grad_())[0]
        gradients = torch.autograd.grad(
            output @ self.residual[i],
            leaves,
            create_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        refuse_single_derivatives([flat])

        def product(direction: Tensor) -> Tensor:
            products = torch.autograd.grad(
                flat @ direction,
                leaves,
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            return torch.cat([p.flatten() for p in products])

        if not product(normals(flat.detach())).any():
            return torch.zeros(len(directions), dtype=torch.float64, device=flat.device)
        return torch.stack([d.double() @ product(d).double() for d in directions.to(flat)])


def _at_one_position(block: _Block) -> bool:
    return block.layer.map.convolution is None and block.layer.positions == 1


def _units(block: _Block) -> int:
    return block.gradient.numel() // block.samples


def _entries(layer: Layer) -> int:
    of_bias = len(layer.map.weight) if "bias" in layer.names else 0
    return (layer.map.weight.numel() if "weight" in layer.names else 0) + of_bias


def _factor(block: _Block) -> Tensor:
    """(n,) float64: ||a||^2 + 1, or the part that the layer's own parameters give."""
    names = block.layer.names
    seen = block.by_sample(block.layer.map.inputs.double()).flatten(1)
    return seen.square().sum(1) * ("weight" in names) + float("bias" in names)


def _unit_changes(block: _Block) -> Iterator[tuple[Tensor, Tensor | float]]:
    """Changes of z whose quadratic forms, times the factor, add to the trace."""
    gradient, n = block.gradient, block.samples
    if _at_one_position(block):
        factor = _factor(block)
        for unit in range(_units(block)):
            change = gradient.new_zeros(n, _units(block))
            change[:, unit] = 1
            yield block.like_z(change), factor
        return
    for entry in range(_entries(block.layer)):
        unit = gradient.new_zeros(n, _entries(block.layer))
        unit[:, entry] = 1
        yield _change_of_parameters(block, unit), 1.0


def _random_change(block: _Block, signs: Tensor) -> tuple[Tensor, Tensor | float]:
    if _at_one_position(block):
        return block.like_z(signs), _factor(block)
    return _change_of_parameters(block, signs), 1.0


def _change_of_parameters(block: _Block, entries: Tensor) -> Tensor:
    """How z changes with the layer's own parameters, (n, entries), different for each sample."""
    layer, n = block.layer, block.samples
    weight = layer.map.weight
    a = by_position(layer.map, layer.where, n, block.gradient.dtype)
    groups, positions = a.shape[1:3]
    channels = len(weight)
    change = block.gradient.new_zeros(n, groups, positions, channels // groups)
    if "weight" in layer.names:
        changed = entries[:, : weight.numel()].reshape(n, *weight.shape)
        change = change + a @ weight_by_position(layer.map, changed).mT
    if "bias" in layer.names:
        change = change + entries[:, -channels:].reshape(n, groups, 1, -1)
    if layer.map.convolution is None:
        return block.like_z(change)
    # (n, before, after, T, groups, C) as (n, before, after, channels, *spatial)
    folded = block.by_sample(block.gradient)
    change = change.transpose(1, 2).reshape(*folded.shape[:3], -1, channels)
    return layer.where.folded(change.transpose(3, 4).reshape(folded.shape))

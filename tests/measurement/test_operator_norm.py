"""Norms of layers, and bounds of them, against those of dense matrices."""

import json
from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from flatness import measure
from flatness.experiment.networks.vgg10 import vgg10
from flatness.measurement import fourier_blocks, lanczos_bound, reshaped_kernel
from flatness.measurement import operator_norm as of_layers
from flatness.measurement.convolution_norm import (
    ALL_BLOCKS,
    COARSE_GRID,
    LARGEST_BLOCK,
    MATRIX,
    MEMORY,
    RESHAPED,
    SMALL,
    Norm,
    convolution_norm,
    rule,
)
from flatness.measurement.matrix_norm import leading_vector, matrix_norm
from flatness.measurement.operations import Convolution
from flatness.measurement.operator_norm import BOUND, operator_norm, repetitions

CONVOLUTION = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def norm_of(module: nn.Module, shape: tuple[int, ...], weight: torch.Tensor | None = None) -> Norm:
    """Of a module that is given inputs of a shape, with its own weight or another."""
    weight = module.weight.detach() if weight is None else weight
    if isinstance(module, nn.Linear):
        return operator_norm(weight)
    zeros = module.padding_mode == "zeros"
    around = module.padding if zeros and module.padding != "same" else (0,) * len(module.stride)
    how = Convolution(module.stride, around, module.dilation, module.groups)
    padding = None
    if not zeros:
        padding = module.padding_mode, tuple(module._reversed_padding_repeated_twice)
    return operator_norm(weight, how, tuple(shape[2:]), padding)


def dense_norm(module: nn.Module, shape: tuple[int, ...]) -> float:
    """Of the layer in float64 as a matrix."""
    module = module.double()
    x = torch.zeros(shape, dtype=torch.float64)
    J = torch.autograd.functional.jacobian(module, x).reshape(-1, x.numel())
    return float(torch.linalg.matrix_norm(J, 2))


CONVOLUTIONS = {
    "plain": (nn.Conv2d(2, 3, 3), (6, 7)),
    "padded": (nn.Conv2d(2, 3, 3, padding=2), (6, 7)),
    "padded more than the kernel": (nn.Conv2d(1, 2, 2, padding=3), (5, 5)),
    "strided": (nn.Conv2d(2, 3, 3, stride=2, padding=1), (7, 6)),
    "dilated": (nn.Conv2d(2, 3, 2, dilation=3), (8, 7)),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2, padding=1), (5, 5)),
    "same": (nn.Conv2d(2, 2, 4, padding="same"), (6, 6)),
    "circular": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (6, 6)),
    "reflected": (nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode="reflect"), (6, 5)),
    "replicated": (nn.Conv2d(1, 2, 3, padding=3, padding_mode="replicate"), (4, 5)),
    "one dimension": (nn.Conv1d(2, 3, 3, padding=2), (9,)),
    "three dimensions": (nn.Conv3d(1, 2, 2, padding=1), (4, 3, 4)),
}
TIGHT = ("plain", "padded", "grouped", "one dimension", "three dimensions")


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_operator_norm_bounds_that_of_the_dense_matrix(case):
    module, spatial = CONVOLUTIONS[case]
    module = module.double()
    shape = (1, module.in_channels, *spatial)
    exact = dense_norm(module, shape)
    bound = norm_of(module, shape).value
    assert bound >= exact * (1 - 1e-12)
    if case in TIGHT:
        assert bound < 1.25 * exact


BY_FOURIER = {
    "as initialised": (nn.Conv2d(16, 12, 3, padding=1), 1.0),
    "equal at all frequencies": (nn.Conv2d(8, 8, 3, padding=1), None),
    "grouped": (nn.Conv2d(8, 12, (3, 2), groups=4), 1.0),
    "huge": (nn.Conv2d(6, 9, 3), 1e30),
    "tiny": (nn.Conv2d(6, 9, 3), 1e-30),
    "zero": (nn.Conv2d(6, 9, 3), 0.0),
}


@pytest.mark.parametrize("case", BY_FOURIER)
def test_operator_norm_is_the_largest_of_all_fourier_blocks(case):
    """Blocks that are not decomposed, because of a bound, do not hold the largest value."""
    module, factor = BY_FOURIER[case]
    weight = module.weight.detach()
    if factor is None:  # the identity, shifted
        weight = torch.zeros_like(weight)
        weight[range(8), range(8), 0, 2] = 1
    else:
        weight = factor * weight
    torus = [7 + size - 1 for size in module.kernel_size]
    kernels = weight.double().numpy().reshape(module.groups, -1, *weight.shape[1:])
    blocks = np.moveaxis(np.fft.fft2(kernels, s=torus), (1, 2), (-2, -1))
    expected = np.linalg.norm(blocks, 2, axis=(-2, -1)).max()
    norm = norm_of(module, (1, module.in_channels, 7, 7), weight)
    assert norm.method == LARGEST_BLOCK
    assert norm.value == pytest.approx(expected, rel=1e-12, abs=0)


def test_operator_norm_on_a_torus_is_exact():
    """All frequencies of the torus are attained where the padding wraps around."""
    module = nn.Conv2d(2, 3, 1).double()
    bound = norm_of(module, (1, 2, 4, 4)).value
    assert bound == pytest.approx(dense_norm(module, (1, 2, 4, 4)), rel=1e-12)


def test_operator_norm_of_a_linear_layer_is_exact():
    module = nn.Linear(5, 4).double()
    expected = float(torch.linalg.matrix_norm(module.weight.detach(), 2))
    norm = norm_of(module, (3, 7, 5))
    assert norm == (pytest.approx(expected, rel=1e-12), MATRIX)


def test_a_convolution_takes_little_memory():
    """A layer with many channels on a large image: all blocks at once would take 200 MiB."""
    weight = torch.randn(96, 96, 3, 3).double()
    torus = fourier_blocks.torus((3, 3), (48, 48), (1, 1))
    parts = list(fourier_blocks.block_norms(weight, 1, torus))
    all_at_once = 50 * 26 * 96**2 * 16
    assert len(parts) >= all_at_once / 2**25


@st.composite
def convolutions(draw):
    """A convolution of any kind, and the extents of its input."""
    axes = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 3))
    most = {1: 5, 2: 4, 3: 2}[axes]

    def by_axis(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    kernel, dilation, stride = by_axis(1, most), by_axis(1, 2), by_axis(1, 4)
    padding = by_axis(0, 3)
    extents = tuple(
        max(draw(st.integers(1, most + 2)), d * (k - 1) + 1 - 2 * p)
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    )
    channels = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    torch.manual_seed(draw(st.integers(0, 2**31)))
    module = CONVOLUTION[axes](
        *channels, kernel, stride, padding, dilation, groups, bias=False
    ).double()
    if draw(st.booleans()):  # waves of one frequency, where bounds are tight
        nn.init.constant_(module.weight, 1.0)
    return module, extents


@settings(deadline=None, max_examples=60)
@given(convolutions())
def test_every_method_bounds_the_norm_of_the_dense_matrix(case):
    module, extents = case
    exact = (1 - 1e-12) * dense_norm(module, (1, module.in_channels, *extents))
    weight, groups = module.weight.detach(), module.groups
    kernel_size, dilation = module.kernel_size, module.dilation
    torus = fourier_blocks.torus(kernel_size, extents, dilation)
    whole = fourier_blocks.by_decomposition(weight, groups, torus)
    assert whole >= exact
    assert fourier_blocks.by_iterations(weight.float(), groups, torus) >= whole
    assert reshaped_kernel.reshaped_norm(weight.float(), groups, module.stride, dilation) >= exact
    one = (1,) * len(extents)
    assert reshaped_kernel.reshaped_norm(weight.float(), groups, one, dilation) >= whole
    found = convolution_norm(weight, extents, dilation, groups, module.stride)
    assert found.value >= exact
    if max(kernel_size) > 1:
        for factor in (1.02, 1.35, 3.0):
            grid = fourier_blocks.coarsened(torus, kernel_size, factor)
            assert grid.factor <= factor * (1 + 1e-12)
            bound = fourier_blocks.by_decomposition(weight, groups, grid)
            assert (1 - 1e-12) * whole <= bound
            assert fourier_blocks.by_iterations(weight.float(), groups, grid) >= whole


def test_a_coarse_grid_misses_what_its_factor_adds():
    """2 sin(omega) is largest between five points; cos(pi / 10) of it at the nearest."""
    weight = torch.tensor([[[1.0, 0.0, -1.0]]]).double()
    grid = fourier_blocks.coarsened(fourier_blocks.Grid((50,), (1,), 1.0), (3,), 1.25)
    assert grid.points == (5,)
    bound = fourier_blocks.by_decomposition(weight, 1, grid)
    assert bound / grid.factor == pytest.approx(2 * np.cos(np.pi / 10), rel=1e-12)
    assert bound >= 2


@pytest.mark.parametrize("spectrum", ["flat edge", "gap", "all equal", "one", "tiny rest"])
@pytest.mark.parametrize("parts", [1, 2])
def test_iterations_bound_the_norm_whatever_the_spectrum(spectrum, parts):
    """Within a few percent; where the largest value stands apart, nearly exactly."""
    torch.manual_seed(1)
    size = 200
    values = {
        "flat edge": torch.linspace(0, 1, size),
        "gap": torch.cat([torch.tensor([1.0]), torch.linspace(0, 0.5, size - 1)]),
        "all equal": torch.ones(size),
        "one": torch.eye(size)[0],
        "tiny rest": torch.cat([torch.tensor([1.0]), torch.full((size - 1,), 1e-6)]),
    }[spectrum]
    dtype = torch.complex64 if parts == 2 else torch.float32
    U, V = (torch.linalg.qr(torch.randn(3, size, size, dtype=dtype))[0] for _ in range(2))
    B = U * (values * torch.tensor([0.5, 1.0, 0.2])[:, None])[:, None] @ V
    blocks = lanczos_bound.Blocks(*((B.real, B.imag) if parts == 2 else (B,)))
    bound = lanczos_bound.norm_bound(blocks)
    exact = float(torch.linalg.matrix_norm(B.to(torch.complex128), 2).max())
    assert exact <= bound < (1.15 if spectrum == "flat edge" else 1.1) * exact


def test_iterations_fail_as_seldom_as_is_said(monkeypatch):
    """With a share of 0.3 for the bound to be too low it seldom is; with a tiny one never."""
    torch.manual_seed(0)
    matrices = [torch.randn(1, 60, 60) for _ in range(100)]
    exact = [float(torch.linalg.matrix_norm(one, 2)) for one in matrices]

    def too_low() -> int:
        found = [lanczos_bound.norm_bound(lanczos_bound.Blocks(one)) for one in matrices]
        return sum(bound < norm for bound, norm in zip(found, exact, strict=True))

    assert too_low() == 0
    monkeypatch.setattr(lanczos_bound, "FAILING", 0.3)
    assert too_low() <= 40


def test_the_reshaped_kernel_is_exact_where_windows_do_not_overlap():
    torch.manual_seed(0)
    module = nn.Conv2d(3, 4, (2, 3), stride=(2, 4)).double()
    weight = module.weight.detach()
    found = convolution_norm(weight, (6, 12), (1, 1), 1, (2, 4))
    exact = dense_norm(module, (1, 3, 6, 12))
    assert found == (pytest.approx(exact, rel=1e-12), MATRIX)
    bound = reshaped_kernel.reshaped_norm(weight.float(), 1, (2, 4), (1, 1))
    assert exact <= bound < 1.1 * exact


def test_the_reshaped_kernel_is_exact_for_a_product_of_factors():
    """Of any scales: its norm is the product of sums, at frequency zero."""
    rows, columns = torch.tensor([100.0, 1.0, 0.01]), torch.tensor([1.0, 3.0, 0.0])
    weight = (rows[:, None] * columns)[None, None]
    bound = reshaped_kernel.reshaped_norm(weight, 1, (1, 1), (1, 1))
    assert bound == pytest.approx(float(rows.sum() * columns.sum()), rel=1e-3)


# Shape of the weight, extents, groups, stride, and the method.
RULES = {
    "1x1": ((64, 32, 1, 1), (56, 56), 1, 1, MATRIX),
    "patches": ((96, 3, 4, 4), (224, 224), 1, 4, MATRIX),
    "small": ((64, 64, 3, 3), (3, 3), 1, 1, LARGEST_BLOCK),
    "depthwise": ((96, 1, 7, 7), (56, 56), 96, 1, LARGEST_BLOCK),
    "many channels": ((64, 64, 3, 3), (5, 5), 1, 1, ALL_BLOCKS),
    "large image": ((64, 64, 3, 3), (56, 56), 1, 1, COARSE_GRID),
    "long": ((128, 128, 9), (4000,), 1, 1, COARSE_GRID),
    "very many channels": ((512, 512, 3, 3), (7, 7), 1, 1, RESHAPED),
}


@pytest.mark.parametrize("case", RULES)
def test_the_rule_goes_by_shape_and_the_work_stays_within_the_budget(case):
    shape, extents, groups, step, method = RULES[case]
    axes = len(extents)
    plan = rule(shape, extents, (1,) * axes, groups, (step,) * axes)
    assert plan.method == method
    if plan.grid is not None:
        assert plan.flops <= max(SMALL, 2 * prod(shape) * prod(extents))
    if plan.grid is not None and not plan.decomposes:
        assert fourier_blocks.iteration_bytes(shape, plan.grid) <= MEMORY


def test_all_convolutions_of_vgg10_have_their_largest_block_decomposed():
    x = torch.zeros(1, 3, 32, 32)
    for layer in vgg10((3, 32, 32), 10):
        if isinstance(layer, nn.Conv2d):
            norm = norm_of(layer, x.shape)
            assert norm.method == LARGEST_BLOCK
        x = layer(x)


@pytest.mark.parametrize("case", ["many channels", "large image", "long", "very many channels"])
def test_no_more_operations_are_done_than_planned(case):
    """As torch counts them in products of matrices: multiplications and additions."""
    shape, extents, groups, step, _ = RULES[case]
    axes = len(extents)
    plan = rule(shape, extents, (1,) * axes, groups, (step,) * axes)
    weight = torch.randn(shape)
    with FlopCounterMode(display=False) as counter:
        convolution_norm(weight, extents, (1,) * axes, groups)
    # Scales of the reshaped kernel's places take a product of their own.
    places = 2 * prod(shape) * prod(shape[2:])
    assert counter.get_total_flops() <= plan.flops + places


class LargestTensor(TorchDispatchMode):
    """Notes the bytes of the largest tensor that an operation returns."""

    bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.bytes = max(self.bytes, result.numel() * result.element_size())
        return result


def test_iterations_take_little_memory():
    """No tensor is larger than the reshaped kernel, or than half of all blocks."""
    for case in ("large image", "long", "very many channels"):
        shape, extents, groups, _, _ = RULES[case]
        plan = rule(shape, extents, (1,) * len(extents), groups, (1,) * len(extents))
        held = 0 if plan.grid is None else fourier_blocks.iteration_bytes(shape, plan.grid) // 2
        with LargestTensor() as largest:
            convolution_norm(torch.randn(shape), extents, (1,) * len(extents), groups)
        assert largest.bytes <= max(4 * prod(shape), held)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", ["many channels", "large image", "very many channels"])
def test_bounds_scale_with_the_weight(case, dtype):
    shape, extents, groups, _, method = RULES[case]
    shape = (shape[0] // 2, shape[1] // 2, *shape[2:]) if method == RESHAPED else shape
    torch.manual_seed(0)
    weight = torch.randn(shape, dtype=dtype)
    plain = convolution_norm(weight, extents, (1, 1), groups)
    for scale in (1e30, 1e-30):
        scaled = convolution_norm(scale * weight, extents, (1, 1), groups)
        assert scaled == (pytest.approx(scale * plain.value, rel=1e-5), plain.method)
    assert convolution_norm(0 * weight, extents, (1, 1), groups).value == 0
    huge_and_tiny = weight.clone()
    huge_and_tiny[0] *= 1e-25
    assert np.isfinite(convolution_norm(huge_and_tiny, extents, (1, 1), groups).value)


def test_no_tensor_is_made_on_the_default_device():
    cases = {case: torch.randn(RULES[case][0]) for case in RULES}
    padded = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")
    matrix = torch.randn(100, 120)

    def norms() -> list[float]:
        found = [norm_of(padded, (1, 2, 6, 6)).value, matrix_norm(matrix)]
        for case, weight in cases.items():
            _, extents, groups, step, _ = RULES[case]
            axes = len(extents)
            one = convolution_norm(weight, extents, (1,) * axes, groups, (step,) * axes)
            found.append(one.value)
        return found

    expected = norms()
    torch.set_default_device("meta")
    try:
        assert norms() == expected
    finally:
        torch.set_default_device(None)


def test_repetitions_is_the_norm_of_padding():
    for mode, extents, padding in (
        ("circular", (5,), [(3, 4)]),
        ("reflect", (4, 5), [(2, 1), (0, 3)]),
        ("replicate", (3, 2), [(2, 2), (1, 0)]),
    ):
        x = torch.zeros(1, 1, *extents, dtype=torch.float64)
        flat = [entries for around in reversed(padding) for entries in around]

        def padded(y, flat=flat, mode=mode):
            return nn.functional.pad(y, flat, mode)

        J = torch.autograd.functional.jacobian(padded, x).reshape(-1, x.numel())
        exact = float(torch.linalg.matrix_norm(J, 2))
        assert repetitions(extents, padding, mode) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_start_changes_the_norm_of_a_matrix_by_rounding_only(dtype):
    torch.manual_seed(0)
    weight = torch.randn(90, 130, dtype=dtype)
    later = weight + 1e-3 * torch.randn(90, 130, dtype=dtype)
    norm = matrix_norm(later, leading_vector(weight))
    assert norm == pytest.approx(matrix_norm(later), rel=1e-9)
    assert norm == pytest.approx(float(torch.linalg.matrix_norm(later.double(), 2)), rel=1e-9)


@pytest.mark.parametrize("factor", [1.0, 1e-20, 1e20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_matrices_have_a_bound(dtype, factor, monkeypatch):
    """Of the same kind as convolutions; the weight of Eq. 4 keeps its norm."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(90, 120), nn.ReLU(), nn.Linear(120, 80)).to(dtype).eval()
    with torch.no_grad():
        model[2].weight *= factor
    exact = [float(torch.linalg.matrix_norm(model[k].weight.double(), 2)) for k in (0, 2)]
    monkeypatch.setattr(of_layers, "_LARGE", 120 * 80)
    found = measure(model, torch.rand(2, 90, dtype=dtype))
    methods = {"0": BOUND, "2": MATRIX}
    assert json.loads(found["layer_operator_norm"].attrs["method"]) == methods
    bound, norm = found["layer_operator_norm"].values
    assert exact[0] <= bound <= 1.1 * exact[0]
    assert norm == pytest.approx(exact[1], rel=1e-9)
    assert found["input_weight_spectral_norm"] == pytest.approx(exact[0], rel=1e-9)


def test_a_large_matrix_of_zeros_has_norm_zero(monkeypatch):
    monkeypatch.setattr(of_layers, "_LARGE", 0)
    assert operator_norm(torch.zeros(3, 4)) == (0, BOUND)

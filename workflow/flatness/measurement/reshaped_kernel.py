"""A bound of a convolution's norm by that of its kernel, reshaped to a matrix.

Let the kernel's axes be split in two sets, R the matrix with channels out and the places r in
the first set as rows, channels in and the places c in the second as columns, and e the waves of
size 1 of a frequency omega. Its block in Fourier space is then

    P(omega) = (e(omega)^T x I) R (e'(omega) x I),

so ||P||^2 <= ||R_rc / (d_r d'_c)||^2 sum_r d_r^2 sum_c d'_c^2 for any positive scales. With equal
scales these are the bounds of Singla and Feizi ("Fantastic four", ICLR 2021). Here they
balance the rows and the columns, which is exact for a kernel that is a product of factors.

A stride leaves outputs out. An entry of the input is then read by those places c only that have
one remainder by the stride, and the second sum is that of the remainder where it is largest.
Where each has one place, windows do not overlap and ||R|| is the norm itself.
"""

from itertools import combinations, product
from math import prod, sqrt

import torch
from torch import Tensor

from flatness.measurement.lanczos_bound import ROUNDS, VECTORS, Blocks, norm_bound


def reshaping_flops(shape: tuple[int, ...]) -> int:
    """Operations of `reshaped_norm`, at most."""
    return 4 * prod(shape) * VECTORS * ROUNDS


def windows_overlap(
    kernel_size: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> bool:
    """Whether an entry of the input may be read at two places of the kernel."""
    return any(
        len(set(_remainders(k, s, d))) < k
        for k, s, d in zip(kernel_size, stride, dilation, strict=True)
    )


def reshaped_norm(
    weight: Tensor, groups: int, stride: tuple[int, ...], dilation: tuple[int, ...]
) -> float:
    """At least the norm of the convolution, whatever its input's extents.

    Args:
        weight: (channels out, channels in / groups, *kernel), float32, entries of moderate size.
        groups: of the channels.
        stride: by axis.
        dilation: by axis.

    Cost: `reshaping_flops`.
    """
    kernel_size = tuple(weight.shape[2:])
    classes = [_remainders(k, s, d) for k, s, d in zip(kernel_size, stride, dilation, strict=True)]
    rows = _row_axes(weight.shape, groups, classes)
    columns = tuple(axis for axis in range(len(kernel_size)) if axis not in rows)
    taps = weight.flatten(0, 1).flatten(1)
    # A product of matrices takes a fraction of the time of a reduction along the first axis.
    tap_norms = (taps.mT @ taps).diagonal().clamp_min(0).sqrt().reshape(kernel_size)
    R = weight.reshape(groups, -1, *weight.shape[1:])  # groups, out, in, *kernel
    R = R.permute(0, 1, *(3 + axis for axis in rows), 2, *(3 + axis for axis in columns))
    of_rows = _scales(tap_norms, rows, [[0] * k for k in kernel_size])
    of_columns = _scales(tap_norms, columns, classes)
    R = R.reshape(groups, R.shape[1] * len(of_rows), -1)
    # One after the other, in rows as they lie in memory.
    R = R / of_columns.repeat(R.shape[2] // len(of_columns))
    R /= of_rows.repeat(R.shape[1] // len(of_rows))[:, None]
    return norm_bound(Blocks(R))


def _scales(tap_norms: Tensor, axes: tuple[int, ...], classes: list[list[int]]) -> Tensor:
    """Of the places along some axes, so that their squares sum to 1 over each class.

    The squares are in proportion to the Frobenius norms of the places' parts of the kernel.

    Args:
        tap_norms: Frobenius norms of the kernel's entries, (*kernel).
        axes: of the kernel.
        classes: by axis of the kernel, of each place.

    Returns:
        (places,).
    """
    others = [axis for axis in range(tap_norms.ndim) if axis not in axes]
    norms = tap_norms.square().sum(others).sqrt() if others else tap_norms
    norms = norms.flatten().clamp_min(1e-6 * float(norms.max()))  # a scale is not zero
    members = list(product(*(classes[axis] for axis in axes)))
    numbers = {one: number for number, one in enumerate(dict.fromkeys(members))}
    of_places = torch.tensor([numbers[one] for one in members], device="cpu")
    sums = norms.new_zeros(len(numbers)).index_add_(0, of_places, norms)
    return (norms / sums[of_places]).sqrt()


def _row_axes(shape: tuple[int, ...], groups: int, classes: list[list[int]]) -> tuple[int, ...]:
    """The axes in rows for which a matrix of independent entries of one size has the least bound.

    Its norm is near the sum of the roots of its two extents.
    """
    overlaps = [max(map(axis.count, axis)) for axis in classes]

    def bound(rows: tuple[int, ...]) -> float:
        in_rows = prod(len(classes[axis]) for axis in rows)
        columns = [axis for axis in range(len(classes)) if axis not in rows]
        in_columns = prod(len(classes[axis]) for axis in columns)
        read = prod(overlaps[axis] for axis in columns)
        extents = shape[0] // groups * in_rows, shape[1] * in_columns
        return sum(map(sqrt, extents)) * sqrt(in_rows * read)

    axes = range(len(classes))
    return min(
        (rows for count in range(len(axes) + 1) for rows in combinations(axes, count)), key=bound
    )


def _remainders(kernel: int, stride: int, dilation: int) -> list[int]:
    """Of the places along an axis by the stride; those of one may read the same entry."""
    return [dilation * place % stride for place in range(kernel)]

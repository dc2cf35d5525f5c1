"""Jacobians in pieces: columns of any memory format, and how they are distributed over rounds."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import flatness
from flatness.measurement.jacobians import Columns, Piece, rounds


@pytest.mark.parametrize("pieces", [[(0, 60)], [(0, 7), (7, 8), (8, 60)]])
def test_columns_take_gradients_of_any_memory_format(pieces):
    """All pieces together have every column once, in one order for all rows and all rounds."""
    gradients = torch.randn(2, 3, 3, 4, 5)
    one, other = gradients[0].contiguous(memory_format=torch.channels_last), gradients[1]
    found = []
    for k, (start, stop) in enumerate(pieces):
        rows = [(0, one), (1, other)]
        rows = rows if k % 2 == 0 else rows[::-1]  # a round may begin with either layout
        columns = Columns(Piece("", start, stop), rows[0][1], 2, torch.float64)
        for row, gradient in rows:
            columns.put(row, gradient)
        assert columns.jacobian().shape == (3, 2, stop - start)
        found.append(columns.jacobian())
    J = torch.cat(found, 2)
    assert J.dtype == torch.float64
    whole = len(pieces) == 1  # then as the first gradient lies in memory, channels last
    axes = (1, 0, 3, 4, 2) if whole else (1, 0, 2, 3, 4)
    assert torch.equal(J, gradients.permute(axes).flatten(2).double())


def test_rows_that_never_came_are_zero():
    columns = Columns(Piece(None, 1, 3), torch.ones(2, 4), 3, torch.float32)
    columns.put(1, torch.arange(8.0).reshape(2, 4))
    expected = torch.zeros(2, 3, 2)
    expected[:, 1] = torch.tensor([[1.0, 2], [5, 6]])
    assert torch.equal(columns.jacobian(), expected)


@given(st.lists(st.integers(1, 40), max_size=6), st.integers(1, 1000), st.integers(1, 20000))
def test_every_column_is_in_one_round_and_no_round_is_above_the_budget(sizes, row_bytes, budget):
    widths = [(None if k == 0 else f"layer {k}", size) for k, size in enumerate(sizes)]
    found = rounds(widths, row_bytes, budget)
    assert found
    seen = [
        (piece.name, column)
        for pieces in found
        for piece in pieces
        for column in range(piece.start, piece.stop)
    ]
    # Also in the order given: what is nearest to the output comes last.
    assert seen == [(name, column) for name, size in widths for column in range(size)]
    for pieces in found:
        assert len({piece.name for piece in pieces}) == len(pieces)
        columns = sum(piece.stop - piece.start for piece in pieces)
        assert columns == 1 or row_bytes * columns <= budget
    room = max(budget // row_bytes, 1)
    assert len(found) == max(1, -(-sum(sizes) // room))


class _NowAndThenCopied(torch.autograd.Function):
    """The identity; every second gradient is a copy."""

    calls = 0

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        _NowAndThenCopied.calls += 1
        return gradient.clone() if _NowAndThenCopied.calls % 2 else gradient


@pytest.mark.parametrize("calls", [0, 1])
def test_gradients_that_are_shared_for_some_outputs_only(calls):
    class Copied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(6, 4)

        def forward(self, x):
            return self.linear(_NowAndThenCopied.apply(x))

    _NowAndThenCopied.calls = calls
    model, inputs = Copied().eval(), torch.randn(3, 6)
    measured = flatness.measure(model, inputs)
    expected = float(torch.linalg.matrix_norm(model.linear.weight.detach().double(), 2))
    # What a function of one's own returns need not be what it was given.
    assert "input_layer" not in measured["layer_operator_norm"].attrs
    assert np.allclose(measured["layer_sensitivity"], expected, rtol=1e-6)
    assert np.allclose(measured["singular_value"].isel(mode=0), expected, rtol=1e-6)

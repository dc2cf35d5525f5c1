"""The fused cell of an LSTM, which torch has for GPUs only, written with torch's operations."""

import torch
from torch import Tensor


def lstm_cell(
    of_inputs: Tensor,
    of_state: Tensor,
    cell: Tensor,
    input_bias: Tensor | None = None,
    state_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The next state, the next cell, and the gates, which the backward reads."""
    sums = of_inputs + of_state
    for bias in (input_bias, state_bias):
        if bias is not None:
            sums = sums + bias
    enter, keep, new, leave = sums.chunk(4, 1)
    enter, keep, new, leave = enter.sigmoid(), keep.sigmoid(), new.tanh(), leave.sigmoid()
    after = keep * cell + enter * new
    return leave * after.tanh(), after, torch.cat([enter, keep, new, leave], 1)


def lstm_cell_backward(
    of_state: Tensor | None,
    of_cell: Tensor | None,
    before: Tensor,
    after: Tensor,
    gates: Tensor,
    has_bias: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The cotangents of the sums that the gates are made of, of the cell, and of a bias."""
    enter, keep, new, leave = gates.chunk(4, 1)
    of_state = torch.zeros_like(after) if of_state is None else of_state
    of_cell = torch.zeros_like(after) if of_cell is None else of_cell
    bent = after.tanh()
    total = of_cell + of_state * leave * (1 - bent**2)
    of_sums = torch.cat(
        [
            total * new * enter * (1 - enter),
            total * before * keep * (1 - keep),
            total * enter * (1 - new**2),
            of_state * bent * leave * (1 - leave),
        ],
        1,
    )
    return of_sums, total * keep, of_sums.sum(0) if has_bias else of_sums.new_empty(0)

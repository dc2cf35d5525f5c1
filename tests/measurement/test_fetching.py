"""What is read from a device comes in few copies, and as it was."""

import torch

from flatness.measurement.fetching import fetched, fetched_by_name


def test_the_order_is_kept():
    given = [torch.tensor([1.0]), torch.tensor([[2.0]]), torch.tensor([True]), torch.tensor([3.0])]
    assert [float(found.sum()) for found in fetched(given)] == [1, 2, 1, 3]
    assert fetched([]) == []


def test_names_are_kept():
    given = {"one": torch.tensor(1.0), ("a", 2): torch.tensor(2.0)}
    assert fetched_by_name(given) == given


def test_what_is_on_the_cpu_is_not_copied():
    tensor = torch.ones(2)
    assert fetched([tensor])[0] is tensor

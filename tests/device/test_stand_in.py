"""The stand-in is as strict as a GPU, and counts what it should."""

import gc
import weakref

import pytest
import torch
from torch import nn

from tests.device import stand_in
from tests.device.stand_in import counting

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@pytest.fixture
def x(device):
    """(3, 4), on the device."""
    return torch.arange(12.0).reshape(3, 4).to(device)


@pytest.mark.parametrize(
    "mixing",
    [
        lambda x, other: x + other,
        lambda x, other: other @ x.mT,
        lambda x, other: x.add_(other),
        lambda x, other: torch.cat([x, other]),
        lambda x, other: torch.stack([x, other]),
        lambda x, other: torch.where(other > 1, x, x),
        lambda x, other: torch.addmm(other[:, :3], x, x.mT),
        lambda x, other: torch._foreach_add_([x], [other]),
        lambda x, other: nn.Linear(4, 2)(x),
        lambda x, other: torch.sum(x, 0, out=torch.empty(4)),
        lambda x, other: x[torch.zeros(1, dtype=torch.long, device=x.device)] * other,
    ],
)
def test_tensors_of_two_devices_are_refused(x, mixing):
    with pytest.raises(RuntimeError, match=r"on the same device.*standin:0 and cpu"):
        mixing(x, torch.ones(3, 4))


def test_no_array_of_numpy_is_made(x):
    with pytest.raises(TypeError, match="copy the tensor to host memory"):
        x.numpy()


def test_single_numbers_may_be_of_the_cpu(x):
    assert (x * torch.tensor(2.0)).cpu().sum() == 132


@pytest.mark.parametrize(
    "waiting",
    [
        lambda x: x.sum().item(),
        lambda x: float(x[0, 0]),
        lambda x: bool((x > 1).any()),
        lambda x: x.cpu(),
        lambda x: x.to("cpu"),
        lambda x: x.tolist(),
        lambda x: x.nonzero(),
        lambda x: x[x > 1],
        lambda x: x[torch.tensor([0])],
        lambda x: x.index_put_((torch.tensor([0]),), torch.tensor(1.0)),
        lambda x: x.index_put_((x > 1,), torch.tensor(1.0)),
        lambda x: torch.equal(x, x),
        lambda x: x.masked_select(x > 2),
        lambda x: torch.ones(3).to(x.device),
        lambda x: torch.ones(3, 4).copy_(x),
        lambda x: torch.ones(3, 4).copy_(x, non_blocking=True),
    ],
)
def test_what_waits_is_counted_once(x, waiting):
    with counting() as counts:
        waiting(x)
    assert counts.synchronisations.total() == 1, counts.synchronisations


@pytest.mark.parametrize(
    ("quick", "operations"),
    [
        (lambda x: x + 1, 1),
        (lambda x: x.mT.reshape(2, 6), 1),  # a copy
        (lambda x: x.view(4, 3)[1:].mT.unsqueeze(0).expand(5, 3, 3), 0),
        (lambda x: x.detach(), 0),
        (lambda x: torch.empty_like(x), 0),
        (lambda x: torch.zeros_like(x), 1),
        (lambda x: x.clone(), 1),
        (lambda x: x.add_(x), 1),
        (lambda x: torch.ones(3).to(x.device, non_blocking=True), 0),
        (lambda x: x @ x.mT, 1),
        (lambda x: x[torch.zeros(1, dtype=torch.long, device=x.device)], 2),
    ],
)
def test_what_does_not_wait_is_counted_as_what_it_launches(x, quick, operations):
    with counting() as counts:
        quick(x)
    assert counts.synchronisations.total() == 0, counts.synchronisations
    assert counts.operations.total() == operations, counts.operations


def test_backward_passes_are_counted_and_right(device):
    """They run on threads of their own."""

    def gradient(at):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(2, 3, 3, stride=2, groups=1, dilation=1, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(3, 2, 2),
            nn.Flatten(),
            nn.Linear(32, 2),
        ).to(at)
        inputs = torch.randn(5, 2, 6, 6).to(at).requires_grad_()
        loss = model(inputs).square().sum()
        return [g.cpu() for g in torch.autograd.grad(loss, [inputs, *model.parameters()])]

    with counting() as counts:
        found = gradient(device)
    for one, other in zip(found, gradient(torch.device("cpu")), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)
    assert counts.operations["aten::convolution_backward"] == 2


def test_views_share_memory_and_results_resize(x):
    x[1:, ::2].mul_(0)
    x.view(-1)[:2].fill_(7)
    assert x.tolist() == [[7, 7, 2, 3], [0, 5, 0, 7], [0, 9, 0, 11]]
    pair = torch.view_as_real(torch.view_as_complex(x.reshape(3, 2, 2)))
    pair.zero_()
    assert not x.any()
    out = torch.empty(0, device=x.device)
    torch.add(x, 1, out=out)
    assert out.shape == (3, 4)
    assert out.sum().item() == 12


def test_memory_is_kept_as_long_as_a_view_of_it(device):
    x = torch.arange(6.0).to(device)
    memory = x.untyped_storage().memory
    last = x[4:]
    kept = weakref.ref(memory)
    del memory, x
    gc.collect()
    assert last.tolist() == [4, 5]
    assert kept() is not None
    del last
    gc.collect()
    assert kept() is None


def test_the_cell_of_an_lstm_is_that_of_the_cpu(device):
    torch.manual_seed(0)
    cell = nn.LSTMCell(3, 4)
    inputs, state = torch.randn(5, 3), (torch.randn(5, 4), torch.randn(5, 4))
    weights = list(cell.parameters())

    def gradients(at):
        moved = nn.LSTMCell(3, 4)
        moved.load_state_dict(cell.state_dict())
        moved.to(at)
        after, memory = moved(inputs.to(at), tuple(s.to(at) for s in state))
        loss = after.square().sum() + (3 * memory).sin().sum()
        return torch.autograd.grad(loss, list(moved.parameters()))

    found, expected = gradients(device), gradients("cpu")
    assert len(found) == len(weights)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one.cpu(), other, rtol=1e-4, atol=1e-6)


def test_the_device_is_registered_once(device):
    assert stand_in.install() == device
    assert torch.ones(1, device=device).device == device

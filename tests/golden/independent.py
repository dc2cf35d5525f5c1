"""The numbers of the golden file, computed in float64 without the package.

Weights, inputs and batches are drawn once and stored with the numbers, so that what is
compared elsewhere depends on no generator.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.measurement.reference import dense_hessian_trace, dense_jacobians

STEPS, RATE = 20, 0.1


def networks() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Two small networks like those of the paper, and the shapes of their inputs."""
    mlp = nn.Sequential(
        nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)
    )
    vgg = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(54, 8),
        nn.ReLU(),
        nn.Linear(8, 3),
    )
    return {"mlp": (mlp.eval(), (1, 4, 4)), "vgg": (vgg.eval(), (1, 6, 6))}


def drawn(samples: int = 6) -> dict[str, Tensor]:
    """Weights, inputs and labels in float32, and the batches of a short training."""
    torch.manual_seed(0)
    tensors = {}
    for name, (network, shape) in networks().items():
        tensors |= {f"{name}/weights/{key}": value for key, value in network.state_dict().items()}
        tensors[f"{name}/inputs"] = torch.rand(samples, *shape)
        tensors[f"{name}/labels"] = torch.randint(3, (samples,))
        tensors[f"{name}/batches"] = torch.randint(samples, (STEPS, 4))
    return tensors


def computed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The expected numbers, float64."""
    found = {}
    for name, (network, _) in networks().items():
        network.load_state_dict(part(tensors, f"{name}/weights/"))
        network.double()
        inputs, labels = tensors[f"{name}/inputs"].double(), tensors[f"{name}/labels"]
        targets = functional.one_hot(labels, 3).double()
        J, K = dense_jacobians(network, inputs)
        sigma = torch.linalg.svdvals(J)
        squares = torch.stack([jacobian.square().sum((1, 2)) for jacobian in K.values()], 1)
        output = network(inputs).detach()
        residuals = targets - output
        trace = dense_hessian_trace(
            network,
            inputs,
            lambda out, targets=targets: 0.5 * (out - targets).square().sum() / len(out),
        )
        found[f"{name}/singular_value"] = sigma
        found[f"{name}/parameter_gradient_sq_norm"] = squares
        found[f"{name}/network_output"] = output
        found[f"{name}/input_norm"] = inputs.flatten(1).norm(dim=1)
        found[f"{name}/residual_norm"] = residuals.norm(dim=1)
        found |= {
            f"{name}/quantities/{key}": torch.tensor(value, dtype=torch.float64)
            for key, value in {
                "sharpness": float(squares.sum(1).mean()),
                "log_volume": float(sigma.log().sum(1).mean()),
                "log_mean_volume": math.log(float(sigma.prod(1).mean())),
                "mean_input_gradient_sq_norm": float(sigma.square().sum(1).mean()),
                "mls": float(sigma[:, 0].mean()),
                "local_dimension": float(
                    (sigma.square().sum(1).square() / sigma.pow(4).sum(1)).mean()
                ),
            }.items()
        }
        found[f"{name}/hessian_trace"] = torch.tensor(trace, dtype=torch.float64)
        found[f"{name}/losses"] = _descended(
            network, inputs, targets, tensors[f"{name}/batches"].tolist()
        )
    return found


def _descended(network, inputs, targets, batches) -> Tensor:
    """The loss before each step of plain SGD."""
    losses, parameters = [], list(network.parameters())
    for batch in batches:
        loss = 0.5 * (network(inputs[batch]) - targets[batch]).square().sum() / len(batch)
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= RATE * gradient
    return torch.tensor(losses, dtype=torch.float64)


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors below a prefix, without it."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def longest_sum(network: nn.Module) -> int:
    """K: how many rounded operations lie one after the other on the way to a Jacobian's entry.

    The fan-in of every layer on the way forward and the fan-out on the way back.
    """
    terms = 0
    for module in network:
        if isinstance(module, nn.Linear):
            terms += module.in_features + module.out_features
        elif isinstance(module, nn.Conv2d):
            taps = math.prod(module.kernel_size)
            terms += taps * (module.in_channels + module.out_channels)
    return terms


def cancellation(network: nn.Module, inputs: Tensor) -> float:
    """By how much sums of absolute values exceed the sums that make up the Jacobian.

    The largest ratio over samples of the Frobenius norm of |J_L| ... |J_1|, with J_l the
    Jacobian of module l, to the spectral norm of J = J_L ... J_1.
    """
    worst = 1.0
    for sample in inputs.double():
        x, J, sums = sample[None], None, None
        for module in network:
            local = torch.autograd.functional.jacobian(module, x)
            x = module(x)
            local = local.reshape(x.numel(), -1)
            J = local if J is None else local @ J
            sums = local.abs() if sums is None else local.abs() @ sums
        worst = max(worst, float(sums.norm() / torch.linalg.matrix_norm(J, 2)))
    return worst

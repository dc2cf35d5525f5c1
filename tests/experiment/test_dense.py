"""Steps of the dense end: those of autograd to rounding, or left to autograd."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules import module as all_modules
from torch.nn.utils import parametrizations

from flatness.experiment import dense, networks
from flatness.experiment.checkpoints import read_run
from flatness.experiment.dense import DenseEndStep, dense_end, lay_out
from flatness.experiment.losses import half_squared_error
from flatness.experiment.sgd import AutogradStep, Sgd, fastest_step
from flatness.experiment.training import train
from tests.experiment.interruption import interrupt_after

LEARNING_RATE = 0.1
SAMPLES, ITERATIONS, BATCH_SIZE = 40, 6, 8


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Doubling(nn.Linear):
    """A subclass that computes something else."""

    def forward(self, inputs):
        return 2 * super().forward(inputs)


class Remembering(nn.Module):
    """Uses the weight of a layer that it does not hold, before that layer does."""

    def __init__(self, layer):
        super().__init__()
        self.layers = [layer]  # a list hides it from `parameters`

    def forward(self, inputs):
        weight = self.layers[0].weight
        return inputs @ weight.t() @ weight + inputs


class Table(nn.Module):
    """Gives a parameter, whatever it is given."""

    def __init__(self):
        super().__init__()
        self.values = nn.Parameter(torch.randn(BATCH_SIZE, 6))

    def forward(self, inputs):
        return self.values


class Aliasing(nn.Module):
    """Holds the memory of another layer's weight in a tensor of its own."""

    def __init__(self, layer):
        super().__init__()
        self.alias = layer.weight.detach()

    def forward(self, inputs):
        return inputs @ self.alias.t() @ self.alias


def with_table():
    return nn.Sequential(Table(), nn.Linear(6, 3))


class Own(nn.Module):
    """Its own forward function."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 3)

    def forward(self, inputs):
        return self.layer(inputs.flatten(1))


def sequence(*modules):
    return nn.Sequential(nn.Flatten(), *modules)


def hidden(layer):
    """A network of three linear layers, `layer` (9 to 9) in the middle."""
    return sequence(nn.Linear(64, 9), nn.Tanh(), layer, nn.ReLU(), nn.Linear(9, 3))


def frozen(*positions, network=None):
    network = network or hidden(nn.Linear(9, 9))
    for position in positions:
        network[position].requires_grad_(False)
    return network


def only_bias():
    network = hidden(nn.Linear(9, 9))
    network[3].weight.requires_grad_(False)
    return network


def tied():
    network = hidden(nn.Linear(9, 9))
    network.insert(4, nn.Linear(9, 9))
    network[4].weight = network[3].weight
    return network


def same_memory():
    network = hidden(nn.Linear(9, 9))
    network.insert(4, nn.Linear(9, 9))
    network[4].weight.data = network[3].weight.data
    return network


def twice():
    layer = nn.Linear(9, 9)
    network = hidden(layer)
    network.insert(5, layer)
    return network


def used_before():
    layer = nn.Linear(64, 9)
    return sequence(nn.Linear(64, 64), Remembering(layer), layer, nn.Tanh(), nn.Linear(9, 3))


def hooked(register):
    layer = nn.Linear(9, 9)
    register(layer)
    return hidden(layer)


def patched():
    layer = nn.Linear(9, 9)
    forward = layer.forward
    layer.forward = lambda inputs: -forward(inputs)
    return hidden(layer)


def shadowed():
    """A layer that computes with a tensor that is no parameter."""
    layer = nn.Linear(9, 9)
    object.__setattr__(layer, "weight", nn.Parameter(layer.weight.detach().clone()))
    return hidden(layer)


def convolving():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(144, 3)
    )


def on_rows():
    """Linear layers on samples of 8 rows."""
    return nn.Sequential(
        nn.Flatten(1, 2),
        nn.Linear(8, 5),
        nn.Tanh(),
        nn.Linear(5, 2),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


# With how many modules the dense end has.
TAKEN = {
    "relu": (lambda: networks.build({"name": "mlp", "hidden_width": 9}, (1, 8, 8), 3, 0), 8),
    "tanh": (
        lambda: networks.build(
            {"name": "mlp", "hidden_width": 9, "activation": "tanh"}, (1, 8, 8), 3, 0
        ),
        8,
    ),
    "vgg10": (lambda: networks.build({"name": "vgg10"}, (1, 8, 8), 3, 0), 4),
    "no bias": (lambda: hidden(nn.Linear(9, 9, bias=False)), 6),
    "rows": (on_rows, 6),
    "dropout": (lambda: hidden(nn.Sequential(nn.Dropout(0.3), nn.Linear(9, 9))), 7),
    "in place": (lambda: hidden(nn.Sequential(nn.Linear(9, 9), nn.ReLU(inplace=True))), 7),
    "first frozen": (lambda: frozen(1), 6),
    "middle frozen": (lambda: frozen(3), 6),
    "all but first frozen": (lambda: frozen(3, 5), 6),
    "all but last frozen": (lambda: frozen(1, 3), 6),
    "only a bias trained": (only_bias, 6),
    "frozen convolution": (lambda: frozen(0, 1, network=convolving()), 3),
    "tied": (tied, 7),
    "same memory": (same_memory, 7),
    "called twice": (twice, 7),
    "used before": (used_before, 3),
    "convolution": (convolving, 3),
    "subclass": (lambda: hidden(Doubling(9, 9)), 2),
    "patched": (patched, 2),
    "parametrized": (lambda: hidden(parametrizations.weight_norm(nn.Linear(9, 9))), 2),
    "hooked": (
        lambda: hooked(lambda layer: layer.register_forward_hook(lambda *io: 2 * io[-1])),
        2,
    ),
    "hooked before": (
        lambda: hooked(lambda layer: layer.register_forward_pre_hook(lambda _, i: (2 * i[0],))),
        2,
    ),
    "hooked behind": (
        lambda: hooked(
            lambda layer: layer.register_full_backward_hook(lambda _, g, __: (2 * g[0],))
        ),
        2,
    ),
    "hooked weight": (
        lambda: hooked(lambda layer: layer.weight.register_hook(lambda gradient: 2 * gradient)),
        2,
    ),
}


def hooked_as_a_whole():
    network = hidden(nn.Linear(9, 9))
    network.register_forward_hook(lambda *io: 2 * io[-1])
    return network


REFUSED = {
    "own forward": Own,
    "hooked as a whole": hooked_as_a_whole,
    "all frozen but what precedes": lambda: frozen(4, network=convolving()),
    "subclass at the end": lambda: sequence(Doubling(64, 3)),
}


def seeded(make):
    torch.manual_seed(0)
    return make().train()


def data(dtype=torch.float32):
    draw = torch.Generator().manual_seed(0)
    inputs = torch.rand(SAMPLES, 1, 8, 8, generator=draw).to(dtype)
    return inputs, functional.one_hot(torch.arange(SAMPLES) % 3, 3).to(dtype)


def batches():
    draw = torch.Generator().manual_seed(1)
    rows = [torch.randperm(SAMPLES, generator=draw)[:BATCH_SIZE] for _ in range(ITERATIONS)]
    return torch.stack(rows)


def trained(network, loss, make_step, dtype=torch.float32):
    """Losses and parameters by name after some iterations of `Sgd`."""
    inputs, targets = data(dtype)
    if loss is functional.cross_entropy:
        targets = targets.argmax(1)
    sgd = Sgd(network, loss, LEARNING_RATE, inputs, targets)
    sgd.make_step = make_step
    torch.manual_seed(2)
    losses = sgd(batches())
    return losses, {name: w.detach() for name, w in network.state_dict().items()}


def by_hand(network, loss):
    """The same with `backward` and one plain subtraction for each parameter, in float64."""
    inputs, targets = data(torch.float64)
    if loss is functional.cross_entropy:
        targets = targets.argmax(1)
    losses = []
    torch.manual_seed(2)
    for batch in batches():
        network.zero_grad()
        value = loss(network(inputs[batch]), targets[batch])
        value.backward()
        losses.append(value.detach())
        with torch.no_grad():
            for weight in network.parameters():
                if weight.grad is not None:
                    weight -= LEARNING_RATE * weight.grad
    return torch.stack(losses), network.state_dict()


def assert_close(one, other, tolerance):
    assert torch.allclose(one[0], other[0], rtol=tolerance, atol=tolerance)
    assert one[1].keys() == other[1].keys()
    for name, weight in one[1].items():
        assert torch.allclose(weight, other[1][name], rtol=tolerance, atol=tolerance), name


LOSSES = [functional.mse_loss, half_squared_error, functional.cross_entropy]


@pytest.mark.parametrize("laid_out", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", TAKEN)
def test_the_dense_end_is_trained_as_by_hand_and_as_by_autograd(name, loss, laid_out):
    make, length = TAKEN[name]
    network = seeded(make).double()
    before = deepcopy(network.state_dict())
    assert len(dense_end(network)[1]) == length
    reference = by_hand(seeded(make).double(), loss)
    if laid_out:
        lay_out(network)
    assert_close(trained(network, loss, DenseEndStep, torch.float64), reference, 1e-12)
    single = [trained(seeded(make), loss, step) for step in (DenseEndStep, AutogradStep)]
    assert_close(*single, 1e-5)
    changed = [k for k, w in network.state_dict().items() if not torch.equal(w, before[k])]
    expected = [k for k, w in reference[1].items() if not torch.equal(w, before[k])]
    assert changed == expected
    assert changed


@pytest.mark.parametrize("name", REFUSED)
def test_other_networks_are_left_to_autograd(name):
    network = seeded(REFUSED[name])
    assert dense_end(network)[1] == []
    assert type(fastest_step(network, functional.mse_loss, LEARNING_RATE)) is AutogradStep
    with pytest.raises(ValueError, match="no dense end"):
        DenseEndStep(network, functional.mse_loss, LEARNING_RATE)


@pytest.mark.parametrize("kind", [nn.Linear, nn.ReLU, nn.Sequential])
def test_a_type_that_is_patched_is_left_to_autograd(kind, monkeypatch):
    network = hidden(nn.Linear(9, 9))
    assert len(dense_end(network)[1]) == 6
    original = kind.forward
    monkeypatch.setattr(kind, "forward", lambda self, inputs: 2 * original(self, inputs))
    assert len(dense_end(network)[1]) < 2


def test_a_type_that_was_patched_before_is_left_to_autograd(monkeypatch):
    original = nn.Linear.forward
    monkeypatch.setattr(nn.Linear, "forward", lambda self, inputs: 2 * original(self, inputs))
    known = dict(dense._AS_LOADED)
    known[nn.Linear] = [getattr(nn.Linear, name) for name in dense._CALLED]
    monkeypatch.setattr(dense, "_AS_LOADED", known)  # as if this module was loaded only now
    assert len(dense_end(hidden(nn.Linear(9, 9)))[1]) < 2


@pytest.mark.parametrize("name", ["__call__", "_call_impl"])
def test_patched_calls_of_all_modules_are_left_to_autograd(name, monkeypatch):
    original = getattr(nn.Module, name)
    monkeypatch.setattr(nn.Module, name, lambda self, *inputs: 2 * original(self, *inputs))
    assert dense_end(hidden(nn.Linear(9, 9)))[1] == []


def test_features_that_are_a_weight_are_read_before_it_changes():
    results = [
        trained(seeded(with_table), LOSSES[0], step) for step in (fastest_step, AutogradStep)
    ]
    assert len(dense_end(with_table())[1]) == 1
    assert_close(*results, 1e-5)


def test_inference_mode_is_left_to_autograd_which_refuses():
    with torch.inference_mode():
        assert dense_end(hidden(nn.Linear(9, 9)))[1] == []


def test_hooks_of_all_modules_are_left_to_autograd():
    network = hidden(nn.Linear(9, 9))
    handle = all_modules.register_module_forward_hook(lambda *io: None)
    try:
        assert dense_end(network)[1] == []
    finally:
        handle.remove()
    assert dense_end(network)[1]


def test_a_hook_that_comes_between_two_calls_is_noticed():
    network, twin = (seeded(lambda: hidden(nn.Linear(9, 9))) for _ in range(2))
    results = []
    for one, step in ((network, fastest_step), (twin, AutogradStep)):
        trained(one, functional.mse_loss, step)
        one[3].register_forward_hook(lambda *io: 2 * io[-1])
        results.append(trained(one, functional.mse_loss, step))
    assert_close(*results, 1e-5)


def test_a_weight_that_is_no_parameter_of_its_layer_is_left_to_autograd():
    assert len(dense_end(shadowed())[1]) == 2
    results = [trained(seeded(shadowed), LOSSES[0], step) for step in (fastest_step, AutogradStep)]
    assert_close(*results, 1e-5)


def test_layers_on_another_device_are_left_to_autograd():
    assert dense_end(hidden(nn.Linear(9, 9)).to("meta"))[1] == []


def test_a_loss_that_looks_at_weights_is_differentiated():
    results = []
    for step in (DenseEndStep, AutogradStep):
        network = seeded(lambda: hidden(nn.Linear(9, 9)))

        def loss(outputs, targets, weight=network[3].weight):
            return functional.mse_loss(outputs, targets) + weight.square().sum()

        results.append(trained(network, loss, step))
    assert_close(*results, 1e-5)


@pytest.mark.parametrize("name", ["relu", "vgg10", "dropout", "convolution"])
def test_random_numbers_are_those_of_autograd(name):
    states = []
    for step in (DenseEndStep, AutogradStep):
        trained(seeded(TAKEN[name][0]), functional.mse_loss, step)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


def test_laying_out_changes_no_value_and_no_shared_memory():
    for make in (tied, same_memory, lambda: networks.build({"name": "mlp"}, (1, 8, 8), 3, 0)):
        network = seeded(make)
        before = deepcopy(network.state_dict())
        lay_out(network)
        assert all(torch.equal(w, before[k]) for k, w in network.state_dict().items())
        assert network[1].weight.t().is_contiguous()
    shared = same_memory()
    lay_out(shared)
    assert shared[3].weight.data_ptr() == shared[4].weight.data_ptr()


def test_memory_that_a_module_of_other_make_may_share_stays():
    layer = nn.Linear(6, 3)
    network = nn.Sequential(Aliasing(layer), layer)
    lay_out(network)
    assert network[0].alias.data_ptr() == layer.weight.data_ptr()


@pytest.mark.parametrize("loss", ["mse", "half_squared_error", "cross_entropy"])
@pytest.mark.parametrize("name", ["mlp", "vgg10"])
def test_runs_have_a_dense_end_and_repeat_and_resume_with_the_same_bits(
    digits, tmp_path, plan, monkeypatch, name, loss
):
    made = []

    class Watched(DenseEndStep):
        def __init__(self, *arguments):
            made.append(self)
            super().__init__(*arguments)

    monkeypatch.setattr("flatness.experiment.sgd.DenseEndStep", Watched)
    p = plan(network={"name": name}, loss=loss, iterations=40)
    for output in ("one", "two"):
        train(p, digits, tmp_path / output, tmp_path / "a")
    assert made
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    interrupt_after(3, monkeypatch, lambda: train(p, digits, tmp_path / "out", tmp_path / "b"))
    train(p, digits, tmp_path / "out", tmp_path / "b")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "one").read_bytes()
    assert all(w.is_contiguous() for w in read_run(tmp_path / "one").weights(40).values())


def test_divergence_is_noticed_where_autograd_notices_it(digits, tmp_path, plan, monkeypatch):
    p = plan(network={"name": "mlp", "hidden_width": 30}, learning_rate=5.0)
    train(p, digits, tmp_path / "dense", tmp_path / "a")
    monkeypatch.setattr("flatness.experiment.sgd.dense_end", lambda network: ([network], []))
    train(p, digits, tmp_path / "autograd", tmp_path / "b")
    dense, autograd = read_run(tmp_path / "dense"), read_run(tmp_path / "autograd")
    assert dense.facts["diverged_at"] == autograd.facts["diverged_at"] is not None
    assert dense.iterations == autograd.iterations

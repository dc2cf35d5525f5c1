"""Iterations in CUDA graphs: the same as without, whatever the number in a call."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from flatness.errors import DeviceError
from flatness.experiment import networks
from flatness.experiment.checkpoints import read_run
from flatness.experiment.graphs import GraphedSgd
from flatness.experiment.optimisers import make_optimiser
from flatness.experiment.sgd import Sgd
from flatness.experiment.training import train
from flatness.settings.optimisers import AdamOptimiser, SgdOptimiser
from tests.experiment.interruption import interrupt_after
from tests.experiment.recorded_graph import install

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

NETWORKS = {
    "mlp": lambda: networks.build({"name": "mlp", "hidden_width": 9}, (1, 8, 8), 3, 0),
    "vgg10": lambda: networks.build({"name": "vgg10"}, (1, 8, 8), 3, 0),
    "batch_norm": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(), nn.Linear(144, 3)
    ),
}

DIVERGING = {
    "network": {"name": "mlp", "activation": "relu", "hidden_width": 30, "hidden_layers": 2},
    "learning_rate": 10.0,
    "early_checkpoints": 1,
    "late_checkpoints": 1,
}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def seeded(make):
    """The network that `make` makes, the same each time."""
    torch.manual_seed(0)
    return make()


def make_sgd(network, device="cpu"):
    """SGD on random samples."""
    draw = torch.Generator().manual_seed(0)
    inputs = torch.rand(50, 1, 8, 8, generator=draw).to(device)
    targets = functional.one_hot(torch.arange(50) % 3, 3).float().to(device)
    return Sgd(network.to(device).train(), functional.mse_loss, 0.1, inputs, targets)


def draw_batches(iterations, seed=0):
    draw = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([draw.permutation(50)[:6] for _ in range(iterations)]))


def state_of(sgd):
    return {name: tensor.clone() for name, tensor in sgd.network.state_dict().items()}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("length", [1, 3, 7])
def test_replays_of_recorded_operations_equal_direct_iterations(name, length, monkeypatch):
    direct, inner = (make_sgd(seeded(NETWORKS[name])) for _ in range(2))
    graphs = install(monkeypatch, [*inner.network.parameters(), *inner.network.buffers()])
    graphed, calls = GraphedSgd(inner, length), (2, 7, 1, 20, 3)
    for seed, iterations in enumerate(calls):
        batches = draw_batches(iterations, seed)
        losses = []
        for sgd in (graphed, direct):
            torch.manual_seed(seed)
            losses.append(sgd(batches))
        assert torch.equal(*losses)
        assert_equal(state_of(direct), state_of(inner))
    assert len(graphs) == 1
    assert graphs[0].replays == sum(iterations // length for iterations in calls)


def test_losses_of_a_call_survive_the_next_one(monkeypatch):
    sgd = make_sgd(NETWORKS["mlp"]())
    install(monkeypatch, list(sgd.network.parameters()))
    graphed = GraphedSgd(sgd, 2)
    first = graphed(draw_batches(2))
    kept = first.clone()
    graphed(draw_batches(2, seed=1))
    assert torch.equal(first, kept)


def test_capture_changes_neither_network_nor_generator(monkeypatch):
    """Batch normalisation counts batches, dropout draws: both are undone after the warm-up."""
    network = NETWORKS["batch_norm"]()
    sgd = make_sgd(network)
    graphs = install(monkeypatch, [*network.parameters(), *network.buffers()])
    graphed = GraphedSgd(sgd, 2)
    monkeypatch.setattr("tests.experiment.recorded_graph.RecordedGraph.replay", lambda self: None)
    before, generator = state_of(sgd), torch.get_rng_state()
    graphed(draw_batches(2))
    assert len(graphs) == 1
    assert len(graphs[0].operations) > 10
    assert_equal(before, state_of(sgd))
    assert torch.equal(generator, torch.get_rng_state())


class _Skipping(nn.Module):
    """Leaves its layer out now and then, which a graph would do always or never."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, inputs):
        return self.layer(inputs) if torch.rand(1) < 0.5 else inputs


def test_a_network_that_decides_at_random_is_refused(monkeypatch):
    network = nn.Sequential(NETWORKS["mlp"](), _Skipping())
    sgd = make_sgd(network)
    install(monkeypatch, generator_of_gpu=False)
    with pytest.raises(DeviceError, match=r"iterations_per_graph = 2, but.*on the CPU.*to 0\.$"):
        GraphedSgd(sgd, 2)(draw_batches(2))


def test_a_network_that_cannot_be_captured_is_refused_in_one_line(monkeypatch):
    class Waiting(nn.Module):
        """As on a GPU, asking for a value fails while operations are recorded."""

        calls = 0

        def forward(self, inputs):
            self.calls += 1
            if self.calls > 2:
                raise RuntimeError("operation not permitted when stream is capturing\nmore")
            return inputs

    sgd = make_sgd(nn.Sequential(NETWORKS["mlp"](), Waiting()))
    install(monkeypatch)
    with pytest.raises(DeviceError) as caught:
        GraphedSgd(sgd, 2)(draw_batches(2))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("training.iterations_per_graph = 2, but the network cannot be")
    assert "not permitted when stream is capturing." in message


@pytest.fixture
def graphs_on_the_cpu(monkeypatch):
    """Let `train` record graphs of 7 iterations on the CPU; return those it makes."""
    watched = []
    graphs = install(monkeypatch, watched)

    def make(network, *arguments):
        watched[:] = [*network.parameters(), *network.buffers()]
        return GraphedSgd(Sgd(network, *arguments), 7)

    monkeypatch.setattr("flatness.experiment.training.Sgd", make)
    return graphs


def test_a_run_with_recorded_graphs_has_the_bits_of_one_without(
    digits, tmp_path, plan, graphs_on_the_cpu
):
    train(plan(), digits, tmp_path / "graphs", tmp_path / "a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flatness.experiment.training.Sgd", Sgd)
        train(plan(), digits, tmp_path / "direct", tmp_path / "b")
    assert (tmp_path / "graphs").read_bytes() == (tmp_path / "direct").read_bytes()
    begins_and_ends = itertools.pairwise(plan().schedule)
    assert [graph.replays for graph in graphs_on_the_cpu] == [
        sum((end - begin) // 7 for begin, end in begins_and_ends)
    ]


@pytest.mark.parametrize("checkpoints", [1, 3, 5, 7])
def test_a_stopped_run_with_recorded_graphs_ends_with_the_same_bits(
    digits, tmp_path, plan, monkeypatch, graphs_on_the_cpu, checkpoints
):
    train(plan(), digits, tmp_path / "whole", tmp_path / "a")
    interrupt_after(
        checkpoints, monkeypatch, lambda: train(plan(), digits, tmp_path / "out", tmp_path / "b")
    )
    train(plan(), digits, tmp_path / "out", tmp_path / "b")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()
    assert len(graphs_on_the_cpu) > 1


def test_a_run_that_diverges_within_a_replay_ends_as_without(
    digits, tmp_path, plan, graphs_on_the_cpu
):
    p = plan(**DIVERGING)
    train(p, digits, tmp_path / "graphs", tmp_path / "a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flatness.experiment.training.Sgd", Sgd)
        train(p, digits, tmp_path / "direct", tmp_path / "b")
    assert (
        2 < read_run(tmp_path / "graphs").facts["diverged_at"] < 8
    )  # iterations 2 to 8 are one replay
    assert graphs_on_the_cpu[0].replays > 1
    assert (tmp_path / "graphs").read_bytes() == (tmp_path / "direct").read_bytes()


def test_the_cpu_ignores_the_setting(digits, tmp_path, plan):
    for length in (0, 7):
        train(plan(iterations_per_graph=length), digits, tmp_path / f"{length}", tmp_path / "state")
    direct, ignored = read_run(tmp_path / "0"), read_run(tmp_path / "7")
    assert torch.equal(direct.record["minibatch_loss"], ignored.record["minibatch_loss"])
    assert_equal(direct.weights(150), ignored.weights(150))


@NEEDS_GPU
@pytest.mark.parametrize("network", ["mlp", "vgg10"])
def test_graphs_agree_with_direct_iterations_on_the_gpu(digits, tmp_path, plan, network):
    p = plan(network={"name": network}, device="cuda")
    train(p, digits, tmp_path / "direct", tmp_path / "a")
    train(replace(p, iterations_per_graph=7), digits, tmp_path / "graphs", tmp_path / "b")
    direct, graphs = read_run(tmp_path / "direct"), read_run(tmp_path / "graphs")
    losses = [run.record["minibatch_loss"] for run in (direct, graphs)]
    assert torch.allclose(*losses, rtol=1e-4, atol=1e-6)
    for iteration in direct.iterations:
        one, other = direct.weights(iteration), graphs.weights(iteration)
        for name, w in one.items():
            assert torch.allclose(w, other[name], rtol=1e-3, atol=1e-5), (iteration, name)


@NEEDS_GPU
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("checkpoints", [1, 3, 5, 7])
def test_a_stopped_run_with_graphs_ends_with_the_same_bits(
    digits, tmp_path, plan, monkeypatch, checkpoints, dropout
):
    if dropout:
        build = networks.build
        monkeypatch.setattr(
            "flatness.experiment.training.build",
            lambda *arguments: nn.Sequential(nn.Dropout(0.2), build(*arguments)),
        )
    p = plan(network={"name": "vgg10"}, device="cuda", iterations_per_graph=7)
    train(p, digits, tmp_path / "whole", tmp_path / "a")
    interrupt_after(
        checkpoints, monkeypatch, lambda: train(p, digits, tmp_path / "out", tmp_path / "b")
    )
    train(p, digits, tmp_path / "out", tmp_path / "b")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


@NEEDS_GPU
def test_each_replay_draws_other_masks():
    """With a learning rate of zero and one batch, only the masks can change the loss."""
    sgd = make_sgd(nn.Sequential(nn.Dropout(), NETWORKS["mlp"]()), "cuda")
    sgd.learning_rate = 0.0
    batch = draw_batches(1).to("cuda").expand(3, -1)
    graphed = GraphedSgd(sgd, 3)
    torch.manual_seed(0)
    first, second = graphed(batch), graphed(batch)
    assert len({*first.tolist(), *second.tolist()}) == 6
    torch.manual_seed(0)
    assert torch.equal(first, graphed(batch))


@NEEDS_GPU
def test_a_network_that_waits_for_the_gpu_is_refused():
    class Waiting(nn.Module):
        def forward(self, inputs):
            return inputs if inputs.sum().item() > 0 else -inputs

    sgd = make_sgd(nn.Sequential(NETWORKS["mlp"](), Waiting()), "cuda")
    with pytest.raises(DeviceError, match=r"cannot be captured.*to 0\.$"):
        GraphedSgd(sgd, 2)(draw_batches(2).to("cuda"))


@NEEDS_GPU
def test_a_diverging_run_with_graphs_ends_as_without(digits, tmp_path, plan):
    p = plan(device="cuda", **DIVERGING)
    train(p, digits, tmp_path / "direct", tmp_path / "a")
    train(replace(p, iterations_per_graph=7), digits, tmp_path / "graphs", tmp_path / "b")
    direct, graphs = read_run(tmp_path / "direct"), read_run(tmp_path / "graphs")
    assert direct.facts["diverged_at"] == graphs.facts["diverged_at"]
    assert direct.iterations == graphs.iterations
    assert len(direct.record["minibatch_loss"]) == len(graphs.record["minibatch_loss"])


@pytest.mark.parametrize(
    "options",
    [SgdOptimiser(name="sgd", momentum=0.9), AdamOptimiser(name="adam")],
    ids=["momentum", "adam"],
)
def test_replays_carry_on_what_an_optimiser_remembers(options, monkeypatch):
    direct, inner = (_with_optimiser(options) for _ in range(2))
    install(monkeypatch, inner.state())
    graphed = GraphedSgd(inner, 3)
    for seed, iterations in enumerate((7, 2, 9)):
        batches = draw_batches(iterations, seed)
        assert torch.equal(graphed(batches), direct(batches))
    assert_equal(state_of(direct), state_of(inner))
    assert_equal(direct.optimiser.state, inner.optimiser.state)


def _with_optimiser(options):
    plain = make_sgd(seeded(NETWORKS["mlp"]))
    optimiser = make_optimiser(options.model_dump(), plain.network, 0.01)
    return Sgd(plain.network, plain.loss, 0.01, plain.inputs, plain.targets, optimiser)

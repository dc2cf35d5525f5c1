"""Training: a pure function of plan and data, whatever interrupts it."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from flatness.errors import DeviceError, StorageError
from flatness.experiment import networks, training
from flatness.experiment.batches import epoch_order, iterations_per_epoch, mini_batches
from flatness.experiment.checkpoints import read_run
from flatness.experiment.device import configure
from flatness.experiment.losses import loss_function, targets
from flatness.experiment.prepared import load_prepared
from flatness.experiment.schedule import checkpoint_iterations
from flatness.experiment.training import train
from flatness.measurement.run import measure_run
from flatness.progress.share import listening
from tests.experiment.interruption import interrupt_after, train_and_measure


@pytest.fixture
def trained(digits, tmp_path, plan):
    """A function that trains a varied plan and returns its file."""

    def run(name="run", **changes):
        train(plan(**changes), digits, tmp_path / f"{name}.safetensors", tmp_path / f"{name}.state")
        return tmp_path / f"{name}.safetensors"

    return run


def test_training_is_plain_sgd(trained, digits, plan):
    """Against a hand-written loop that shares nothing but network, data and batch order."""
    run = read_run(trained())
    data, p = load_prepared(digits), plan()
    inputs, labels = torch.from_numpy(data.train_inputs), torch.from_numpy(data.train_targets)
    network = networks.build(p.network, (1, 8, 8), 10, p.seed)
    per_epoch = len(labels) // p.batch_size
    losses = []
    for k in range(p.iterations):
        order = epoch_order(p.seed, k // per_epoch, len(labels))
        batch = order[(k % per_epoch) * p.batch_size :][: p.batch_size]
        error = network(inputs[batch]) - functional.one_hot(labels[batch], 10)
        loss = 0.5 * (error**2).sum(1).mean()
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        losses.append(float(loss.detach()))
        with torch.no_grad():
            for w, g in zip(network.parameters(), gradients, strict=True):
                w -= p.learning_rate * g
    final = run.weights(p.iterations)
    for name, w in network.state_dict().items():
        assert torch.allclose(final[name], w, rtol=1e-4, atol=1e-6), name
    assert np.allclose(run.record["minibatch_loss"], losses, rtol=1e-4)
    assert losses[-1] < 0.5 * losses[0]


def test_the_curve_is_that_of_the_checkpoints(trained, digits, plan):
    run, data = read_run(trained()), load_prepared(digits)
    network = networks.build(plan().network, (1, 8, 8), 10, 0)
    for position, iteration in enumerate(run.iterations):
        network.load_state_dict(run.weights(iteration))
        for split in ("train", "test"):
            with torch.no_grad():
                output = network(torch.from_numpy(getattr(data, f"{split}_inputs"))).double()
            labels = torch.from_numpy(getattr(data, f"{split}_targets"))
            error = output - functional.one_hot(labels, 10)
            assert np.isclose(
                run.record[f"{split}_loss"][position], 0.5 * (error**2).sum(1).mean(), rtol=1e-5
            )
            accuracy = (output.argmax(1) == labels).double().mean()
            assert run.record[f"{split}_accuracy"][position] == accuracy
        assert torch.equal(run.record["test_prediction"][position].long(), output.argmax(1))


def test_checkpoints_follow_the_schedule_and_begin_at_initialisation(trained, plan):
    run = read_run(trained())
    assert run.iterations == plan().schedule
    assert len(run.record["minibatch_loss"]) == plan().iterations
    initial = networks.build(plan().network, (1, 8, 8), 10, 0).state_dict()
    for name, w in run.weights(0).items():
        assert torch.equal(w, initial[name])


@pytest.mark.parametrize("network", [{"name": "vgg10", "activation": "relu"}, None])
def test_the_same_plan_gives_the_same_bits(trained, network):
    changes = {"network": network, "iterations": 30} if network else {}
    assert trained("one", **changes).read_bytes() == trained("two", **changes).read_bytes()


def test_seed_changes_initialisation_and_order(trained):
    one, two = (
        read_run(trained("one", iterations=4)),
        read_run(trained("two", iterations=4, seed=1)),
    )
    name = next(iter(one.weights(0)))
    assert not torch.equal(one.weights(0)[name], two.weights(0)[name])


def test_dropout_networks_are_repeatable_too(digits, tmp_path, plan, monkeypatch):
    """Randomness inside the network is drawn anew from (seed, iteration) at each checkpoint."""
    build = networks.build

    def with_dropout(*arguments):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(), *build(*arguments)[1:])

    monkeypatch.setattr("flatness.experiment.training.build", with_dropout)
    train(plan(), digits, tmp_path / "whole", tmp_path / "a")
    interrupt_after(2, monkeypatch, lambda: train(plan(), digits, tmp_path / "x", tmp_path / "b"))
    train(plan(), digits, tmp_path / "resumed", tmp_path / "b")
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "resumed").read_bytes()


@pytest.mark.parametrize("checkpoints", [0, 1, 3, 7])
def test_a_stopped_run_resumes_and_ends_with_the_same_bits(
    digits, tmp_path, plan, monkeypatch, caplog, checkpoints
):
    caplog.set_level("INFO")
    train(plan(), digits, tmp_path / "whole", tmp_path / "a")
    saved = interrupt_after(
        checkpoints, monkeypatch, lambda: train(plan(), digits, tmp_path / "out", tmp_path / "b")
    )
    assert not (tmp_path / "out").exists()
    caplog.clear()
    train(plan(), digits, tmp_path / "out", tmp_path / "b")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()
    assert ("resuming at iteration" in caplog.text) == bool(saved)
    if saved:
        assert f"resuming at iteration {saved[-1]}" in caplog.text


@pytest.mark.parametrize("until", [0, 10, 149])
def test_a_run_that_is_begun_has_the_checkpoints_of_the_whole(
    trained, digits, tmp_path, plan, until
):
    whole, path = read_run(trained()), tmp_path / "begun"
    train(plan(), digits, path, tmp_path / "state", until=until)
    begun = read_run(path)
    assert begun.iterations == tuple(each for each in whole.iterations if each <= until)
    for iteration in begun.iterations:
        for name, weight in begun.weights(iteration).items():
            assert torch.equal(weight, whole.weights(iteration)[name])
    count = begun.iterations[-1]
    assert torch.equal(begun.record["minibatch_loss"], whole.record["minibatch_loss"][:count])
    assert begun.facts["plan"] == whole.facts["plan"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "garbage"])
def test_a_damaged_state_is_not_used(digits, tmp_path, plan, monkeypatch, caplog, damage):
    caplog.set_level("INFO")
    train(plan(), digits, tmp_path / "whole", tmp_path / "a")
    saved = interrupt_after(
        4, monkeypatch, lambda: train(plan(), digits, tmp_path / "out", tmp_path / "b")
    )
    last = sorted((tmp_path / "b").iterdir())[-1]
    content = bytearray(last.read_bytes())
    if damage == "flip":
        content[-20] ^= 1
    last.write_bytes({"truncate": content[:-9], "flip": content, "garbage": b"x" * 99}[damage])
    caplog.clear()
    train(plan(), digits, tmp_path / "out", tmp_path / "b")
    assert f"resuming at iteration {saved[-2]}" in caplog.text
    assert f"not resuming from {last}, which" in caplog.text
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


def test_the_state_of_another_plan_is_not_used(digits, tmp_path, plan, monkeypatch, caplog):
    caplog.set_level("INFO")
    other = plan(learning_rate=0.2)
    interrupt_after(
        4, monkeypatch, lambda: train(other, digits, tmp_path / "out", tmp_path / "state")
    )
    train(plan(), digits, tmp_path / "out", tmp_path / "state")
    assert "resuming at" not in caplog.text
    assert "which was made with other facts: learning_rate (0.2 there, 0.1 here)\n" in caplog.text
    train(plan(), digits, tmp_path / "whole", tmp_path / "a")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


def test_the_state_of_another_gpu_is_not_used_and_both_are_named(
    digits, tmp_path, plan, monkeypatch, caplog
):
    """As after a job was requeued on a node with another model."""

    def run():
        train(plan(), digits, tmp_path / "out", tmp_path / "state")

    with monkeypatch.context() as patch:
        patch.setattr(training, "device_name", lambda device: "NVIDIA A100")
        interrupt_after(4, monkeypatch, run)
    monkeypatch.setattr(training, "device_name", lambda device: "NVIDIA H100")
    run()
    assert "other facts: device (NVIDIA A100 there, NVIDIA H100 here)\n" in caplog.text
    assert read_run(tmp_path / "out").facts["device"] == "NVIDIA H100"


def test_a_finished_file_that_is_deleted_costs_nothing(digits, tmp_path, plan, monkeypatch):
    """As the engine deletes that of a job that is killed in its last moment."""
    p, output, state = plan(iterations=40), tmp_path / "run", tmp_path / "state"
    train(p, digits, output, state)
    whole = output.read_bytes()
    output.unlink()
    monkeypatch.setattr(training.Sgd, "__call__", None)  # no update can be made
    train(p, digits, output, state)
    assert output.read_bytes() == whole


def test_twenty_kills_at_random_moments_change_no_bit(digits, tmp_path, plan):
    """SIGKILL whole processes that train, and then measure; each is started again."""
    p = plan(iterations=10000, late_checkpoints=75)
    # Processes of a server that has loaded torch begin at once, with nothing of this one.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([train.__module__, measure_run.__module__])

    def start(name):
        process = processes.Process(target=train_and_measure, args=(p, digits, tmp_path / name))
        process.start()
        return process

    def finish(name):
        process = start(name)
        process.join()
        assert process.exitcode == 0

    def compare():
        for ending in ("", ".nc"):
            whole, killed = (tmp_path / f"{name}{ending}" for name in ("whole", "killed"))
            assert killed.read_bytes() == whole.read_bytes(), ending

    finish("whole")
    draw, kills = random.Random(0), 0
    while kills < 20:
        process = start("killed")
        process.join(draw.uniform(0, 0.8))
        process.kill()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            kills += 1
        else:  # done before it was killed often enough: once more from the start
            assert process.exitcode == 0
            compare()
            for ending in ("", ".nc"):
                (tmp_path / f"killed{ending}").unlink()
    finish("killed")
    compare()


def test_a_diverging_run_stops_and_says_where(trained, plan, caplog):
    run = read_run(trained(learning_rate=1e6, loss="mse"))
    at = run.facts["diverged_at"]
    assert 0 < at <= plan().iterations
    assert run.iterations == tuple(i for i in plan().schedule if i < at)
    losses = run.record["minibatch_loss"]
    assert losses.isfinite().all()
    assert len(losses) in (at - 1, at)
    assert f"the loss is not finite at iteration {at}" in caplog.text


def test_a_sound_run_says_that_it_did_not_diverge(trained):
    assert read_run(trained()).facts["diverged_at"] is None


@pytest.mark.parametrize("damage", ["truncate", "flip", "absent", "other"])
def test_damaged_run_files_are_named(trained, damage):
    path = trained()
    content = bytearray(path.read_bytes())
    if damage == "absent":
        path.unlink()
    elif damage == "other":
        path.write_bytes(b"no safetensors")
    elif damage == "truncate":
        path.write_bytes(content[:-4])
    else:
        content[-100] ^= 1
        path.write_bytes(content)

    def read_all():
        run = read_run(path)
        for iteration in run.iterations:
            run.weights(iteration)

    with pytest.raises(StorageError, match=r"run\.safetensors: .*Delete (it|the file)"):
        read_all()


def test_progress_is_a_line_per_checkpoint_with_rate_and_remaining_time(trained, plan, caplog):
    caplog.set_level("INFO")
    trained()
    lines = [record.getMessage() for record in caplog.records if "it/s" in record.getMessage()]
    assert len(lines) == len(plan().schedule) - 1
    assert "s left" in lines[0]


def test_it_tells_each_block_of_iterations_and_what_an_earlier_attempt_did(
    trained, plan, monkeypatch
):
    told = []
    with listening(told.append):
        trained(iterations=300)
    assert told[0] == 0
    assert len(told) > 300 / 100
    assert sum(told) == pytest.approx(1)
    interrupt_after(3, monkeypatch, lambda: trained("resumed", iterations=300))
    told.clear()
    with listening(told.append):
        trained("resumed", iterations=300)
    assert told[0] * 300 == pytest.approx(plan(iterations=300).schedule[2])
    assert sum(told) == pytest.approx(1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_that_is_absent_is_an_error_at_once(digits, tmp_path, plan):
    with pytest.raises(DeviceError, match=r"device = 'cuda'.*Allowed here: auto, cpu"):
        train(plan(device="cuda"), digits, tmp_path / "out", tmp_path / "state")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_run_agrees_with_cpu_and_resumes(digits, tmp_path, plan, monkeypatch):
    p = plan(network={"name": "vgg10", "activation": "relu"}, device="cuda", iterations=40)
    train(p, digits, tmp_path / "one", tmp_path / "a")
    interrupt_after(3, monkeypatch, lambda: train(p, digits, tmp_path / "two", tmp_path / "b"))
    train(p, digits, tmp_path / "two", tmp_path / "b")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    train(replace(p, device="cpu"), digits, tmp_path / "cpu", tmp_path / "c")
    one, cpu = read_run(tmp_path / "one").weights(40), read_run(tmp_path / "cpu").weights(40)
    for name, w in cpu.items():
        assert torch.allclose(one[name], w, rtol=1e-3, atol=1e-4), name


def test_threads_come_from_the_plan_and_not_from_the_environment(digits, tmp_path, plan):
    before = torch.get_num_threads()
    try:
        configure("cpu", 2)
        assert torch.get_num_threads() == 2
        train(plan(iterations=2), digits, tmp_path / "out", tmp_path / "state")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert read_run(tmp_path / "out").facts["plan"]["threads"] == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((100, 3, 4), (0, 1, 5, 25, 50, 75, 100)),
        ((1, 5, 5), (0, 1)),
        ((10, 1, 1), (0, 1, 10)),
        ((7, 1, 3), (0, 1, 2, 5, 7)),
    ],
)
def test_schedule(arguments, expected):
    assert checkpoint_iterations(*arguments) == expected


@pytest.mark.parametrize("iterations", [1, 2, 17, 1000, 750000])
@pytest.mark.parametrize("early", [1, 2, 20])
@pytest.mark.parametrize("late", [1, 7, 40])
def test_every_schedule_begins_at_zero_and_ends_at_the_end(iterations, early, late):
    schedule = checkpoint_iterations(iterations, early, late)
    assert schedule[0] == 0
    assert schedule[-1] == iterations
    assert list(schedule) == sorted(set(schedule))
    assert len(schedule) <= early + late + 1


def test_epoch_order_is_a_permutation_that_depends_on_seed_and_epoch_only():
    order = epoch_order(3, 5, 100)
    assert sorted(order) == list(range(100))
    np.random.seed(0)  # noqa: NPY002  (the global generator must not matter)
    assert np.array_equal(order, epoch_order(3, 5, 100))
    assert not np.array_equal(order, epoch_order(3, 6, 100))
    assert not np.array_equal(order, epoch_order(4, 5, 100))
    assert iterations_per_epoch(1437, 20) == 71


@pytest.mark.parametrize("block", [1, 7, 100])
def test_blocks_of_mini_batches_are_the_batches_of_the_epochs(block):
    blocks = list(mini_batches(3, 23, 5, 2, 19, block))
    assert [len(rows) for rows in blocks[:-1]] == [block] * (len(blocks) - 1)
    rows = np.concatenate(blocks)
    assert rows.shape == (17, 5)
    for k, row in enumerate(rows, start=2):
        order = epoch_order(3, k // 4, 23)
        assert np.array_equal(row, order[5 * (k % 4) :][:5])


def test_losses_have_the_stated_normalisation():
    torch.manual_seed(0)
    output, labels = torch.randn(6, 4).double(), torch.tensor([0, 1, 2, 3, 0, 1])
    one_hot = np.eye(4)[labels]
    squared = ((output.numpy() - one_hot) ** 2).sum()
    probabilities = np.exp(output.numpy()) / np.exp(output.numpy()).sum(1, keepdims=True)
    expected = {
        "mse": squared / 24,
        "half_squared_error": squared / 12,
        "cross_entropy": -np.log(probabilities[np.arange(6), labels]).mean(),
    }
    for name, value in expected.items():
        target = targets(name, labels, 4, output.dtype)
        assert np.isclose(loss_function(name)(output, target), value), name


def test_environment_variables_of_the_engine_do_not_change_bits(digits, tmp_path, plan):
    """Snakemake exports a rule's threads; the plan's thread count must win."""
    code = (
        "import sys\nfrom flatness.experiment.training import TrainingPlan, train\n"
        f"train(TrainingPlan(**{asdict(plan(iterations=30))!r}), {str(digits)!r}, sys.argv[1],"
        " sys.argv[1] + '.state')\n"
    )
    for threads in ("1", "2"):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / threads)], check=True, env=environment
        )
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()

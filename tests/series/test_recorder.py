"""Recording a training loop: the file survives, and the training does not notice."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import flatness
from flatness import Recorder, measure, measure_checkpoints
from flatness.errors import MeasurementError, StorageError
from flatness.storage import read_dataset
from tests.series import loop


@pytest.fixture
def samples():
    inputs, targets = loop.data()
    return inputs[:12], targets[:12]


def _values(dataset, name):
    return dataset[name].to_numpy()


def test_training_has_the_same_bits_with_and_without_it(samples, tmp_path):
    """Batch statistics, dropout's generator, momentum and gradients included."""
    plain, recorded = loop.network(), loop.network()
    recorder = Recorder(*samples, every=loop.EVERY, path=tmp_path / "run.nc")
    for one, other in zip(loop.train(plain, None), loop.train(recorded, recorder), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    for one, other in zip(plain.parameters(), recorded.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)
    assert recorded.training
    assert len(recorder.dataset["iteration"]) == loop.ITERATIONS // loop.EVERY + 1


def test_modes_are_put_back_module_by_module(samples):
    model = loop.network()
    model[1].eval()
    Recorder(*samples)(model, 0)
    assert [module.training for module in model] == [True, False, True, True, True, True]


def test_it_gives_what_stored_checkpoints_give(samples, tmp_path):
    recorder = Recorder(*samples, every=loop.EVERY, path=tmp_path / "run.nc")
    states = loop.train(loop.network(), recorder)
    stored = measure_checkpoints(
        loop.network(), {k * loop.EVERY: state for k, state in enumerate(states)}, *samples
    )
    recorded = recorder.dataset.drop_vars("weights_sha256")
    for name in ("inputs_sha256", "targets_sha256", "measured_with"):
        del recorded.attrs[name]
    assert recorded.identical(stored)
    assert read_dataset(tmp_path / "run.nc").identical(recorder.dataset)
    alone = measure(_loaded(states[3]), samples[0])
    for name in alone.data_vars:
        np.testing.assert_array_equal(
            _values(recorded.isel(checkpoint=3), name), _values(alone, name), name
        )
    assert flatness.quantities(recorded)["sqrt_sharpness"].dims == ("checkpoint",)
    assert "checkpoint" in flatness.bounds(recorded).dims


def _loaded(state) -> nn.Module:
    model = loop.network()
    model.load_state_dict(state)
    return model.eval()


@pytest.mark.parametrize("draw", range(2))
def test_a_killed_training_goes_on_with_its_file(draw, samples, tmp_path):
    path = tmp_path / "run.nc"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, loop.__file__, str(path)],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    try:
        assert process.stdout.readline() == "begun\n"
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(random.Random(draw).uniform(0.05, 0.6))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    before = read_dataset(path)
    assert before.sizes["checkpoint"] >= 1
    last = int(before["iteration"][-1])
    recorder = Recorder(*samples, every=loop.EVERY, path=path)
    measured = []
    inner = recorder.__class__.__call__

    class Watched:
        def __call__(self, model, iteration):
            if inner(recorder, model, iteration):
                measured.append(iteration)

    loop.train(loop.network(), Watched(), last + 2 * loop.EVERY)
    assert measured == [last + loop.EVERY, last + 2 * loop.EVERY]
    held = read_dataset(path).isel(checkpoint=slice(0, before.sizes["checkpoint"]))
    assert held.identical(before)


def test_another_training_is_refused_and_replaces_on_request(samples, tmp_path):
    path = tmp_path / "run.nc"
    loop.train(loop.network(), Recorder(*samples, every=20, path=path))
    before = read_dataset(path)
    other = loop.network()
    with torch.no_grad():
        other[5].bias += 1
    with pytest.raises(MeasurementError, match=r"run\.nc: holds iterations up to 40, and .* 20"):
        Recorder(*samples, path=path)(other, 20)
    assert read_dataset(path).identical(before)
    replacing = Recorder(*samples, path=path, replace=True)
    assert replacing(other, 20)
    assert _values(replacing.dataset, "iteration").tolist() == [0, 20]
    assert replacing.dataset.isel(checkpoint=[0]).equals(before.isel(checkpoint=[0]))
    alone = measure(other.eval(), samples[0])
    last = read_dataset(path).isel(checkpoint=-1)
    assert np.array_equal(_values(last, "singular_value"), _values(alone, "singular_value"))


def test_numbers_of_ones_own_are_kept(samples):
    recorder = Recorder(samples[0], every=[0, 3, 5])
    model = loop.network()
    said = [recorder(model, k, **({"train_loss": k / 2} if k else {})) for k in range(7)]
    assert said == [True, False, False, True, False, True, False]
    found = recorder.dataset
    assert _values(found, "iteration").tolist() == [0, 3, 5]
    assert np.array_equal(_values(found, "train_loss"), [np.nan, 1.5, 2.5], equal_nan=True)
    assert "residual_norm" not in found
    with pytest.raises(MeasurementError, match="'input_norm': is measured"):
        Recorder(samples[0])(model, 0, input_norm=1.0)


def test_mistakes_are_named(samples, tmp_path):
    inputs, targets = samples
    with pytest.raises(MeasurementError, match="every = 0"):
        Recorder(inputs, every=0)
    with pytest.raises(MeasurementError, match=r"targets: \(3,\)\. Allowed: a tensor of 12"):
        Recorder(inputs, targets[:3])
    with pytest.raises(MeasurementError, match="integers, the classes"):
        Recorder(inputs, targets.float())
    with pytest.raises(MeasurementError, match="classes 0 to 7"):
        Recorder(inputs, targets * 7)(loop.network(), 0)
    with pytest.raises(MeasurementError, match="beside layer = '0'"):
        Recorder(inputs, targets, layer="0")(loop.network(), 0)
    with pytest.raises(MeasurementError, match="nothing is measured"):
        _ = Recorder(inputs).dataset
    (tmp_path / "run.nc").write_bytes(b"no netCDF")
    with pytest.raises(StorageError, match=r"run\.nc"):
        Recorder(inputs, path=tmp_path / "run.nc")
    assert Path(tmp_path / "run.nc").read_bytes() == b"no netCDF"


def test_a_network_of_another_size_is_refused(samples):
    recorder = Recorder(samples[0])
    recorder(loop.network(), 0)
    with pytest.raises(MeasurementError, match="other parameters, layers, outputs or samples"):
        recorder(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), 1)
    assert recorder.dataset.sizes["checkpoint"] == 1


def test_another_subject_is_refused(samples, tmp_path):
    """A file goes on with the very samples and options that it was begun with."""
    path = tmp_path / "run.nc"
    inputs, targets = samples
    Recorder(inputs, path=path, only=("mls", "sharpness"), progress=False)(loop.network(), 0)
    Recorder(inputs, path=path, only=("sharpness", "mls"))
    for given, options, said in (
        ((inputs + 1,), {"only": ("mls", "sharpness")}, r"with other inputs \("),
        ((inputs, targets), {"only": ("mls", "sharpness")}, r"with other targets \("),
        ((inputs,), {"only": ("mls",)}, r"with other options"),
    ):
        with pytest.raises(MeasurementError, match=said):
            Recorder(*given, path=path, **options)


def test_a_training_that_diverges_goes_on(samples):
    """With a warning, and what was measured before."""
    recorder = Recorder(*samples)
    model = loop.network()
    assert recorder(model, 0)
    with torch.no_grad():
        model[5].bias.fill_(torch.inf)
    with pytest.warns(UserWarning, match="iteration 1 is left out: model: returned values"):
        assert not recorder(model, 1)
    assert recorder.dataset["iteration"].to_numpy().tolist() == [0]


def test_mistakes_are_named_before_a_training_begins(samples):
    with pytest.raises(MeasurementError, match=r"onyl = 'mls': no option .* Allowed: start, "):
        Recorder(samples[0], onyl="mls")
    with pytest.raises(MeasurementError, match=r"inputs: a str\. Allowed: a tensor"):
        Recorder("images")


@pytest.mark.parametrize("iteration", ["network", True, 1.5])
def test_an_iteration_that_is_none_is_refused(samples, iteration):
    network = loop.network()
    given = network if iteration == "network" else iteration
    recorder = Recorder(samples[0])
    with pytest.raises(
        MeasurementError, match=r"iteration: a .* Call recorder\(model, iteration\)"
    ):
        recorder(0 if given is network else network, given)


@pytest.mark.filterwarnings("error")
def test_a_loss_that_may_still_be_differentiated_is_kept(samples):
    network = loop.network()
    recorder = Recorder(samples[0])
    loss = network(samples[0]).sum()
    recorder(network, np.int64(0), train_loss=loss)
    assert float(recorder.dataset["train_loss"][0]) == loss.item()


def test_inputs_that_are_no_tensor_are_refused_with_what_to_do(samples):
    images = TensorDataset(*samples)
    for inputs, advice in (
        (samples[0].numpy(), r"Convert with torch\.as_tensor"),
        (images, r"Stack them with torch\.stack"),
        (list(samples[0]), r"Stack them with torch\.stack"),
        (DataLoader(images), r"Take a batch: inputs, targets = next\(iter\(loader\)\)"),
    ):
        with pytest.raises(MeasurementError, match=advice):
            Recorder(inputs)
        with pytest.raises(MeasurementError, match=advice):
            measure(loop.network().eval(), inputs)


def test_classes_that_curvature_is_given_are_told_how_to_become_targets(samples):
    inputs, network = samples[0], loop.network().eval()
    outputs = network(inputs).shape[1]
    classes = torch.zeros(len(inputs), dtype=torch.long)
    with pytest.raises(MeasurementError, match=r"one_hot\(targets, N\)\.to\(inputs\)"):
        flatness.curvature(network, inputs, classes)
    flatness.curvature(network, inputs, functional.one_hot(classes, outputs).to(inputs))
    with pytest.raises(MeasurementError, match="Pass a row for each sample"):
        flatness.curvature(network, inputs, classes[:3])

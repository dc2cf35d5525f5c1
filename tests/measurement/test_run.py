"""Measuring a whole run into one netCDF file."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import flatness
from flatness.errors import MeasurementError, StorageError
from flatness.experiment import networks
from flatness.experiment.checkpoints import read_run
from flatness.experiment.prepared import load_prepared, prepare
from flatness.experiment.training import TrainingPlan, train
from flatness.glossary.primitives import PRIMITIVES
from flatness.measurement.run import measure_run
from flatness.measurement.together import united
from flatness.progress.share import listening
from flatness.storage import read_dataset
from tests.experiment.short_run import DIGITS
from tests.experiment.short_run import PLAN as SHORT

SAMPLES = 80  # more than are misclassified at the end
PLAN = replace(SHORT, iterations=450, early_checkpoints=2, late_checkpoints=3)


CURVATURE = {"probes": 4, "exact_products": 0}


def _measure(folder: Path, plan: TrainingPlan, chunk_size: int = 100) -> Path:
    train(plan, folder / "digits.nc", folder / "trained", folder / "state", code="how trained")
    output = folder / "measured.nc"
    measure_run(
        folder / "trained",
        folder / "digits.nc",
        output,
        **{"dataset_name": "digits", "chunk_size": chunk_size, "minibatch_window": 100},
        curvature_options=CURVATURE,
        code="how measured",
    )
    return output


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a prepared dataset, a trained run and its measurements."""
    made = tmp_path_factory.mktemp("run")
    prepare(DIGITS | {"samples": SAMPLES}, Path("nowhere"), False, made / "digits.nc", {})
    _measure(made, PLAN)
    return made


@pytest.fixture(scope="module")
def measured(folder):
    return read_dataset(folder / "measured.nc")


def test_it_tells_how_far_each_checkpoint_is(folder, tmp_path):
    told = []
    with listening(told.append):
        measure_run(
            folder / "trained",
            folder / "digits.nc",
            tmp_path / "again.nc",
            **{"dataset_name": "digits", "chunk_size": 100, "minibatch_window": 100},
        )
    assert told[0] == 0
    assert len(told) > 5
    assert sum(told) == pytest.approx(1)


def test_dimensions_and_coordinates(measured):
    assert dict(measured.sizes) == {
        **{"checkpoint": 5, "sample_set": 3, "sample": SAMPLES, "mode": 10},
        **{"parameter": 6, "output": 10, "layer": 3, "window": 4},
    }
    assert list(measured["iteration"].values) == [0, 1, 150, 300, 450]
    assert np.allclose(measured["epoch"], measured["iteration"] / (1437 // 20))
    assert list(measured["sample_set"].values) == ["train", "test", "misclassified"]
    assert list(measured["window_end"].values) == [100, 200, 300, 400]


def test_every_variable_has_a_glossary_entry_with_its_attributes(measured):
    for name in measured.variables:
        assert measured[name].attrs["long_name"] == PRIMITIVES[name].long_name
        assert measured[name].attrs["formula"] == PRIMITIVES[name].formula
        assert measured[name].attrs["units"]


@pytest.mark.parametrize("position", [0, 2, 4])
def test_values_are_those_of_measuring_each_set_by_itself(folder, measured, position):
    data, run = load_prepared(folder / "digits.nc"), read_run(folder / "trained")
    network = networks.build(PLAN.network, (1, 8, 8), 10, 0)
    network.load_state_dict(run.weights(run.iterations[position]))
    network.eval()
    with torch.no_grad():
        predicted = network(torch.from_numpy(data.test_inputs)).argmax(1).numpy()
    wrong = [k for k in data.test_order if predicted[k] != data.test_targets[k]]
    assert measured["misclassified_total"][position] == len(wrong)
    sets = {
        "train": (data.train_inputs, data.train_targets, data.train_samples),
        "test": (data.test_inputs, data.test_targets, data.test_order[:SAMPLES]),
        "misclassified": (data.test_inputs, data.test_targets, np.array(wrong[:SAMPLES])),
    }
    for name, (inputs, labels, indices) in sets.items():
        stored = measured.sel(sample_set=name).isel(checkpoint=position)
        n = len(indices)
        assert stored["sample_count"] == n
        assert list(stored["sample_index"][:n].values) == list(indices)
        assert list(stored["label"][:n].values) == list(labels[indices])
        expected = flatness.measure(network, torch.from_numpy(inputs[indices]))
        for variable in (
            "singular_value",
            "parameter_gradient_sq_norm",
            "input_norm",
            "network_output",
            "layer_input_norm",
            "layer_sensitivity",
            "layer_output_gradient_sq_norm",
        ):
            assert np.allclose(stored[variable][:n], expected[variable], rtol=1e-4, atol=1e-6)
            assert np.isnan(stored[variable][n:]).all()
        residual = expected["network_output"] - np.eye(10)[labels[indices]]
        assert np.allclose(stored["residual_norm"][:n], np.linalg.norm(residual, axis=1), atol=1e-5)
        assert np.isnan(stored["residual_norm"][n:]).all()
        assert (stored["sample_index"][n:] == -1).all()
        assert (stored["label"][n:] == -1).all()
        for norm in ("input_weight_spectral_norm", "input_weight_frobenius_norm"):
            assert np.isclose(measured[norm][position], expected[norm])
            assert measured[norm].attrs["input_weight"] == "1.weight"


def test_some_set_is_smaller_than_the_others(measured):
    """So that the padding above is really exercised."""
    assert (measured["sample_count"].sel(sample_set="misclassified") < SAMPLES).any()


def test_the_training_curve_is_in_the_file(folder, measured):
    record = read_run(folder / "trained").record
    for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        assert np.array_equal(measured[name], record[name])
    losses = record["minibatch_loss"].double().numpy()
    assert np.allclose(measured["minibatch_loss"], losses[:400].reshape(4, 100).mean(1))


def test_the_curvature_of_a_sample_is_the_same_in_every_set(measured):
    """A test sample that is misclassified is measured once."""
    at_start = measured.isel(checkpoint=0)
    test, wrong = (at_start.sel(sample_set=name) for name in ("test", "misclassified"))
    shared = np.intersect1d(test["sample_index"], wrong["sample_index"])
    assert len(shared) > 1
    for index in shared:
        found = [
            float(member["residual_curvature"][member["sample_index"] == index][0])
            for member in (test, wrong)
        ]
        assert found[0] == found[1] != 0


def test_a_middle_layer_has_a_file_of_its_own(folder, measured, tmp_path):
    measure_run(
        folder / "trained",
        folder / "digits.nc",
        tmp_path / "layer.nc",
        **{"dataset_name": "digits", "chunk_size": 100, "minibatch_window": 100},
        layer="1",
    )
    layer = read_dataset(tmp_path / "layer.nc")
    assert layer.attrs["layer"] == "1"
    assert layer.sizes["mode"] == PLAN.network["hidden_width"]
    assert list(layer["parameter"].values) == ["1.weight", "1.bias"]
    assert np.array_equal(layer["sample_index"], measured["sample_index"])
    assert "residual_curvature" not in layer
    assert np.isfinite(flatness.quantities(layer)["mls"]).all()


def test_quantities_skip_places_without_a_sample(measured):
    quantities = flatness.quantities(measured)
    assert quantities.sizes == {"checkpoint": 5, "sample_set": 3, "layer": 3}
    for name in (
        "sharpness",
        "log_volume",
        "mean_input_gradient_sq_norm",
        "mls",
        "local_dimension",
    ):
        assert np.isfinite(quantities[name]).all(), name


def test_provenance(folder, measured):
    attributes = measured.attrs
    assert attributes["run"] == "short"
    assert json.loads(attributes["settings"])["learning_rate"] == 0.1
    assert attributes["seed"] == 0
    assert attributes["threads"] == 1
    assert attributes["device"] == "cpu"
    assert attributes["diverged"] == 0
    assert attributes["dataset_checksum"] == load_prepared(folder / "digits.nc").checksum
    assert {"python", "torch", "numpy", "xarray", "netCDF4"} <= set(
        json.loads(attributes["versions"])
    )
    assert json.loads(attributes["training"])["code"] == "how trained"
    assert json.loads(attributes["measuring"]) == {
        **{"chunk_size": 100, "layer": None, "curvature": CURVATURE, "code": "how measured"}
    }
    assert attributes["commit"]


def test_a_second_measuring_gives_the_same_file(folder, tmp_path):
    again = tmp_path / "again.nc"
    measure_run(
        folder / "trained",
        folder / "digits.nc",
        again,
        **{"dataset_name": "digits", "chunk_size": 100, "minibatch_window": 100},
        curvature_options=CURVATURE,
        code="how measured",
    )
    assert again.read_bytes() == (folder / "measured.nc").read_bytes()


def test_a_diverged_run_is_marked_with_the_reason(folder, tmp_path):
    (tmp_path / "digits.nc").write_bytes((folder / "digits.nc").read_bytes())
    measured = read_dataset(_measure(tmp_path, replace(PLAN, learning_rate=1e6)))
    assert measured.attrs["diverged"] == 1
    assert measured.attrs["excluded_because"].startswith("the loss is not finite at iteration ")
    assert measured.sizes["checkpoint"] >= 1


def test_checkpoints_that_overflow_end_a_diverged_run_and_fail_a_sound_one(
    folder, tmp_path, monkeypatch
):
    import flatness.measurement.run as module

    (tmp_path / "digits.nc").write_bytes((folder / "digits.nc").read_bytes())
    real, calls = module.measure, []

    def overflow_at_the_second(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise MeasurementError("model: returned values that are not finite.")
        return real(*arguments, **options)

    monkeypatch.setattr(module, "measure", overflow_at_the_second)
    measured = read_dataset(_measure(tmp_path, replace(PLAN, learning_rate=1e6)))
    assert list(measured["iteration"]) == [0]
    assert measured.attrs["diverged"] == 1
    calls.clear()
    with pytest.raises(MeasurementError, match="not finite"):
        _measure(tmp_path, PLAN)


def test_damaged_checkpoint_is_named_and_not_used(folder, tmp_path):
    damaged = bytearray((folder / "trained").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "trained").write_bytes(damaged)
    with pytest.raises(StorageError, match=r"trained: checkpoint \d+ is damaged.*Delete the file"):
        measure_run(
            tmp_path / "trained",
            folder / "digits.nc",
            tmp_path / "out.nc",
            **{"dataset_name": "digits", "chunk_size": 100, "minibatch_window": 100},
        )
    assert not (tmp_path / "out.nc").exists()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0.1"], "0.1"),
        (['["a"]', "[]"], '["a"]'),
        (['["b"]', '["a", "b"]'], '["a", "b"]'),
        (['{"a": "x"}', '{"b": "y"}'], '{"a": "x", "b": "y"}'),
        (["exact", "16 random probes"], '["16 random probes", "exact"]'),
        (["exact", '["16 random probes", "exact"]'], '["16 random probes", "exact"]'),
        (["1", "2"], '["1", "2"]'),
        ([np.int64(1), np.int64(2)], "[1, 2]"),
        (['{"a": "x"}', '{"a": "y", "b": "x"}'], '{"a": ["x", "y"], "b": "x"}'),
        (['{"a": ["x", "y"]}', '{"a": "y"}'], '{"a": ["x", "y"]}'),
    ],
)
def test_attributes_that_differ_are_united(values, expected):
    """What checkpoints say of themselves stays what it was: a list stays a list."""
    attributes = [{"said": value} for value in values]
    assert united(attributes) == {"said": expected}


def test_reasons_are_told_once():
    said = [{"absent": "no layer"}, {"absent": "overflow"}, {"absent": "no layer; overflow"}]
    assert united(said) == {"absent": "no layer; overflow"}


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ([{"input_layer": "a"}, {"input_layer": "b"}], "is not the same in all: a, b"),
        ([{"input_layer": "a"}, {"absent": "none"}], "is not the same in all: a; none"),
        ([{"absent": "none"}, {"input_layer": "a"}], "none; .*is not the same in all: a"),
    ],
)
def test_what_rests_on_another_layer_is_absent(attributes, reason):
    found = united(attributes)
    assert set(found) == {"absent"}
    assert re.search(f"{reason}$", found["absent"])
    assert set(united([found, {"input_layer": "a"}])) == {"absent"}


def test_numbers_of_another_precision_do_not_go_together():
    with pytest.raises(ValueError, match="dtype: float32, float64"):
        united([{"dtype": "float32"}, {"dtype": "float64"}])

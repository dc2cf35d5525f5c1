"""Stored checkpoints of one's own."""

import numpy as np
import pytest
import torch

import flatness
from flatness import curvature, measure, measure_checkpoints
from flatness.errors import MeasurementError, NotFiniteError, StorageError
from tests.series import loop


@pytest.fixture
def trained():
    inputs, targets = loop.data()
    states = loop.train(loop.network(), None, 12)
    return dict(zip(range(0, 13, 4), states, strict=True)), inputs[:10], targets[:10]


def test_each_checkpoint_has_what_measure_and_curvature_give(trained, tmp_path):
    """From state dicts and from files, in the order of iterations."""
    states, inputs, targets = trained
    torch.save(states[8], tmp_path / "8.pt")
    mixed = {12: states[12], 8: tmp_path / "8.pt", 0: states[0], 4: states[4]}
    model = loop.network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = measure_checkpoints(model, mixed, inputs, targets)
    assert found["iteration"].to_numpy().tolist() == [0, 4, 8, 12]
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for position, state in enumerate(states.values()):
        one = loop.network()
        one.load_state_dict(state)
        alone = measure(one.eval(), inputs).merge(
            curvature(one, inputs, torch.nn.functional.one_hot(targets, 2).float())
        )
        for name in alone.data_vars:
            here = found[name].isel(checkpoint=position).to_numpy()
            np.testing.assert_array_equal(here, alone[name].to_numpy(), name)
    assert np.isfinite(flatness.quantities(found)["hessian_trace"]).all()


def test_options_are_those_of_measure(trained):
    states, inputs, _ = trained
    found = measure_checkpoints(loop.network(), states, inputs, only=("mls",))
    assert list(flatness.quantities(found)) == ["mls"]
    assert "residual_norm" not in found


@pytest.mark.parametrize(
    ("checkpoints", "message"),
    [
        ({}, "at least one"),
        ({"last": {}}, "'last' is no iteration"),
        ({1.5: {}}, "1.5 is no iteration"),
        ({-1: {}}, "-1 is no iteration"),
    ],
)
def test_mistakes_are_named(checkpoints, message):
    with pytest.raises(MeasurementError, match=message):
        measure_checkpoints(loop.network(), checkpoints, loop.data()[0])


def test_weights_are_tried_before_anything_is_measured(trained, monkeypatch):
    states, inputs, _ = trained
    measured = []
    monkeypatch.setattr(
        "flatness.series.measure_checkpoints.measure_one", lambda *given: measured.append(given)
    )
    wrong = states | {99: {"0.weight": torch.zeros(1)}}
    with pytest.raises(StorageError, match=r"checkpoints\[99\]"):
        measure_checkpoints(loop.network(), wrong, inputs)
    with pytest.raises(StorageError, match=r"nowhere\.pt"):
        measure_checkpoints(loop.network(), states | {99: "nowhere.pt"}, inputs)
    assert measured == []


def test_progress_goes_to_the_standard_error(trained, capsys):
    states, inputs, _ = trained
    measure_checkpoints(loop.network(), states, inputs, progress=True)
    assert "4.0 of 4 in" in capsys.readouterr().err
    measure_checkpoints(loop.network(), states, inputs)
    measure_checkpoints(loop.network(), states, inputs, progress=False)
    assert capsys.readouterr() == ("", "")


def test_a_list_of_files_will_do(trained, tmp_path):
    states, inputs, _ = trained
    for iteration, state in states.items():
        torch.save(state, tmp_path / f"{iteration}.pt")
    files = list(tmp_path.iterdir())
    assert measure_checkpoints(loop.network(), files, inputs).equals(
        measure_checkpoints(loop.network(), states, inputs)
    )


def test_a_checkpoint_that_diverged_is_left_out_with_a_warning(trained):
    states, inputs, _ = trained
    nothing = {
        name: value / 0 if value.is_floating_point() else value for name, value in states[4].items()
    }
    with pytest.warns(UserWarning, match=r"checkpoints\[4\] is left out: model: returned values"):
        found = measure_checkpoints(loop.network(), states | {4: nothing}, inputs)
    assert found["iteration"].to_numpy().tolist() == [0, 8, 12]
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(NotFiniteError, match="none has finite"),
    ):
        measure_checkpoints(loop.network(), {4: nothing}, inputs)

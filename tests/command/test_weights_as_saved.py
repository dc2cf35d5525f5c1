"""Weights as scripts and libraries save them: the same numbers as loaded by hand."""

import argparse
import copy
import json
import warnings

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from flatness.storage import read_dataset

FACTORIES = """
from torch import nn

import factories


class Around(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = factories.dense()

    def forward(self, x):
        return self.model(x)


def tied():
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(48, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)
    )
    network[5].weight = network[3].weight
    return network
"""


@pytest.fixture
def network(here):
    """What `factories.py:dense` makes, with other weights than any seed that is used here."""
    (here / "own.py").write_text(FACTORIES)
    torch.manual_seed(77)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(48, 5), nn.Dropout(0.5), nn.Tanh(), nn.Linear(5, 3)
    )


@pytest.fixture
def state(network):
    return network.state_dict()


@pytest.fixture
def other(state):
    """Other weights of the same shapes."""
    return {name: value + 1 for name, value in state.items()}


@pytest.fixture
def assert_same(here, measured):
    """A function: measure with the command; all numbers are those of the network given."""

    def check(network, *, attributes=None, **options):
        page = measured(**options)
        found = read_dataset(here / "out/found.nc")
        torch.save(network.state_dict(), here / "plain.pt")
        factory = {"factory": options["factory"]} if "factory" in options else {}
        measured(weights="plain.pt", output="out/plain.nc", **factory)
        expected = read_dataset(here / "out/plain.nc")
        # Against a pass of the network itself, too: the command may load both in one wrong way.
        images = torch.from_numpy(_pixels(here / "photos", found["image"].values))
        with torch.no_grad():
            outputs = copy.deepcopy(network).eval()(images)
        np.testing.assert_allclose(found["network_output"], outputs, rtol=1e-5)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)
        about = json.loads(found.attrs["weights"])
        assert {k: v for k, v in about.items() if k not in ("file", "sha256")} == (attributes or {})
        for note in (attributes or {}).get("notes", ()):
            assert note in page
        return about

    return check


def _pixels(folder, names):
    from PIL import Image

    arrays = [np.asarray(Image.open(folder / str(name)), dtype="float32") / 255 for name in names]
    return np.stack(arrays).transpose(0, 3, 1, 2).copy()


def _with(prefix, state):
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "model.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "model.module.",
        "model._orig_mod.",
        "module.model._orig_mod.",
    ],
)
def test_prefixes_of_wrappers_are_taken_off(here, network, state, assert_same, prefix):
    torch.save(_with(prefix, state), here / "w.pt")
    assert_same(network, weights="w.pt", attributes={"notes": [f"{prefix!r} taken off all names"]})


def test_compiled_parts_of_a_network(here, network, state, assert_same):
    names = {"1.weight": "1._orig_mod.weight", "1.bias": "1._orig_mod.bias"}
    torch.save({names.get(name, name): value for name, value in state.items()}, here / "w.pt")
    assert_same(network, weights="w.pt", attributes={"notes": ["'_orig_mod.' taken out of names"]})


def test_a_network_that_is_wrapped_itself(here, network, state, assert_same, measured):
    torch.save(_with("module.", state), here / "w.pt")
    measured(factory="own.py:Around", weights="w.pt")
    found = read_dataset(here / "out/found.nc")
    notes = json.loads(found.attrs["weights"])["notes"]
    assert notes == ["'module.' taken off all names", "'model.' put before all names"]
    images = torch.from_numpy(_pixels(here / "photos", found["image"].values))
    with torch.no_grad():
        expected = network.eval()(images)
    np.testing.assert_allclose(found["network_output"], expected, rtol=1e-5)


def test_a_prefix_is_left_where_taking_it_off_is_not_enough(here, state, refused):
    torch.save(_with("model.", state) | {"criterion.weight": torch.ones(3)}, here / "w.pt")
    line = refused(weights="w.pt")
    assert "unexpected criterion.weight, model.1.bias, model.1.weight and 2 more." in line
    assert line.endswith("begin with 'model.' fit: add --weights-prefix model..\n")


def test_the_prefix_that_was_advised(here, network, state, other, assert_same):
    torch.save(_with("student.", state) | _with("teacher.", other), here / "w.pt")
    assert_same(
        network, weights="w.pt", weights_prefix="student.", attributes={"prefix": "student."}
    )


def test_a_prefix_that_no_name_has(here, state, refused):
    torch.save(state, here / "w.pt")
    line = refused(weights="w.pt", weights_prefix="student.")
    assert line.startswith("--weights-prefix student.: no name in w.pt begins so. Allowed: ")


CHECKPOINTS = {
    "Lightning": (
        lambda state: {
            "epoch": 3,
            "global_step": 100,
            "pytorch-lightning_version": "2.5.0",
            "state_dict": _with("model.", state),
            "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": []}],
            "hyper_parameters": {"lr": 0.1},
        },
        {"entry": "state_dict", "notes": ["'model.' taken off all names"]},
    ),
    "options of a script": (
        lambda state: {"model": state, "args": argparse.Namespace(lr=0.1), "epoch": 3},
        {"entry": "model"},
    ),
    "model_state_dict": (
        lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {}}},
        {"entry": "model_state_dict"},
    ),
    "an average alone": (lambda state: {"ema": state}, {"entry": "ema"}),
    "an average in a wrapper": (
        lambda state: {
            "model_ema": {"state_dict": _with("module.", state), "decay": 0.999},
        },
        {"entry": "model_ema.state_dict", "notes": ["'module.' taken off all names"]},
    ),
    "of AveragedModel": (
        lambda state: {"n_averaged": torch.tensor(5)} | _with("module.", state),
        {
            "notes": [
                "n_averaged left out, as counters and no weights",
                "'module.' taken off all names",
            ]
        },
    ),
    "counters of operations": (
        lambda state: state | {"total_ops": torch.zeros(1), "1.total_params": torch.ones(1)},
        {"notes": ["total_ops, 1.total_params left out, as counters and no weights"]},
    ),
    "the same weights twice": (
        lambda state: {"model": state, "state_dict": {k: v.clone() for k, v in state.items()}},
        {"entry": "model", "notes": ["not state_dict, which --weights-entry chooses"]},
    ),
}


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_entries_of_checkpoints(here, network, state, assert_same, case):
    make, attributes = CHECKPOINTS[case]
    torch.save(make(state), here / "w.ckpt")
    assert_same(network, weights="w.ckpt", attributes=attributes)


@pytest.mark.parametrize("plain", ["state_dict", "model"])
@pytest.mark.parametrize("average", ["ema", "state_dict_ema", "model_ema", "ema_state_dict"])
def test_the_plain_weights_are_taken_unless_the_average_is_asked_for(
    here, network, state, other, assert_same, plain, average
):
    # The average comes first, so that order decides nothing.
    torch.save({average: other, plain: state}, here / "w.pt")
    said = {"entry": plain, "notes": [f"not {average}, which --weights-entry chooses"]}
    assert_same(network, weights="w.pt", attributes=said)
    averaged = copy.deepcopy(network)
    averaged.load_state_dict(other)
    for name in ("found.nc", "found.md", "plain.nc", "plain.md"):
        (here / "out" / name).unlink()
    assert_same(averaged, weights="w.pt", weights_entry=average, attributes={"entry": average})


def test_the_entry_that_fits_is_taken(here, network, state, assert_same):
    torch.save({"model": {"other": torch.ones(3)}, "ema": state}, here / "w.pt")
    said = {"entry": "ema", "notes": ["not model, which --weights-entry chooses"]}
    assert_same(network, weights="w.pt", attributes=said)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("model", "state_dict"), "model, state_dict would fit. Allowed: one of them. Choose with"),
        (("ema", "model_ema"), "ema, model_ema would fit. Allowed: one of them. Choose with"),
        (("gradient", "momentum"), "gradient, momentum would fit. Allowed: one of them."),
        (("gradient", "model"), "'model'"),
    ],
)
def test_entries_that_cannot_be_told_apart(here, state, other, refused, names, message):
    wrong = {"other": torch.ones(3)} if "'model'" in message else other
    torch.save({names[0]: state, names[1]: wrong}, here / "w.pt")
    line = refused(weights="w.pt")
    if "'model'" in message:
        assert "w.pt: gradient would fit, but may be something else. Allowed: one of them." in line
    else:
        assert message in line
    assert line.endswith(f"--weights-entry {names[0]}.\n")


def test_an_entry_that_is_not_there(here, state, refused):
    torch.save({"model": state, "ema": state}, here / "w.pt")
    line = refused(weights="w.pt", weights_entry="average")
    assert line == (
        "--weights-entry average: w.pt has no such entry of tensors. Allowed: model, ema. Choose "
        "one of these, or leave it out.\n"
    )


@pytest.mark.parametrize("option", ["weights_entry", "weights_prefix"])
def test_a_choice_without_a_file(refused, option):
    words = option.replace("_", "-")
    assert refused(**{option: "ema"}).startswith(f"--{words} ema: there is no file of weights.")


def test_tied_weights_that_safetensors_leaves_out(here, network, assert_same):
    torch.manual_seed(5)
    tied = nn.Sequential(
        nn.Flatten(), nn.Linear(48, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)
    )
    tied[5].weight = tied[3].weight
    safetensors.torch.save_model(tied, str(here / "w.safetensors"))
    assert len(safetensors.torch.load_file(here / "w.safetensors")) == 5
    about = assert_same(
        tied,
        weights="w.safetensors",
        factory="own.py:tied",
        attributes={"notes": ["5.weight is 3.weight, to which it is tied"]},
    )
    assert about["file"] == "w.safetensors"


def test_two_values_of_one_tied_parameter(here, network, refused):
    untied = nn.Sequential(
        nn.Flatten(), nn.Linear(48, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)
    )
    torch.save(untied.state_dict(), here / "w.pt")
    line = refused(weights="w.pt", factory="own.py:tied")
    assert "w.pt: has different values for 3.weight and 5.weight, which are one parameter" in line


def test_counts_of_updates_may_be_absent(here, measured):
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)
    )
    network[1].running_var.fill_(2.0)
    state = network.state_dict()
    del state["1.num_batches_tracked"]
    torch.save(state, here / "w.pt")
    measured(weights="w.pt", factory="factories.py:convolution")
    found = read_dataset(here / "out/found.nc")
    images = torch.from_numpy(_pixels(here / "photos", found["image"].values))
    with torch.no_grad():
        expected = network.eval()(images)
    np.testing.assert_allclose(found["network_output"], expected, rtol=1e-4)


@pytest.fixture
def sharded(here):
    """A function: write a state dict in two shards and an index."""

    def write(state, ending):
        stem = "model" if ending == "safetensors" else "pytorch_model"
        names = list(state)
        shards = {
            f"{stem}-00001-of-00002.{ending}": names[:1],
            f"{stem}-00002-of-00002.{ending}": names[1:],
        }
        (here / "saved").mkdir(exist_ok=True)
        for file, keys in shards.items():
            part = {key: state[key] for key in keys}
            if ending == "safetensors":
                safetensors.torch.save_file(part, here / "saved" / file)
            else:
                torch.save(part, here / "saved" / file)
        index = here / "saved" / f"{stem}.{ending}.index.json"
        listed = {key: file for file, keys in shards.items() for key in keys}
        index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": listed}))
        return index

    return write


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_an_index_of_shards(here, network, state, assert_same, sharded, sha256, ending):
    index = sharded(state, ending)
    shards = {file.name: sha256(file) for file in sorted(index.parent.glob(f"*-of-00002.{ending}"))}
    about = assert_same(
        network, weights=str(index.relative_to(here)), attributes={"shards": shards}
    )
    assert about["sha256"] == sha256(index)


@pytest.fixture
def sha256():
    import hashlib

    return lambda file: hashlib.sha256(file.read_bytes()).hexdigest()


def test_indices_that_do_not_agree_with_their_shards(here, state, refused, sharded):
    index = sharded(state, "safetensors")
    name = "saved/model.safetensors.index.json"
    whole = json.loads(index.read_text())
    more = {**whole["weight_map"], "more": "model-00001-of-00002.safetensors"}
    index.write_text(json.dumps({"weight_map": more}))
    assert "more is not in model-00001-of-00002.safetensors, where the index" in refused(
        weights=name
    )
    for elsewhere in ("../w.safetensors", "/etc/passwd", "", 3):
        index.write_text(json.dumps({"weight_map": {"a": elsewhere}}))
        assert f"names the shard {elsewhere!r}. Allowed: names of files that lie" in refused(
            weights=name
        )
    index.write_text("{}")
    assert "is JSON without the `weight_map` of an index." in refused(weights=name)
    index.write_text("{")
    assert "is no readable JSON (" in refused(weights=name)
    index.write_text(json.dumps(whole))
    (here / "saved/model-00002-of-00002.safetensors").unlink()
    line = refused(weights=name)
    assert "its shard saved/model-00002-of-00002.safetensors cannot be read (No such file" in line


def test_one_shard_and_a_folder_lead_to_the_index(here, state, refused, sharded):
    sharded(state, "safetensors")
    line = refused(weights="saved/model-00002-of-00002.safetensors")
    assert line.endswith("It is one of several shards: give their *.index.json.\n")
    line = refused(weights="saved")
    assert line.endswith("It is a folder: give --weights saved/model.safetensors.index.json.\n")


@pytest.mark.parametrize("name", ["w.bin", "w.pt", "w.ckpt", "w"])
def test_safetensors_under_any_name(here, network, state, assert_same, name):
    safetensors.torch.save_file(state, here / name)
    assert_same(network, weights=name)


def test_a_file_of_torch_that_is_called_safetensors(here, network, state, assert_same):
    torch.save(state, here / "w.safetensors")
    assert_same(network, weights="w.safetensors")


def _script(file):
    with warnings.catch_warnings(action="ignore"):
        torch.jit.script(nn.Linear(48, 3)).save(str(file))


def _export(file):
    program = torch.export.export(nn.Linear(48, 3), (torch.ones(1, 48),))
    torch.export.save(program, str(file.with_suffix(".pt2")))
    file.with_suffix(".pt2").rename(file)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda file: file.write_text("version https://git-lfs.github.com/spec/v1\noid"),
            r"is a pointer of Git LFS. Allowed: ",
        ),
        (lambda file: file.write_text("<!DOCTYPE html>"), "is a web page or XML. Allowed: "),
        (lambda file: file.write_bytes(b"\x1f\x8b\x08\x00"), "is compressed. Allowed: "),
        (_script, "is a TorchScript archive, which holds code. Allowed: "),
        (_export, "is an exported program, which holds code. Allowed: "),
    ],
)
def test_files_that_are_something_else(here, refused, write, message):
    write(here / "w.pt")
    assert f"--weights w.pt: {message}" in refused(weights="w.pt")

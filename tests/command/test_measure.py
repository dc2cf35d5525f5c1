"""The command gives the numbers of the library, with where they come from."""

import hashlib
import json
import subprocess
import sys

import pytest
import safetensors.torch
import torch
import xarray as xr
from PIL import Image
from torch import nn
from torchvision import transforms

import flatness
from flatness import provenance as provenance_module
from flatness.__main__ import main
from flatness.analysis import bounds as bounds_module
from flatness.glossary.primitives import PRIMITIVES
from flatness.storage import read_dataset


def _dense(seed, outputs=3, inputs=48):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, 5), nn.Dropout(0.5), nn.Tanh(), nn.Linear(5, outputs)
    )


def _inputs(photos, names, *steps):
    """As torchvision's transforms read them."""
    transform = transforms.Compose([*steps[:-1], transforms.ToTensor(), *steps[-1:]])
    return torch.stack([transform(Image.open(photos / name)) for name in names])


# Four of the six images of `photos`, in the order of their paths.
SPREAD = ["a.png", "a/10.png", "b.png", "c/d/1.BMP"]


def _as_is():
    return transforms.Normalize([0.0] * 3, [1.0] * 3)


def _assert_same_numbers(found: xr.Dataset, expected: xr.Dataset):
    xr.testing.assert_equal(found.drop_vars("image"), expected)
    for name, variable in expected.variables.items():
        assert found[name].attrs == variable.attrs, name


def test_the_numbers_are_those_of_the_library(here, photos, names, measured):
    measured(random_weights=5, arguments='{"outputs": 4}')
    found = read_dataset(here / "out/found.nc")
    network = _dense(5, outputs=4).eval()
    _assert_same_numbers(found, flatness.measure(network, _inputs(photos, names, _as_is())))
    assert found["image"].values.tolist() == names
    assert found["image"].attrs["formula"] == PRIMITIVES["image"].formula
    assert found.sizes == {"sample": 6, "mode": 4, "parameter": 4, "output": 4, "layer": 2}


def test_normalised_resized_and_in_double_precision(here, photos, names, measured):
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
    measured(
        arguments='{"inputs": 36}', samples=4, size=(4, 3), mean=mean, std=std, dtype="float64"
    )
    resize = transforms.Resize((4, 3), transforms.InterpolationMode.BILINEAR)
    # Divided by 255 in the dtype of the measurement, which ToTensor does in float32.
    pixels = _inputs(photos, SPREAD, resize, _as_is()).mul(255).round().double() / 255
    inputs = torch.stack([(pixels[:, c] - mean[c]) / std[c] for c in range(3)], dim=1)
    found = read_dataset(here / "out/found.nc")
    network = _dense(0, inputs=36).double().eval()
    _assert_same_numbers(found, flatness.measure(network, inputs))
    assert found.attrs["dtype"] == "float64"
    assert json.loads(found.attrs["normalisation"]) == {"divided_by": 255, "mean": mean, "std": std}


def test_normalised_in_single_precision(here, photos, names, measured):
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    measured(mean=mean, std=std)
    inputs = _inputs(photos, names, transforms.Normalize(mean, std))
    expected = flatness.measure(_dense(0).eval(), inputs)
    _assert_same_numbers(read_dataset(here / "out/found.nc"), expected)


def test_a_middle_layer(here, photos, names, measured):
    page = measured(layer="1", chunk_size=2)
    found = read_dataset(here / "out/found.nc")
    inputs = _inputs(photos, names, _as_is())
    expected = flatness.measure(_dense(0).eval(), inputs, layer="1", chunk_size=2)
    _assert_same_numbers(found, expected)
    assert found.attrs["layer"] == "1"
    assert found.sizes["output"] == 5
    assert "| layer         | 1, in the place of the network's output" in page


def test_grey_images_and_a_convolution_that_learns_its_size(here, measured):
    (here / "grey").mkdir()
    pixels = torch.arange(50, dtype=torch.uint8).reshape(2, 5, 5) * 5
    for k, image in enumerate(pixels):
        Image.fromarray(image.numpy()).save(here / f"grey/{k}.png")
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)
    )
    network[1].running_mean.normal_()
    torch.save(network.state_dict(), here / "weights.pt")
    measured(
        factory="factories.py:convolution",
        arguments='{"channels": 1}',
        weights="weights.pt",
        images="grey",
        channels=1,
    )
    expected = flatness.measure(network.eval(), pixels[:, None].float() / 255)
    _assert_same_numbers(read_dataset(here / "out/found.nc"), expected)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt", "weights.bin"])
def test_weights_from_a_file(here, photos, names, measured, name):
    network = _dense(8)
    if name.endswith(".safetensors"):
        safetensors.torch.save_file(network.state_dict(), here / name)
    else:
        torch.save(network.state_dict(), here / name)
    measured(weights=name)
    found = read_dataset(here / "out/found.nc")
    expected = flatness.measure(network.eval(), _inputs(photos, names, _as_is()))
    _assert_same_numbers(found, expected)
    sha256 = hashlib.sha256((here / name).read_bytes()).hexdigest()
    assert json.loads(found.attrs["weights"]) == {"file": name, "sha256": sha256}


def test_weights_in_double_precision_are_not_rounded(here, photos, names, measured):
    network = _dense(8).double()
    torch.save(network.state_dict(), here / "weights.pt")
    measured(weights="weights.pt", dtype="float64")
    pixels = _inputs(photos, names, _as_is()).mul(255).round().double() / 255
    expected = flatness.measure(network.eval(), pixels)
    _assert_same_numbers(read_dataset(here / "out/found.nc"), expected)


def test_where_the_numbers_come_from(here, photos, names, measured):
    measured(samples=4, random_weights=3, arguments='{"outputs": 2}')
    attributes = read_dataset(here / "out/found.nc").attrs
    listed = "".join(
        f"{hashlib.sha256((photos / name).read_bytes()).hexdigest()}  {name}\n" for name in SPREAD
    )
    images = json.loads(attributes["images"])
    assert images.pop("decoder").startswith("pillow ")
    assert images == {
        "folder": "photos",
        "found": 6,
        "measured": 4,
        "sha256": hashlib.sha256(listed.encode()).hexdigest(),
        "channels": 3,
        "height": 4,
        "width": 4,
        "resized": False,
    }
    sha256 = hashlib.sha256((here / "factories.py").read_bytes()).hexdigest()
    assert attributes["factory"] == "factories.py:dense"
    assert attributes["factory_sha256"] == sha256
    assert json.loads(attributes["factory_arguments"]) == {"outputs": 2}
    assert json.loads(attributes["weights"]) == {"random_seed": 3}
    assert (attributes["dtype"], attributes["device"], attributes["threads"]) == (
        "float32",
        "cpu",
        1,
    )
    assert "layer" not in attributes
    assert set(provenance_module.provenance()) <= set(attributes)


def test_the_same_command_gives_the_same_files(here, measured):
    measured(output="one/found.nc")
    measured(output="two/found.nc")
    for name in ("found.nc", "found.md"):
        assert (here / "one" / name).read_bytes() == (here / "two" / name).read_bytes()


def test_torchs_generator_is_left_as_it_was(measured):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    measured()
    assert torch.rand(1) == expected


def test_a_module_in_the_current_folder_from_another_process(here, command):
    words = command(factory="factories:dense", samples=2)
    result = subprocess.run(
        [sys.executable, "-m", "flatness", *words], capture_output=True, text=True, timeout=100
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (here / "out/found.md").read_text()
    assert read_dataset(here / "out/found.nc").sizes["sample"] == 2


def test_a_mistake_in_another_process(command):
    result = subprocess.run(
        [sys.executable, "-m", "flatness", *command(images="absent")],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("--images absent: no such folder. Allowed: ")


def test_existing_files_stay_unless_they_may_be_replaced(here, measured, refused):
    (here / "out").mkdir()
    for name in ("found.nc", "found.md"):
        (here / "out" / name).write_text("old")
        line = refused()
        assert f"--output out/{name}: exists." in line
        assert line.endswith("replace it with --overwrite.\n")
        assert (here / "out" / name).read_text() == "old"
        (here / "out" / name).unlink()
    (here / "out/found.nc").write_text("old")
    (here / "out/found.md").write_text("old")
    page = measured(overwrite=True)
    assert read_dataset(here / "out/found.nc").sizes["sample"] == 6
    assert (here / "out/found.md").read_text() == page
    assert sorted(file.name for file in (here / "out").iterdir()) == ["found.md", "found.nc"]


def test_outputs_that_cannot_be_written(here, refused):
    assert "--output found.txt. Allowed: a file name that ends with .nc" in refused(
        output="found.txt"
    )
    (here / "folder.nc").mkdir()
    assert "--output folder.nc: is a folder." in refused(output="folder.nc", overwrite=True)
    (here / "file").write_text("")
    line = refused(output="file/found.nc")
    assert "--output file/found.nc:" in line
    assert "is not a writable folder (Not a directory)" in line


def test_a_disk_that_takes_no_more(here, command, capsys, full_disk):
    with full_disk:
        code = main(command())
    assert code == 1
    line = capsys.readouterr().err
    assert line.startswith(
        ("out/found.md: cannot be written (", "out/found.nc: cannot be written (")
    )
    assert line.endswith("then start again; what is finished is kept.\n")
    assert line.count("\n") == 1
    assert list((here / "out").iterdir()) == []


def test_a_layer_that_is_not_there(refused):
    line = refused(layer="head")
    assert line == (
        "--layer head: no module of the network. Allowed: 0, 1, 2, 3, 4. Choose one of these, or "
        "leave it out.\n"
    )


def test_no_gpu(refused, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said = refused(device="cuda")
    assert "--device cuda: torch finds no usable GPU: " in said
    assert "Allowed here: cpu." in said


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
def test_on_a_gpu(here, photos, names, measured):
    measured(device="cuda", dtype="float64")
    found = read_dataset(here / "out/found.nc")
    pixels = _inputs(photos, names, _as_is()).mul(255).round().double() / 255
    expected = flatness.measure(_dense(0).double().eval(), pixels)
    xr.testing.assert_allclose(found.drop_vars("image"), expected, rtol=1e-10)
    assert found.attrs["device"] == torch.cuda.get_device_name()


def test_too_little_memory(command, capsys, monkeypatch):
    def starved(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("flatness.command.measure.measure_one", starved)
    assert main(command(chunk_size=7)) == 1
    assert capsys.readouterr().err == (
        "--chunk-size 7: 6 samples need more memory than cpu has. Allowed: 1 or more. Lower it, "
        "or choose --device cpu.\n"
    )


def test_numbers_that_contradict_a_theorem_are_written_and_refused(
    here, command, capsys, monkeypatch
):
    def wrong(network, inputs, targets, options):
        assert targets is None
        found = flatness.measure(network, inputs, **options)
        found["singular_value"] *= 1000
        return found

    monkeypatch.setattr("flatness.command.measure.measure_one", wrong)
    assert main(command()) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("factories.py:dense: inequality ")
    assert printed.err.count("\n") == 1
    page = (here / "out/found.md").read_text()
    assert " ".join(printed.err.split()) in " ".join(page.split())
    found = bounds_module.bounds(read_dataset(here / "out/found.nc"))
    assert found["slack"].min() < -1


def test_an_interruption_says_that_nothing_is_kept(command, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("flatness.command.measure.measure_one", interrupted)
    assert main(command()) == 130
    assert capsys.readouterr().err == (
        "Interrupted. The same command begins anew; of a single network nothing is kept.\n"
    )

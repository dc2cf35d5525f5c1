"""Files appear whole or not at all, and damage is noticed."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib.figure import Figure

from flatness.errors import StorageError
from flatness.experiment.checkpoints import Checkpoint, StateFolder
from flatness.figures.saving import save_figure
from flatness.storage import atomic_path, read_dataset, write_dataset


@pytest.fixture
def dataset():
    return xr.Dataset(
        {"value": (("row", "column"), np.array([[1.0, np.nan], [3, -np.inf]]))},
        coords={"name": ("row", np.array(["one", "two"], dtype=object))},
        attrs={"settings": "{}", "seed": 0},
    )


def test_what_is_written_reads_back(dataset, tmp_path):
    write_dataset(dataset, tmp_path / "new/file.nc")
    read = read_dataset(tmp_path / "new/file.nc")
    assert read.identical(dataset)
    assert "_FillValue" not in read["value"].encoding
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["file.nc"]


def test_names_of_no_entries_are_written(tmp_path):
    """As of a network that has no linear layer or convolution."""
    nothing = np.array([], dtype=object)
    dataset = xr.Dataset({"value": ("layer", np.empty(0))}, coords={"layer": nothing})
    write_dataset(dataset, tmp_path / "file.nc")
    assert read_dataset(tmp_path / "file.nc").sizes == {"layer": 0}


def test_equal_datasets_are_equal_files(dataset, tmp_path):
    write_dataset(dataset, tmp_path / "one.nc")
    time.sleep(1.1)  # no clock time may enter the file
    write_dataset(dataset, tmp_path / "two.nc")
    assert (tmp_path / "one.nc").read_bytes() == (tmp_path / "two.nc").read_bytes()


def test_floating_point_arrays_are_compressed_without_loss(tmp_path):
    numbers = np.linspace(0, 1, 10_000)
    images = np.arange(10_000, dtype=np.int64)
    dataset = xr.Dataset(
        {
            "curve": ("window", numbers),
            "image": ("window", images),
            "norm": 0.5,
            "none": (("window", "layer"), np.empty((10_000, 0))),
        }
    )
    write_dataset(dataset, tmp_path / "file.nc")
    read = read_dataset(tmp_path / "file.nc")
    assert read.identical(dataset)
    assert {name for name, variable in read.items() if variable.encoding["zlib"]} >= {"curve"}
    assert not read["image"].encoding["zlib"]
    assert (tmp_path / "file.nc").stat().st_size < numbers.nbytes + images.nbytes


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail_midway():
        with atomic_path(path) as temporary:
            temporary.write_text("ne")
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail_midway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _write_measurements(path):
    values = np.random.default_rng(0).random(4000)
    write_dataset(xr.Dataset({"value": ("sample", values)}), path)


def _save_checkpoint(path):
    weights = {"weight": torch.randn(4000)}
    StateFolder(path.parent / "state", {"run": "one"}).save(Checkpoint(0, weights, {}))


def _save_figure(path):
    figure = Figure()
    figure.subplots().plot(np.random.default_rng(0).random(3000))
    save_figure(figure, f"{path}.png", f"{path}.pdf")


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_dataset(
            xr.Dataset({"v": ("n", np.random.default_rng(0).random(4000))}), path
        ),
        _save_checkpoint,
        _save_figure,
    ],
    ids=["netcdf", "checkpoint", "figure"],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(write, tmp_path, full_disk):
    with full_disk, pytest.raises(StorageError, match=r"cannot be written \(.*Make room") as raised:
        write(tmp_path / "file.nc")
    assert "\n" not in str(raised.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_files_are_as_readable_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "file.txt") as temporary:
            temporary.write_text("text")
            temporary.chmod(0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o640


def test_a_killed_writer_never_leaves_half_a_file_under_the_final_name(tmp_path):
    path = tmp_path / "file.bin"
    code = (
        "from flatness.storage import atomic_path\n"
        "while True:\n"
        f"    with atomic_path({str(path)!r}) as p:\n"
        "        with open(p, 'wb') as f:\n"
        "            for _ in range(64): f.write(b'x' * 65536); f.flush()\n"
    )
    for attempt in range(5):
        writer = subprocess.Popen([sys.executable, "-c", code])
        while not path.with_name(f".file.{writer.pid}.partial.bin").exists():
            time.sleep(0.001)
        time.sleep(0.1 + 0.07 * attempt)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert not path.exists() or path.stat().st_size == 64 * 65536
    assert path.exists()


def test_absent_and_damaged_files_are_named(dataset, tmp_path):
    path = tmp_path / "file.nc"
    with pytest.raises(StorageError, match=r"file\.nc: no such file\. Check the name"):
        read_dataset(path)
    write_dataset(dataset, path)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"text", b"\0" * 100 + whole[100:]):
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match=r"file\.nc: is no readable netCDF file.*Delete it"):
            read_dataset(path)

"""How time and memory of measuring grow with what is measured."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

import flatness
from flatness.experiment.networks import build
from flatness.experiment.prepared import prepare as prepare_dataset
from flatness.experiment.training import train
from flatness.measurement.run import measure_run
from tests.benchmarks.memory import peak
from tests.benchmarks.rows import Row, Tables
from tests.benchmarks.timing import compare
from tests.benchmarks.training import plan

SAMPLES = (25, 50, 100, 200, 400)
OUTPUTS = (2, 4, 8, 16, 32)
WIDTHS = (128, 256, 512, 1024)
DIGITS = {
    "source": "digits",
    "classes": "all",
    "outputs": 10,
    "normalisation": "none",
    "samples": 100,
    "sample_seed": 0,
}
CHECKPOINTS = (3, 6, 12, 24)


def comparisons() -> Tables:
    """Time and peak memory at each size, and the exponent that fits them best."""
    tables = {
        **_of_measure("samples of VGG10 32x32x3", "vgg10", "samples", SAMPLES),
        **_of_measure("outputs of VGG10 32x32x3", "vgg10", "outputs", OUTPUTS),
        **_of_measure("width of the MLP", "mlp", "width", WIDTHS),
    }
    with TemporaryDirectory() as folder:
        runs = {count: _trained(Path(folder), count) for count in CHECKPOINTS}
        ways = {str(count): partial(_measure, *run) for count, run in runs.items()}
        rows = compare(ways, str(CHECKPOINTS[0]), rounds=7, warm_up=1)
        sizes = [peak(_prepare_run, *run) for run in runs.values()]
    return tables | _grown("checkpoints of a run", CHECKPOINTS, rows, sizes)


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """b of the power a size^b that fits best, by least squares of logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def prepare(network: str, changed: str, size: int) -> tuple[Callable, Callable]:
    """A call that measures one sample, and one that measures all, with one thing of a given size.

    Args:
        network: "vgg10" or "mlp".
        changed: "samples", "outputs" or "width", which are 100, 10 and 500 otherwise.
        size: of that.
    """
    chosen = {"samples": 100, "outputs": 10, "width": 500} | {changed: size}
    shape = (3, 32, 32) if network == "vgg10" else (1, 28, 28)
    options = {"hidden_width": chosen["width"]} if network == "mlp" else {}
    model = build({"name": network, **options}, shape, chosen["outputs"], 0).eval()
    inputs = torch.rand(chosen["samples"], *shape, generator=torch.Generator().manual_seed(0))
    if network == "vgg10":
        model, inputs = (x.to(memory_format=torch.channels_last) for x in (model, inputs))
    return partial(flatness.measure, model, inputs[:1]), partial(flatness.measure, model, inputs)


def _of_measure(title: str, network: str, changed: str, sizes: Sequence[int]) -> Tables:
    ways = {str(size): prepare(network, changed, size)[1] for size in sizes}
    rows = compare(ways, str(sizes[0]), rounds=7, warm_up=1)
    return _grown(title, sizes, rows, [peak(prepare, network, changed, size) for size in sizes])


def _grown(title: str, sizes: Sequence[int], times: list[Row], peaks: list[float]) -> Tables:
    memory = [
        Row(str(size), value, "MiB", value / peaks[0])
        for size, value in zip(sizes, peaks, strict=True)
    ]
    return {
        f"{what} against {title}": [
            *rows,
            Row("exponent", exponent(sizes, [row.value for row in rows]), ""),
        ]
        for what, rows in (("time", times), ("peak memory", memory))
    }


def _trained(folder: Path, checkpoints: int) -> tuple[str, str, str]:
    """Checkpoints of a run, its dataset, and where its measurements go."""
    dataset, run = folder / "digits.nc", folder / f"{checkpoints}.safetensors"
    if not dataset.exists():
        prepare_dataset(DIGITS, folder, False, dataset, {})
    # Iterations 0 and 1 are checkpoints besides.
    schedule = {"iterations": 150, "early_checkpoints": 1, "late_checkpoints": checkpoints - 2}
    train(plan("mlp", 20, **schedule), dataset, run, folder / "state")
    return str(run), str(dataset), str(folder / f"{checkpoints}.nc")


def _prepare_run(*run: str) -> tuple[Callable, Callable]:
    return partial(_measure, *run), partial(_measure, *run)


def _measure(run: str, dataset: str, output: str) -> None:
    measure_run(run, dataset, output, dataset_name="digits", chunk_size=100, minibatch_window=10)

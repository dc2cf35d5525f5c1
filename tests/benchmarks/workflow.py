"""What the workflow costs beside the computing: the demo, and dry runs of many runs."""

import csv
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from flatness.settings import read_configuration
from tests.benchmarks.growth import exponent
from tests.benchmarks.rows import Row, Tables

ROOT = Path(__file__).parents[2]
CORES = 2
# Seeds of each of the demo's settings; runs are the settings times these.
SEEDS = (5, 100, 1000)
COMPUTING = ("train_run", "measure_run", "measure_layer")


def comparisons() -> Tables:
    """The demo's wall time over its computing time, and dry runs over the number of runs."""
    return {"demo": demo(), "`snakemake -n`": dry_runs()}


def demo(target: str = "all", configuration: Path = ROOT / "config/demo.yaml") -> list[Row]:
    """Wall time on two cores, over half the summed time of training and measuring jobs."""
    with TemporaryDirectory() as folder:
        settings = read_configuration([configuration])
        started = time.perf_counter()
        _snakemake(settings, Path(folder), "--cores", str(CORES), target)
        wall = time.perf_counter() - started
        jobs = job_seconds(Path(folder) / settings["folders"]["results"] / settings["name"])
    computing = sum(jobs.get(rule, 0.0) for rule in COMPUTING) / CORES
    rows = [Row("wall time", wall, "s", wall / computing)]
    return rows + [Row(f"jobs of {rule}", total, "s") for rule, total in jobs.items()]


def dry_runs(seeds: tuple[int, ...] = SEEDS) -> list[Row]:
    """Wall time of each, and the exponent from one to the next."""
    settings = read_configuration([ROOT / "config/demo.yaml"])
    counts, times, rows = [], [], []
    for count in seeds:
        for study in settings["studies"].values():
            study["seeds"] = list(range(count))
        runs = sum(len(study["sweep"]) * count for study in settings["studies"].values())
        with TemporaryDirectory() as folder:
            started = time.perf_counter()
            _snakemake(settings, Path(folder), "--dry-run")
            times.append(time.perf_counter() - started)
        counts.append(runs)
        rows.append(Row(f"{runs} runs", times[-1], "s"))
        if len(counts) > 1:
            between = f"exponent, {counts[-2]} to {runs} runs"
            rows.append(Row(between, exponent(counts[-2:], times[-2:]), ""))
    return rows


def job_seconds(results: Path) -> dict[str, float]:
    """By rule, the summed wall time of its jobs, from Snakemake's own benchmark files."""
    total: dict[str, float] = {}
    for path in sorted((results / "benchmarks").rglob("*.tsv")):
        rule = path.relative_to(results / "benchmarks").parts[0]
        with path.open() as file:
            last = list(csv.DictReader(file, delimiter="\t"))[-1]
        total[rule] = total.get(rule, 0.0) + float(last["s"])
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def _snakemake(settings: dict, folder: Path, *arguments: str) -> None:
    """Run the workflow of this repository in a folder of its own."""
    configuration = folder / "configuration.yaml"
    configuration.write_text(yaml.safe_dump(settings))
    # Snakemake gives each job as many threads as its rule says.
    ours = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), *arguments, "--quiet", "all"]
    command += ["--configfile", str(configuration)]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment)
    if finished.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{finished.stderr}")

"""What can be known to fail before any job starts, without loading torch."""

from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from flatness.errors import DatasetError, DeviceError, SettingsError
from flatness.experiment.datasets import (
    check_at_hand,
    describe,
    from_torchvision,
    input_shape,
    outputs_of_labels,
    selected_labels,
)
from flatness.experiment.networks import build
from flatness.jobs.nvidia_driver import visible_gpus
from flatness.settings.datasets import Dataset
from flatness.settings.model import Settings
from flatness.writable import obstacle

_CONNECT_SECONDS = 15


def check_datasets(settings: Settings, place: str) -> None:
    """Compare the configuration with what its datasets hold.

    An absent image folder is passed over here: it is missed only where it is needed
    (see `check_source`).

    Raises:
        SettingsError: a class does not exist, outputs or samples do not fit, or a batch
            is larger than the training set; one line per mistake.
    """
    problems = [
        f"{place}: {problem}"
        for name, dataset in settings.datasets.items()
        for problem in _dataset_problems(settings, name, dataset)
    ]
    if problems:
        raise SettingsError("\n".join(problems))


def check_source(name: str, settings: Settings, place: str) -> None:
    """See whether a dataset that has to be prepared is there or may be downloaded.

    Raises:
        SettingsError: it is neither.
    """
    dataset, data = settings.datasets[name].model_dump(), Path(settings.folders.data)
    try:
        check_at_hand(dataset, data, settings.download)
    except DatasetError as error:
        raise SettingsError(f"{place}: datasets.{name}: {error}") from None


def check_results_folder(settings: Settings, place: str) -> None:
    """See whether the results folder can be written to, without leaving anything there.

    Raises:
        SettingsError: it cannot.
    """
    problem = obstacle(Path(settings.folders.results, settings.name))
    if problem:
        raise SettingsError(
            f"{place}: folders.results = {settings.folders.results!r} cannot be written to: "
            f"{problem}. Allowed: a folder that you may write to. Choose another, or change its "
            "permissions."
        )


def check_middle_layers(settings: Settings, place: str) -> None:
    """Compare the middle layers asked for with the modules of the networks.

    Loads torch, but only where there are any.

    Raises:
        SettingsError: a network has no module of that name.
    """
    for name, study in settings.studies.items():
        if not study.middle_layers:
            continue
        dataset = settings.datasets[study.dataset]
        network = build(
            study.network.model_dump(), input_shape(dataset.model_dump()), dataset.outputs, 0
        )
        modules = [module for module, _ in network.named_modules() if module]
        for layer in study.middle_layers:
            if layer not in modules:
                raise SettingsError(
                    f"{place}: studies.{name}.middle_layers = {layer!r} is no module of "
                    f"{study.network.name}. Allowed: {', '.join(modules)}. Name some of these."
                )


def check_device(device: str, place: str) -> None:
    """Ask the NVIDIA driver whether there is a GPU, if one is demanded.

    Raises:
        DeviceError: there is none.
    """
    if device == "cuda" and visible_gpus() == 0:
        raise DeviceError(
            f"{place}: device = 'cuda', but this machine has no usable NVIDIA GPU. Allowed here: "
            "auto, cpu. Set device to one of these, or run where there is a GPU and its driver."
        )


def check_no_job_arrays(rules: str | None) -> None:
    """Refuse job arrays of SLURM.

    The plugin drops jobs that it would rather submit together with others that are not ready, but
    Snakemake waits for them: with more runs than `jobs` nothing is ever submitted.

    Args:
        rules: those that the plugin was asked to submit as arrays.

    Raises:
        SettingsError: there are any.
    """
    if rules:
        raise SettingsError(
            f"slurm-array-jobs = {rules!r} would wait for ever: the plugin keeps jobs back until "
            "all of a rule are ready. Allowed: no job arrays. Leave it out; for many short runs "
            "use `sbatch slurm/side_by_side.sh` (docs/cluster.md)."
        )


def check_network(name: str, settings: Settings, place: str) -> None:
    """Ask whether archives that are absent can be fetched from where they are published.

    Raises:
        DatasetError: they cannot.
    """
    dataset = settings.datasets[name]
    found = describe(dataset.model_dump(), Path(settings.folders.data))
    if not found.absent:
        return
    archive = found.absent[0]
    try:
        url = from_torchvision.sources(dataset.dataset)[archive][0]
    except ModuleNotFoundError:
        return  # torchvision may be where the job runs; if not, the job says so
    try:
        urlopen(Request(url, method="HEAD"), timeout=_CONNECT_SECONDS).close()
    except HTTPError:
        pass  # a server that answers at all is reachable
    except (URLError, OSError) as error:
        raise DatasetError(
            f"{place}: {Path(settings.folders.data) / archive} is absent and {url} cannot be "
            f"reached ({error}). Allowed: a data folder with the archives of {dataset.dataset}, "
            "or a network. Set folders.data to a folder that holds them, or connect and try again."
        ) from None


def _dataset_problems(settings: Settings, name: str, dataset: Dataset) -> Iterator[str]:
    where = f"datasets.{name}"
    source = dataset.model_dump()
    try:
        found = describe(source, Path(settings.folders.data))
    except DatasetError:
        return
    classes = len(found.class_names)
    labels = selected_labels(source, classes)
    if labels[-1] >= classes:
        listed = ", ".join(f"{k} {class_name}" for k, class_name in enumerate(found.class_names))
        yield (
            f"{where}.classes = {labels[-1]} is no class label. Allowed: {listed}. "
            "Name labels of these."
        )
        return
    try:
        outputs_of_labels(labels, dataset.outputs)
    except ValueError as error:
        yield (
            f"{where}.outputs = {dataset.outputs} does not fit {len(labels)} classes with labels "
            f"up to {labels[-1]}. Allowed: {error}. Change it."
        )
    train = sum(found.train_counts[label] for label in labels)
    test = sum(found.test_counts[label] for label in labels)
    if dataset.samples > min(train, test):
        yield (
            f"{where}.samples = {dataset.samples} is more than there are images. Allowed: 1 to "
            f"{min(train, test)}. Lower it."
        )
    for study_name, study in settings.studies.items():
        for position, setting in enumerate(study.sweep):
            if study.dataset == name and setting.batch_size > train:
                yield (
                    f"studies.{study_name}.sweep[{position}].batch_size = {setting.batch_size} is "
                    f"larger than the training set of {name!r}. Allowed: 1 to {train}. Lower it."
                )

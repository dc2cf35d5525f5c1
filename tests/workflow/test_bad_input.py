"""Each mistake of a user gives one clear line before any job starts."""

import re
import shutil
from pathlib import Path

import pytest


def _set(*path):
    """A change of the configuration: the last element is put at the path of the others."""
    *keys, last, value = path

    def change(config):
        for key in keys:
            config = config[key]
        if isinstance(config, list) and last == "append":
            config.append(value)
        else:
            config[last] = value

    return change


SWEEP = ("studies", "mlp", "sweep")
DIGITS = ("datasets", "digits")
FASHION = {"source": "torchvision", "dataset": "FashionMNIST", "outputs": 10}

# name: (change, what the line says)
REFUSED = {
    "unknown key": (
        _set("studies", "mlp", "itertions", 3),
        r"studies\.mlp\.itertions is not a known key\. Allowed here: network, .*"
        r"Did you mean 'iterations'\?",
    ),
    "wrong type": (
        _set("studies", "mlp", "iterations", "many"),
        r"studies\.mlp\.iterations = 'many' is not allowed \(Length of every run\)\. "
        r"Allowed: a valid integer\. Change it\.",
    ),
    "learning rate of zero": (
        _set(*SWEEP, 0, "learning_rate", 0),
        r"studies\.mlp\.sweep\[0\]\.learning_rate = 0 is not allowed .*Allowed: greater than 0",
    ),
    "negative learning rate": (
        _set(*SWEEP, 1, "learning_rate", -0.1),
        r"studies\.mlp\.sweep\[1\]\.learning_rate = -0\.1 is not allowed",
    ),
    "batch larger than the dataset": (
        _set(*SWEEP, 0, "batch_size", 1438),
        r"studies\.mlp\.sweep\[0\]\.batch_size = 1438 is larger than the training set of "
        r"'digits'\. Allowed: 1 to 1437\. Lower it\.",
    ),
    "unknown network": (
        _set("studies", "mlp", "network", "name", "resnet"),
        r"studies\.mlp\.network\.name = 'resnet' is unknown\. Allowed: 'mlp', 'vgg10'",
    ),
    "unknown network option": (
        _set("studies", "mlp", "network", "depth", 3),
        r"studies\.mlp\.network\.depth is not a known key\. Allowed here: name, activation",
    ),
    "unknown dataset": (
        _set("studies", "mlp", "dataset", "mnist"),
        r"studies\.mlp\.dataset = 'mnist' is not a dataset\. Allowed: digits\.",
    ),
    "unknown source": (
        _set(*DIGITS, "source", "web"),
        r"datasets\.digits\.source = 'web' is unknown\. Allowed: 'torchvision', 'image_folder'",
    ),
    "unknown torchvision dataset": (
        _set("datasets", "more", FASHION | {"dataset": "ImageNet"}),
        r"datasets\.more\.dataset = 'ImageNet' is unknown .*Allowed: 'CIFAR10' or 'FashionMNIST'",
    ),
    "unknown loss": (
        _set("studies", "mlp", "loss", "huber"),
        r"studies\.mlp\.loss = 'huber' is unknown .*Allowed: 'mse', 'half_squared_error'",
    ),
    "figure without a kind": (
        _set("figures", "fig12", {"study": "mlp", "compare": "learning_rate", "fixed": 20}),
        r"figures\.fig12\.kind is missing\. Allowed: trends, test_samples, chain, pair_grid, slack",
    ),
    "figure of an unknown kind": (
        _set("figures", "fig1", "kind", "trend"),
        r"figures\.fig1\.kind = 'trend' is unknown\. Allowed: 'trends', 'test_samples', 'chain', ",
    ),
    "figure with the name of another target": (
        _set("figures", "claims", {"kind": "lemma", "studies": ["mlp"]}),
        r"figures\.claims: is the name of another target\. Allowed: any name but all, ",
    ),
    "figure with a title that pages cannot show": (
        _set("figures", "fig1", "title", "two\nlines"),
        r"figures\.fig1\.title = 'two\\nlines' is no usable name\. Allowed: words without line",
    ),
    "figure of an unknown study": (
        _set("figures", "fig1", "study", "vgg"),
        r"figures\.fig1\.study = 'vgg' is not a study\. Allowed: mlp",
    ),
    "figure of a setting that is not in the sweep": (
        _set("figures", "fig1", "fixed", 8),
        r"figures\.fig1\.fixed = 8 is no batch_size of study 'mlp'\. Allowed: 20\.",
    ),
    "figure of a setting that was not trained": (
        _set(
            "figures",
            "figD4",
            {"kind": "chain", "study": "mlp", "learning_rate": 0.1, "batch_size": 8},
        ),
        r"figures\.figD4: learning_rate 0\.1 with batch_size 8 is no setting of study 'mlp'\. "
        r"Allowed: 0\.1 and 20; 0\.2 and 20\. Choose one",
    ),
    "figure of an unknown quantity": (
        _set(
            "figures",
            "figD5",
            {"kind": "pair_grid", "study": "mlp", "quantities": ["mls", "flatness"]},
        ),
        r"figures\.figD5\.quantities\[1\] = 'flatness' is no quantity .*Allowed: train_loss, .*"
        r"Did you mean 'relative_flatness'\?",
    ),
    "figure of a single quantity": (
        _set("figures", "figD5", {"kind": "pair_grid", "study": "mlp", "quantities": ["mls"]}),
        r"figures\.figD5\.quantities has 1 entry.*Allowed: at least 2 entries\. Add more\.",
    ),
    "figure of a seed that was not trained": (
        _set("figures", "figD5", {"kind": "pair_grid", "study": "mlp", "seeds": [0, 7]}),
        r"figures\.figD5\.seeds = 7 is no seed of study 'mlp'\. Allowed: 0, 1\.",
    ),
    "figure of no seed": (
        _set("figures", "figD5", {"kind": "pair_grid", "study": "mlp", "seeds": []}),
        r"figures\.figD5\.seeds is empty .*Allowed: at least one entry",
    ),
    "figure of several studies, one unknown": (
        _set("figures", "figS3", {"kind": "lemma", "studies": ["mlp", "vgg"]}),
        r"figures\.figS3\.studies = 'vgg' is not a study\. Allowed: mlp",
    ),
    "claims on an unknown study": (
        _set("claims", {"mlp": "vgg"}),
        r"claims\.mlp = 'vgg' is not a study\. Allowed: mlp\. Name one of these, or leave mlp ",
    ),
    "power below one": (
        _set("analysis", {"bound_powers": [0.5]}),
        r"analysis\.bound_powers\[0\] = 0\.5 is not allowed.*greater than or equal to 1",
    ),
    "a single probe": (
        _set("measuring", {"hessian_probes": 1}),
        r"measuring\.hessian_probes = 1 is not allowed.*greater than or equal to 2",
    ),
    "class label that does not exist": (
        _set(*DIGITS, "classes", [0, 10]),
        r"datasets\.digits\.classes = 10 is no class label\. Allowed: 0 0, 1 1, .*9 9\.",
    ),
    "outputs that do not fit": (
        _set(*DIGITS, "outputs", 9),
        r"datasets\.digits\.outputs = 9 does not fit 10 classes .*Allowed: 10, or at least 10",
    ),
    "more samples than images": (
        _set(*DIGITS, "samples", 361),
        r"datasets\.digits\.samples = 361 is more than there are images\. Allowed: 1 to 360",
    ),
    "empty sweep": (
        _set("studies", "mlp", "sweep", []),
        r"studies\.mlp\.sweep is empty .*Allowed: at least one entry\. Add one\.",
    ),
    "duplicate quantity": (
        _set(
            "figures", "figD5", {"kind": "pair_grid", "study": "mlp", "quantities": ["mls", "mls"]}
        ),
        r"figures\.figD5\.quantities has 'mls' twice\. Remove one of the two",
    ),
    "no seeds": (_set("studies", "mlp", "seeds", []), r"studies\.mlp\.seeds is empty"),
    "no studies": (_set("studies", {}), r"studies is empty"),
    "duplicate run": (
        _set(*SWEEP, "append", {"learning_rate": 0.10, "batch_size": 20}),
        r"studies\.mlp\.sweep has learning_rate 0\.1 with batch_size 20 twice\. Remove one",
    ),
    "duplicate seed": (_set("studies", "mlp", "seeds", [1, 1]), r"seeds has seed 1 twice"),
    "name that leaves the results folder": (
        _set("name", "../elsewhere"),
        r"name = '\.\./elsewhere' is no usable name\. Allowed: letters, digits",
    ),
    "unwritable results folder": (
        _set("folders", "results", "/proc/results"),
        r"folders\.results = '/proc/results' cannot be written to: /proc is not a writable folder",
    ),
    "number that is a text": (
        _set(*SWEEP, 0, "learning_rate", "0.1"),
        r"learning_rate = '0\.1' is not allowed .*It is a text; write 0\.1, without quotes\.",
    ),
    "list where a number belongs": (
        _set("studies", "mlp", "seeds", 3),
        r"studies\.mlp\.seeds = 3 is not allowed .*Allowed: a list\.",
    ),
    "class label below zero": (
        _set(*DIGITS, "classes", [0, -1]),
        r"datasets\.digits\.classes\[1\] = -1 is not allowed\. Allowed: greater than or equal to 0",
    ),
    "seed that is too large": (
        _set("studies", "mlp", "seeds", [2**64]),
        r"studies\.mlp\.seeds\[0\] = 18446744073709551616 is not allowed",
    ),
}

# Found while the graph is built, because only what is needed must be there.
ABSENT = {
    "data root without the dataset, no download": (
        _set(*DIGITS[:1], "digits", FASHION),
        r"datasets\.digits: data/FashionMNIST/raw/train-images-idx3-ubyte\.gz is absent, and "
        r"`download` is false\..*Set folders\.data",
    ),
    "image folder that does not exist": (
        _set(*DIGITS[:1], "digits", {"source": "image_folder", "path": "pictures", "outputs": 2}),
        r"datasets\.digits: pictures/train: no such folder\..*Correct the dataset's `path`",
    ),
    "class folders that do not exist": (
        _set(*DIGITS[:1], "digits", FASHION | {"image_folder": "pictures"}),
        r"datasets\.digits: pictures/train: no such folder\..*Correct the dataset's `image_folder`",
    ),
}


def _one_line(result, message):
    assert result.returncode != 0
    everything = result.stdout + result.stderr
    assert "Traceback" not in everything
    lines = [line for line in everything.splitlines() if re.search(message, line)]
    assert len(lines) == 1, everything
    assert "config.yaml: " in lines[0]
    assert re.search("Allowed|Did you mean|Remove one", lines[0])
    return everything


@pytest.mark.parametrize("case", REFUSED)
def test_refused_while_the_configuration_is_read(workflow, case):
    change, message = REFUSED[case]
    change(workflow.config)
    result = workflow.run("--cores", "1")
    everything = _one_line(result, message)
    assert len(everything.strip().splitlines()) == 1, everything
    assert not (workflow.folder / "results").exists()


@pytest.mark.parametrize("case", ABSENT)
def test_a_dataset_that_is_needed_and_absent(workflow, case):
    change, message = ABSENT[case]
    change(workflow.config)
    everything = _one_line(workflow.run("--cores", "1"), message)
    assert "Execute" not in everything


def test_a_dataset_that_is_not_needed_may_be_absent(workflow, finished):
    workflow.config["datasets"]["fashion"] = FASHION
    workflow.succeed("--cores", "1", "--dry-run", "fig1")
    shutil.copytree(finished, workflow.folder, dirs_exist_ok=True)
    assert workflow.planned("--cores", "1") == {}


def test_numbers_with_special_characters_name_runs(workflow):
    """A run's id holds a dot, and may hold a plus; neither is a wildcard's pattern."""
    workflow.study["sweep"] = [{"learning_rate": 1e16, "batch_size": 20}]
    workflow.config["figures"] = {}
    assert workflow.planned("--cores", "1")["train_run"] == 2
    other = "results/small/measurements/mlp_lr1ex16_bs20_seed0.nc"
    _one_line(
        workflow.run("--cores", "1", "--dry-run", other), "'mlp_lr1ex16_bs20_seed0' is no run"
    )


def test_several_mistakes_give_a_line_each(workflow):
    workflow.config["devise"] = "cpu"
    workflow.study["loss"] = "huber"
    result = workflow.run("--cores", "1")
    assert result.returncode != 0
    assert len(result.stderr.strip().splitlines()) == 2


@pytest.mark.parametrize("name", ["fig9", "Fig1", "fig-1", "tabels"])
def test_unknown_target_on_the_command_line(workflow, name):
    everything = _one_line(
        workflow.run("--cores", "1", name),
        rf"'{name}' is no target\. Allowed: all, measurements, tables, claims, part, publish, "
        "figures, fig1, ",
    )
    assert "Training" not in everything


def test_a_middle_layer_that_the_network_does_not_have(workflow):
    workflow.study["middle_layers"] = ["3", "conv1"]
    everything = _one_line(
        workflow.run("--cores", "1"),
        r"studies\.mlp\.middle_layers = 'conv1' is no module of mlp\. Allowed: 0, 1, 2, 3, .*7\.",
    )
    assert "Training" not in everything


def test_cuda_requested_and_absent(workflow):
    workflow.config["device"] = "cuda"
    result = workflow.run("--cores", "1", CUDA_VISIBLE_DEVICES="")
    _one_line(result, r"device = 'cuda', but this machine has no usable NVIDIA GPU\. Allowed here")
    assert not list(Path(workflow.folder, "results").rglob("*.nc"))


def test_dataset_absent_and_no_network(workflow):
    workflow.config["download"] = True
    workflow.config["datasets"]["digits"] = FASHION
    nowhere = "http://127.0.0.1:9"
    result = workflow.run(
        "--cores", "1", http_proxy=nowhere, https_proxy=nowhere, no_proxy="", NO_PROXY=""
    )
    _one_line(
        result, r"data/FashionMNIST/raw/train-images.* is absent and http.* cannot be reached"
    )
    assert not list(Path(workflow.folder, "results").rglob("*.nc"))


def test_damaged_dataset_stops_the_job_that_reads_it(workflow, finished):
    prepared = workflow.folder / "results/small/datasets/digits.nc"
    prepared.parent.mkdir(parents=True)
    damaged = bytearray((finished / "results/small/datasets/digits.nc").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    prepared.write_bytes(damaged)
    result = workflow.run("--cores", "1")
    assert result.returncode != 0
    assert re.search(r"digits\.nc: is (damaged or was changed|no readable)", result.stderr)
    assert "Traceback" not in result.stderr
    log = next((workflow.folder / "results/small/logs/train_run").iterdir()).read_text()
    assert "Delete it and start again; it will be computed anew." in log

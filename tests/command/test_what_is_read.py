"""The tables of docs/what_is_read.md: each file and network is made, and does what they say."""

import argparse
import json
import warnings

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import nn
from torch.utils.checkpoint import checkpoint

import flatness
from flatness.__main__ import main
from flatness.errors import DatasetError, MeasurementError
from flatness.experiment import datasets

PAGE = "docs/what_is_read.md"


def _rows(root, section):
    """The rows of a table, by their first cells; the outcome, and what is said without quotes."""
    text = (root / PAGE).read_text(encoding="utf-8").partition(f"## {section}\n")[2]
    lines = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return {row[0]: (row[-2], row[-1].strip("`")) for row in rows}


def _network(dim=48):
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(dim, 5), nn.Dropout(0.5), nn.Tanh(), nn.Linear(5, 3)
    ).eval()


STATE = _network().state_dict()
OTHER = {name: value + 1 for name, value in STATE.items()}


def _with(prefix, state=STATE):
    return {prefix + name: value for name, value in state.items()}


def _saved(value):
    return lambda folder: torch.save(value, folder / "w.pt")


def _without_code(write):
    def quiet(folder):
        with warnings.catch_warnings(action="ignore"):
            write(folder)

    return quiet


def _program_file(folder):
    program = torch.export.export(nn.Linear(48, 3), (torch.ones(1, 48),))
    torch.export.save(program, folder / "w.pt2")
    (folder / "w.pt2").rename(folder / "w.pt")


def _shards(folder):
    (folder / "saved").mkdir()
    names = {"model-00001-of-00002.safetensors": ["1.weight"]}
    names["model-00002-of-00002.safetensors"] = [name for name in STATE if name != "1.weight"]
    for file, keys in names.items():
        safetensors.torch.save_file({key: STATE[key] for key in keys}, folder / "saved" / file)
    listed = {key: file for file, keys in names.items() for key in keys}
    index = folder / "saved/model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": listed}))


def _tied(folder, *, equal=True):
    (folder / "tied.py").write_text(
        "from torch import nn\n"
        "def tied(tie=True):\n"
        "    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 3), nn.Linear(3, 3))\n"
        "    network.append(nn.Linear(3, 3))\n"
        "    network[3].weight = network[2].weight if tie else network[3].weight\n"
        "    return network\n"
    )
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    if equal:
        network[3].weight = network[2].weight
        safetensors.torch.save_model(network, str(folder / "w.pt"))
    else:
        torch.save(network.state_dict(), folder / "w.pt")


# How a file is made, and the options beside --weights w.pt.
WEIGHTS = {
    "a state dict of `torch.save`": (_saved(STATE), {}),
    "safetensors, whatever the file is called": (
        lambda folder: safetensors.torch.save_file(STATE, folder / "w.pt"),
        {},
    ),
    "names behind `module.`, `_orig_mod.`, `model.` or several of these": (
        _saved(_with("module.model.")),
        {},
    ),
    "parts under `torch.compile`": (
        _saved({name.replace("1.", "1._orig_mod."): value for name, value in STATE.items()}),
        {},
    ),
    "a checkpoint of Lightning": (
        _saved({"epoch": 1, "state_dict": _with("model."), "hyper_parameters": {"lr": 0.1}}),
        {},
    ),
    "a checkpoint with `model`, `model_state_dict`, `net` and the like": (
        _saved({"model": STATE, "optimizer": {"state": {}}, "epoch": 3}),
        {},
    ),
    "options as `argparse.Namespace` beside it": (
        _saved({"model": STATE, "args": argparse.Namespace(lr=0.1)}),
        {},
    ),
    "an average, as `ema`, beside the weights": (_saved({"model": STATE, "ema": OTHER}), {}),
    "the average, chosen": (_saved({"model": STATE, "ema": OTHER}), {"weights_entry": "ema"}),
    "an average alone": (_saved({"ema": STATE}), {}),
    "a state dict of `AveragedModel`, or counters of operations": (
        _saved({"n_averaged": torch.tensor(3)} | _with("module.")),
        {},
    ),
    "two entries that fit and differ": (_saved({"model": STATE, "state_dict": OTHER}), {}),
    "entries that fit under unknown names only": (
        _saved({"gradients": STATE, "model": {"other": torch.ones(3)}}),
        {},
    ),
    "several networks under prefixes": (
        _saved(_with("student.") | _with("teacher.", {"other": torch.ones(1)})),
        {},
    ),
    "one of several networks, chosen": (
        _saved(_with("student.") | _with("teacher.", OTHER)),
        {"weights_prefix": "student."},
    ),
    "safetensors without tied weights": (_tied, {"factory": "tied.py:tied"}),
    "two values of one tied parameter": (
        lambda folder: _tied(folder, equal=False),
        {"factory": "tied.py:tied"},
    ),
    "the `*.index.json` of shards": (_shards, {"weights": "saved/model.safetensors.index.json"}),
    "one of several shards": (_shards, {"weights": "saved/model-00002-of-00002.safetensors"}),
    "a folder": (_shards, {"weights": "saved"}),
    "names or shapes that differ": (_saved(STATE | {"4.bias": torch.ones(4)}), {}),
    "weights rounded to integers": (
        _saved(STATE | {"1.weight": torch.ones(5, 48, dtype=torch.int8)}),
        {},
    ),
    "complex numbers": (
        _saved(STATE | {"1.weight": torch.ones(5, 48, dtype=torch.complex64)}),
        {},
    ),
    "a whole module, or other objects": (_saved(nn.Linear(48, 3)), {}),
    "a TorchScript archive": (
        _without_code(lambda folder: torch.jit.script(nn.Linear(48, 3)).save(folder / "w.pt")),
        {},
    ),
    "an exported program": (_without_code(_program_file), {}),
    "a pointer of Git LFS": (
        lambda folder: (folder / "w.pt").write_text("version https://git-lfs.github.com/spec/v1"),
        {},
    ),
    "a damaged file": (
        lambda folder: (folder / "w.pt").write_bytes(safetensors.torch.save(STATE)[:-9]),
        {},
    ),
}


@pytest.fixture
def outcome(command, capsys):
    """A function: what the command does with some options, and what it says."""

    def run(**options):
        code = main(command(**options))
        printed = capsys.readouterr()
        assert printed.err.count("\n") == code
        return ("refused" if code else "measured"), printed.err + printed.out

    return run


def test_every_row_is_tried(root):
    sections = {"Weights": WEIGHTS, "Images": IMAGES, "Class folders": FOLDERS}
    for section, cases in (sections | {"Networks": NETWORKS}).items():
        assert list(_rows(root, section)) == list(cases), section


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights(root, here, outcome, case):
    make, options = WEIGHTS[case]
    make(here)
    found, said = outcome(**{"weights": "w.pt"} | options)
    expected, words = _rows(root, "Weights")[case]
    assert found == expected, said
    assert words in said


def _image(mode, name="more.png", **options):
    size = options.pop("size", (4, 4))
    return lambda folder: Image.new(mode, size, **options).save(folder / "photos" / name)


def _link(folder):
    (folder / "linked").symlink_to(folder / "photos", target_is_directory=True)
    (folder / "photos/linked").symlink_to(folder / "linked", target_is_directory=True)


def _all_links(folder):
    for name in ("one", "two"):
        (folder / "mine").mkdir(exist_ok=True)
        (folder / "mine" / name).symlink_to(folder / "photos", target_is_directory=True)


def _grey(mode):
    def write(folder):
        (folder / "grey").mkdir()
        Image.new(mode, (4, 4), 0).save(folder / "grey/0.png")
        Image.new("L", (4, 4), 9).save(folder / "grey/1.png")

    return write


ONE_CHANNEL = {"images": "grey", "channels": 1, "arguments": '{"inputs": 16}'}
IMAGES = {
    "linked folders and files": (_all_links, {"images": "mine"}),
    "hidden files, as `._*` of macOS": (
        lambda folder: (folder / "photos/._a.png").write_bytes(b"\0\5\x16\7"),
        {},
    ),
    "files with other endings": (lambda f: (f / "photos/a.gif").write_bytes(b"GIF89a"), {}),
    "grey images where colour is asked for": (_image("L"), {}),
    "transparency, which is dropped": (_image("RGBA"), {}),
    "a palette": (_image("P"), {}),
    "CMYK": (_image("CMYK", "more.jpg"), {}),
    "16 bits, of which the upper 8 are taken": (_image("I;16"), {}),
    "three equal channels where grey is asked for": (_grey("RGB"), ONE_CHANNEL),
    "colour where grey is asked for": (lambda folder: None, {"channels": 1}),
    "floating-point numbers": (_image("F", "more.tif"), {}),
    "several sizes without `--size`": (_image("RGB", size=(5, 4)), {}),
    "a damaged file": (lambda folder: (folder / "photos/more.png").write_text("no"), {}),
    "a link to nothing": (lambda folder: (folder / "photos/cat").symlink_to("absent"), {}),
    "links in a circle": (_link, {}),
}


@pytest.mark.parametrize("case", IMAGES)
def test_images(root, here, photos, outcome, case):
    make, options = IMAGES[case]
    make(here)
    found, said = outcome(**options)
    expected, words = _rows(root, "Images")[case]
    assert found == expected, said
    assert words in said


def _links(folder):
    for split in ("train", "test"):
        (folder / split / "a").rename(folder / f"of_{split}")
        (folder / split / "a").symlink_to(folder / f"of_{split}", target_is_directory=True)


def _hidden(folder):
    (folder / "train/a/._0.png").write_bytes(b"\0\5\x16\7")
    (folder / "train/.hidden").mkdir()


def _one_deeper(folder):
    (folder / "train/a/more").mkdir()
    (folder / "train/a/0.png").rename(folder / "train/a/more/0.png")


FOLDERS = {
    "linked class folders": _links,
    "hidden files and folders": _hidden,
    "a class folder without images": lambda folder: (folder / "train/c").mkdir(),
    "images one folder too deep": _one_deeper,
    "a link to nothing": lambda folder: (folder / "train/c").symlink_to("absent"),
    "class folders in one of `train` and `test` only": lambda folder: (
        (folder / "train/c").mkdir(),
        Image.new("RGB", (4, 4)).save(folder / "train/c/0.png"),
    ),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_class_folders(root, tmp_path, case):
    for place in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / place).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / place / "0.png")
    FOLDERS[case](tmp_path)
    dataset = {"source": "image_folder", "path": str(tmp_path), "classes": "all"}
    expected, words = _rows(root, "Class folders")[case]
    try:
        datasets.describe(dataset, tmp_path)
        images = datasets.load(dataset, tmp_path, False)
        assert (len(images.train_images), len(images.test_images)) == (2, 2)
        found, said = "read", ""
    except DatasetError as error:
        found, said = "refused", str(error)
    assert found == expected, said
    assert words in said


class Applied(nn.Module):
    """A network and a function of its output."""

    def __init__(self, function, network=None):
        super().__init__()
        self.network, self.function = network or _network(6), function

    def forward(self, x):
        return self.function(self.network(x))


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.network, self.reentrant = _network(6), reentrant

    def forward(self, x):
        return checkpoint(self.network, x, use_reentrant=self.reentrant)


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(6, 2, dtype=torch.complex64))

    def forward(self, x):
        return (x.to(self.w.dtype) @ self.w).real


class Cut(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = _network(6), nn.Linear(3, 2)

    def forward(self, x):
        with torch.no_grad():
            x = self.body(x)
        return self.head(x)


def _inference():
    with torch.inference_mode():
        return _network(6)


def _program(network, samples="any"):
    sizes = {0: torch.export.Dim("samples")} if samples == "any" else None
    x = torch.ones(5 if samples == "any" else samples, 6)
    return torch.export.export(network, (x,), dynamic_shapes=(sizes,))


def _language():
    return nn.Sequential(nn.Embedding(9, 2), nn.Flatten(), nn.Linear(12, 2))


def _dict():
    return Applied(lambda y: {"hidden": y[:, None], "logits": y})


INPUTS = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
TOKENS = torch.arange(24).reshape(4, 6) % 9
# The network, what it is given, and the options of the call.
NETWORKS = {
    "one tensor (samples, N)": (lambda: _network(6), INPUTS, {}),
    "a vector (samples,)": (lambda: Applied(lambda y: y.sum(1)), INPUTS, {}),
    "a dict, a dataclass or a tuple": (_dict, INPUTS, {}),
    "the same": (_dict, INPUTS, {"output": "logits"}),
    "more than two axes": (lambda: Applied(lambda y: y[:, None]), INPUTS, {}),
    "more than two axes, flattened": (
        lambda: Applied(lambda y: y[:, None]),
        INPUTS,
        {"output": "flatten"},
    ),
    "a loss": (lambda: Applied(lambda y: y.mean()), INPUTS, {}),
    "tokens": (_language, TOKENS, {}),
    "tokens, from their embeddings on": (_language, TOKENS, {"start": "0"}),
    "several inputs": (lambda: nn.Bilinear(6, 6, 2), INPUTS, {}),
    "`DataParallel`": (lambda: nn.DataParallel(_network(6)), INPUTS, {}),
    "`torch.compile`": (lambda: torch.compile(_network(6)), INPUTS, {}),
    "TorchScript": (lambda: torch.jit.script(_network(6)), INPUTS, {}),
    "a program of `torch.export`": (lambda: _program(_network(6)), INPUTS, {}),
    "one for a single number of samples": (lambda: _program(_network(6), 2), INPUTS, {}),
    "one that was exported in training mode": (
        lambda: _program(_network(6).train()),
        INPUTS,
        {},
    ),
    "bfloat16 or half": (lambda: _network(6).bfloat16(), INPUTS.bfloat16(), {}),
    "bfloat16, as a copy": (
        lambda: _network(6).bfloat16(),
        INPUTS.bfloat16(),
        {"dtype": torch.float32},
    ),
    "made in inference mode": (_inference, INPUTS, {}),
    "frozen, with checkpointing": (
        lambda: Checkpointed(False).requires_grad_(False),
        INPUTS,
        {},
    ),
    "reentrant checkpointing": (lambda: Checkpointed(True), INPUTS, {}),
    "complex parameters": (Complex, INPUTS, {}),
    "training mode": (lambda: _network(6).train(), INPUTS, {}),
    "samples that are mixed": (lambda: Applied(lambda y: y - y.mean(0)), INPUTS, {}),
    "a gradient that ends on the way": (Cut, INPUTS, {}),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", NETWORKS)
def test_networks(root, case):
    make, given, options = NETWORKS[case]
    network = make()
    if isinstance(network, nn.Module) and case != "training mode":
        network.eval()
    expected, words = _rows(root, "Networks")[case]
    try:
        primitives = flatness.measure(network, given, **options)
        assert np.isfinite(primitives["singular_value"]).all()
        found, said = "measured", ""
    except MeasurementError as error:
        found, said = "refused", str(error)
    assert found == expected, said
    assert words in said


def test_the_calls_of_the_table_are_those_tried(root):
    text = (root / PAGE).read_text(encoding="utf-8").partition("## Networks\n")[2]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")][2:]
    calls = {row[0].strip(): row[1].strip().strip("`") for row in rows}
    for case, (_, _, options) in NETWORKS.items():
        written = [
            f"{name}={json.dumps(value) if isinstance(value, str) else value}"
            for name, value in options.items()
        ]
        assert calls[case] == ", ".join(written), case


def test_the_page_on_networks_links_to_the_tables(root):
    page = (root / "docs/your_own_network.md").read_text(encoding="utf-8")
    assert "](what_is_read.md)" in page

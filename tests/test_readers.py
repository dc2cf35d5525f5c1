"""Every call in the product that reads a file or runs code, found in its syntax.

A new one fails here until it is listed with the reason why it runs nothing that it reads.
"""

import ast

import pytest

# By the last part of their names. JSON and TOML hold no code, wherever they are read.
READERS = {
    "open",
    "fdopen",
    "read_text",
    "read_bytes",
    "urlopen",
    "safe_open",
    "fromfile",
    "memmap",
    "load",
    "loads",
    "safe_load",
    "load_dataset",
    "open_dataset",
    "load_digits",
    "download_url",
    "open_datatree",
    "read_csv",
    "read_table",
    "genfromtxt",
    "loadtxt",
    "SafeLoader",
    "_Loader",
    "extractall",
    "reader",
}
RUNNERS = {
    "__import__",
    "system",
    "popen",
    "run",
    "Popen",
    "execv",
    "spawnv",
    "import_module",
    "exec_module",
    "run_path",
    "run_module",
    "CDLL",
    "Unpickler",
    "read_pickle",
    "unsafe_load",
    "full_load",
    "FullLoader",
    "UnsafeLoader",
    "open_mfdataset",
    "unpack_archive",
    "read_json",
    "read_html",
    "read_excel",
}
HARMLESS = {"json.loads", "tomllib.loads"}
UNPICKLERS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "dbm"}

REASONS = {
    "flatness/__init__.py": {"import_module": "names written there"},
    "flatness/command/factory.py": {"read_bytes": "hashed"},
    "flatness/command/images.py": {"read_bytes": "hashed and decoded"},
    "flatness/experiment/checkpoints.py": {"safe_open": "safetensors"},
    "flatness/experiment/datasets/__init__.py": {
        "load": "of a module below",
        "import_module": "names written there",
    },
    "flatness/experiment/datasets/digits.py": {"load_digits": "CSV inside scikit-learn"},
    "flatness/experiment/datasets/from_factory.py": {"load": "calls the user's function"},
    "flatness/experiment/datasets/from_torchvision.py": {
        "download_url": "verified before it has its name",
        "load": "of class_folders, with Pillow",
        "reader": "torchvision, on archives and members with known checksums only",
    },
    "flatness/experiment/datasets/decoding.py": {"open": "Pillow"},
    "flatness/experiment/device.py": {"CDLL": "the C library"},
    "flatness/experiment/gpus.py": {"read_text": "the kernel's list of sockets"},
    "flatness/experiment/networks/__init__.py": {"import_module": "modules of that folder"},
    "flatness/experiment/prepared.py": {"load": "of flatness.experiment.datasets"},
    "flatness/experiment/usable_gpu.py": {"read_text": "the version of NVIDIA's driver"},
    "flatness/figures/__init__.py": {"import_module": "names written there"},
    "flatness/jobs/fingerprint.py": {"read_bytes": "parsed, or hashed, never run"},
    "flatness/jobs/same_results.py": {"read_text": "JSON"},
    "flatness/jobs/stages.py": {"read_text": "hashed"},
    "flatness/jobs/nvidia_driver.py": {"CDLL": "NVIDIA's driver"},
    "flatness/own/quantities.py": {"import_module": "as own/places.py"},
    "flatness/own/places.py": {
        "import_module": "the user's code, which the command line or the configuration names",
        "exec_module": "the same",
    },
    "flatness/checking/configuration.py": {"read_text": "compared as text"},
    "flatness/checking/figures.py": {"open": "Pillow", "read_bytes": "compared"},
    "flatness/checking/files.py": {"read_bytes": "compared", "read_text": "compared as text"},
    "flatness/checking/pages.py": {"read_bytes": "compared", "read_text": "compared as text"},
    "flatness/command/check.py": {"read_text": "its first words are compared"},
    "flatness/jobs/preemption.py": {"run": "scontrol, without a shell"},
    "flatness/jobs/preflight.py": {"urlopen": "the answer is not read"},
    "flatness/progress/following.py": {"read_text": "a table of times, as text"},
    "flatness/progress/told.py": {"read_text": "three numbers"},
    "flatness/provenance.py": {
        "run": "git, without a shell",
        "read_text": "the kernel's list of processors",
    },
    "flatness/settings/reading.py": {"read_text": "parsed", "_Loader": "plain YAML"},
    "flatness/publication/costs.py": {"read_csv": "CSV"},
    "flatness/publication/earlier.py": {"read_text": "a page, looked through for one sentence"},
    "flatness/publication/page.py": {"read_text": "a template of the repository, not run"},
    "flatness/publication/pages.py": {"read_csv": "CSV"},
    "flatness/publication/report/write.py": {
        "read_csv": "CSV",
        "read_text": "pictures of the workflow, put into a page",
    },
    "flatness/storage.py": {
        "open": "flushed",
        "load": "of what is opened",
        "load_dataset": "netCDF-4",
        "open_datatree": "netCDF-4",
    },
    "flatness/weights/files.py": {
        "read_bytes": "hashed, and read by the others",
        "load": "safetensors, or torch with weights_only=True",
    },
    "flatness/figures/pictures.py": {"open": "Pillow"},
}


def found(text: str) -> set[str]:
    """The names of what reads or runs in a module."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            whole = ast.unparse(node.func)
            last = whole.rpartition(".")[2]
            runs = whole in ("eval", "exec", "compile") or whole.startswith("subprocess.")
            if runs or (last in READERS | RUNNERS and whole not in HARMLESS):
                names.add(last)
    return names


def forbidden(text: str) -> list[str]:
    """What no module may have, as source."""
    wrong = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNPICKLERS:
            wrong.append(ast.unparse(node))
        if not isinstance(node, ast.Call):
            continue
        whole = ast.unparse(node.func)
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if whole.split(".")[0] in UNPICKLERS:
            wrong.append(whole)
        if whole == "torch.load" and options.get("weights_only") != "True":
            wrong.append(ast.unparse(node))
        if options.get("allow_pickle", "False") != "False" or options.get("shell") == "True":
            wrong.append(ast.unparse(node))
    return wrong


def test_every_reader_is_listed(root):
    workflow = root / "workflow"
    here = {
        str(file.relative_to(workflow)): names
        for file in sorted(workflow.rglob("*.py"))
        if (names := found(file.read_text()))
    }
    assert here == {file: set(reasons) for file, reasons in REASONS.items()}


def test_nothing_unpickles_or_starts_a_shell(root):
    files = list((root / "workflow").rglob("*.py"))
    assert len(files) > 80
    for file in files:
        assert not forbidden(file.read_text()), file


def test_rules_read_nothing_themselves(root):
    for file in [root / "Snakefile", *(root / "workflow/rules").glob("*.smk")]:
        words = set(file.read_text().replace("(", " ( ").replace(".", " ").split())
        assert not words & (UNPICKLERS | {"open", "eval", "exec", "shell:", "run:", "shell"}), file


@pytest.mark.parametrize(
    "text",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "import pickle\npickle.load(file)",
        "from pickle import loads",
        "np.load(path, allow_pickle=True)",
        "subprocess.run(words, shell=True)",
        "joblib.load(path)",
    ],
)
def test_what_is_forbidden_is_seen(text):
    assert forbidden(text)


@pytest.mark.parametrize(
    "text", ["eval(text)", "Path(p).read_text()", "yaml.unsafe_load(f)", "open(p)", "np.load(p)"]
)
def test_what_reads_is_seen(text):
    assert found(text)


def test_what_is_harmless_is_not_forbidden():
    for text in ("torch.load(path, weights_only=True)", "pickle.UnpicklingError", "json.loads(t)"):
        assert not forbidden(text)
    assert not found("json.loads(text)")

"""A study computed in parts, on several machines or with an end before its time."""

import json
import shutil

import pytest
import yaml

from flatness.__main__ import main
from flatness.errors import StorageError
from flatness.publication.gathering import gather
from flatness.publication.opening import read_results
from flatness.publication.results import numbers_of_parts
from flatness.settings import load_settings, read_settings
from flatness.storage import read_dataset, write_dataset

FIGURES = {
    "fig1": {"kind": "trends", "study": "mlp", "compare": "learning_rate", "fixed": 20},
    "figD6": {"kind": "pair_grid", "study": "mlp", "seeds": [0, 1]},
}


@pytest.fixture(scope="module")
def whole(finished, make_workflow, tmp_path_factory):
    """The publication of the study that was computed at once."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("whole") / "copy")
    workflow = make_workflow(folder)
    workflow.config["figures"] = FIGURES
    workflow.succeed("--cores", "1", "publish")
    return folder / "results/small/publication"


@pytest.fixture(scope="module")
def halves(make_workflow, tmp_path_factory):
    """One seed each, computed in folders of their own."""
    parts = []
    for seed in (1, 0):
        workflow = make_workflow(tmp_path_factory.mktemp(f"seed{seed}"))
        workflow.config["figures"] = FIGURES
        workflow.config["folders"]["results"] = f"results_of_seed{seed}"
        workflow.succeed("--cores", "1", "part", "--config", f"seeds=[{seed}]")
        parts.append(workflow.folder / f"results_of_seed{seed}/small/part.nc")
    return parts


def test_two_halves_are_published_as_the_whole(whole, halves, tmp_path):
    assert main(["publish", *map(str, halves), "--output", str(tmp_path)]) == 0
    files = {path.relative_to(whole) for path in whole.rglob("*") if path.is_file()}
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()} == files
    for name in sorted(files):
        if name.parent.name in ("tables", "figures"):
            assert (tmp_path / name).read_bytes() == (whole / name).read_bytes(), name
    assert read_settings(tmp_path / "configuration.yaml") == read_settings(
        whole / "configuration.yaml"
    )
    assert set(numbers_of_parts(read_results(tmp_path / "results.nc")).values()) == {1, 2}


def test_the_command_gathers_what_a_cut_off_study_left(finished, whole, tmp_path, capsys):
    results = shutil.copytree(finished / "results/small", tmp_path / "small")
    gone = results / "analysis/mlp_lr0.1_bs20_seed1.nc"
    gone.unlink()
    shutil.copyfile(finished / "config.yaml", tmp_path / "config.yaml")
    part = tmp_path / "part.nc"
    words = ["part", str(results), "--configuration", str(tmp_path / "config.yaml")]
    assert main([*words, "--output", str(part)]) == 0
    assert capsys.readouterr().out == f"{part}: 3 runs of mlp\n"
    assert gone.stem not in numbers_of_parts(read_results(part))

    configuration = yaml.safe_load((tmp_path / "config.yaml").read_text())
    configuration["studies"]["mlp"]["iterations"] = 50
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(configuration))
    before = part.read_bytes()
    assert main([*words, "--output", str(part)]) == 1
    error = capsys.readouterr().err
    assert "mlp_lr0.1_bs20_seed0.nc: was trained with iterations = 40. Allowed: 50" in error
    assert part.read_bytes() == before
    assert main([*words[:1], str(tmp_path), *words[2:], "--output", str(part)]) == 1
    assert "holds none of the configuration's runs. Allowed: " in capsys.readouterr().err


def test_the_command_gathers_some_seeds(finished, tmp_path, capsys):
    part = tmp_path / "part.nc"
    words = ["part", str(finished / "results/small"), "--output", str(part)]
    words += ["--configuration", str(finished / "config.yaml"), "--seeds"]
    assert main([*words, "1"]) == 0
    runs = numbers_of_parts(read_results(part))
    assert {name.rpartition("_")[2] for name in runs} == {"seed1"}
    part.unlink()
    assert main([*words, "1", "7"]) == 1
    said = "--seeds 7: is no seed of the configuration. Allowed: 0, 1. Name some of these, such as "
    assert f"{said}--seeds 0" in capsys.readouterr().err
    assert not part.exists()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_runs_of_any_device_belong_to_a_configuration_that_leaves_it_open(
    finished, tmp_path, device
):
    """A part that a GPU made with device: cuda goes with device: auto, and not the other way."""
    results = shutil.copytree(finished / "results/small", tmp_path / "small")
    for file in (results / "analysis").glob("*.nc"):
        run = read_dataset(file)
        plan = json.loads(run.attrs["settings"]) | {"device": device}
        write_dataset(run.assign_attrs(settings=json.dumps(plan)), file)
    configuration = yaml.safe_load((finished / "config.yaml").read_text())
    assert gather(results, load_settings(configuration | {"device": "auto"}, "open"))
    other = {"cpu": "cuda", "cuda": "cpu"}[device]
    with pytest.raises(StorageError, match=f"device = '{device}'. Allowed: '{other}'"):
        gather(results, load_settings(configuration | {"device": other}, "other"))


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("datasets.digits.classes", [2, 3], "digits.nc: was prepared with classes = 'all'."),
        ("datasets.digits.samples", 50, "digits.nc: was prepared with samples = 20."),
        ("datasets.digits.outputs", 11, "seed0.nc: was trained with outputs = 10."),
        ("datasets.digits.normalisation", "standardise", "with normalisation = 'none'."),
        ("studies.mlp.dataset", "same", "was trained with dataset = 'digits'. Allowed: 'same'"),
        ("measuring.chunk_size", 7, "seed0.nc: was measured with chunk_size = 100."),
        ("measuring.hessian_probes", 3, "was measured with hessian_probes = 16."),
        ("measuring.hessian_trace", False, "was measured with hessian_trace = True."),
        (
            "analysis.bound_powers",
            [3],
            "was analysed with bound_powers = [1.0, 2.0]. Allowed: [3.0]",
        ),
    ],
)
def test_another_configuration_is_refused(finished, place, value, said):
    configuration = yaml.safe_load((finished / "config.yaml").read_text())
    configuration["datasets"]["same"] = dict(configuration["datasets"]["digits"])
    *path, last = place.split(".")
    section = configuration
    for name in path:
        section = section.setdefault(name, {})
    section[last] = value
    with pytest.raises(StorageError) as caught:
        gather(finished / "results/small", load_settings(configuration, "changed"))
    assert said in str(caught.value)
    assert "Allowed: " in str(caught.value)


def test_runs_of_two_datasets_are_refused(finished, tmp_path):
    results = shutil.copytree(finished / "results/small", tmp_path / "small")
    settings = read_settings(finished / "config.yaml")
    file = results / "analysis/mlp_lr0.1_bs20_seed1.nc"
    write_dataset(read_dataset(file).assign_attrs(dataset_checksum="f00d"), file)
    for where in (f"{results}/datasets/digits.nc", "mlp_lr0.1_bs20_seed0"):
        with pytest.raises(StorageError, match=f"checksum f00d. Allowed: .*, as in {where}"):
            gather(results, settings)
        (results / "datasets/digits.nc").unlink(missing_ok=True)


def test_a_seed_that_there_is_not_is_refused(workflow):
    for given, named in (("[7]", "7"), ("x", "x"), ("[0,7]", "7")):
        result = workflow.run("--dry-run", "part", "--config", f"seeds={given}")
        assert result.returncode == 1
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        assert (
            f"--config seeds={named}: is no seed of the configuration. Allowed: 0, 1." in lines[0]
        )

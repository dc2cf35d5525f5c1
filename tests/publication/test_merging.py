"""Parts of one study become the study; what does not fit together is refused."""

import itertools
import json
import re

import netCDF4
import numpy as np
import pytest
import xarray as xr

from flatness.__main__ import main
from flatness.analysis.absent import NOT_ANALYSED
from flatness.errors import StorageError
from flatness.publication.filling import LATER_QUANTITIES
from flatness.publication.merging import merge
from flatness.publication.opening import read_results, settings_of
from flatness.publication.results import numbers_of_parts, separate
from flatness.storage import write_tree
from tests.publication.made_up_results import configuration, made_up_results, made_up_runs


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function: write a file of results, named without its ending."""
    monkeypatch.chdir(tmp_path)

    def written(file, /, **options):
        write_tree(made_up_results(**options), f"{file}.nc")
        return f"{file}.nc"

    return written


def refused(capsys, *parts) -> str:
    """The line with which both commands refuse to take parts together; they write nothing."""
    lines = set()
    for command, output in (("merge", "new/merged.nc"), ("publish", "new")):
        assert main([command, *parts, "--output", output]) == 1
        lines.add(capsys.readouterr().err)
    (line,) = lines
    assert line.count("\n") == 1
    return line


def test_halves_are_the_whole(write, capsys):
    whole = write("whole")
    halves = [write("high", seeds=(2, 3)), write("low", seeds=(0, 1))]
    for name, parts in (("one", halves), ("other", halves[::-1])):
        assert main(["merge", *parts, "--output", f"{name}.nc"]) == 0
    assert (
        "other.nc: 12 runs of vgg, 12 runs of mlp_numbers from 2 files" in capsys.readouterr().out
    )
    one, other = read_results("one.nc"), read_results("other.nc")
    assert one.identical(other)
    numbers = numbers_of_parts(one)
    assert numbers["vgg_lr0.1_bs20_seed0"] == numbers["mlp_numbers_lr0.1_bs8_seed1"] == 1
    assert numbers["vgg_lr0.1_bs20_seed2"] == numbers["mlp_numbers_lr0.1_bs8_seed3"] == 2
    for study, node in read_results(whole).children.items():
        parts = one[study].to_dataset().reset_coords("part", drop=True)
        xr.testing.assert_identical(node.to_dataset().reset_coords("part", drop=True), parts)


def test_what_was_merged_can_be_merged_again(write):
    low, high = write("low", seeds=(0, 1)), write("high", seeds=(2, 3))
    third = write("third", seeds=(1,), runs=made_up_runs([1]))
    for parts, output in (
        ((low, high), "two.nc"),
        (("two.nc", third), "three.nc"),
    ):
        assert main(["merge", *parts, "--output", output]) == 0
    assert read_results("three.nc").identical(read_results("two.nc"))


def test_seeds_are_those_of_all_parts(write):
    parts = []
    for seed in (3, 0):
        changed = configuration()
        for study in changed["studies"].values():
            study["seeds"] = [seed]
        changed["figures"]["figD6"]["seeds"] = [seed]
        parts.append(write(f"seed{seed}", runs=made_up_runs([seed]), **changed))
    assert main(["merge", *parts, "--output", "merged.nc"]) == 0
    settings = settings_of(read_results("merged.nc"))
    assert {study.seeds for study in settings.studies.values()} == {(0, 3)}
    assert settings.figures["figD6"].seeds == (0, 3)


def test_where_a_machine_keeps_its_files_may_differ(write):
    here = {"folders": {"data": "elsewhere"}, "download": False, "device": "cpu", "runs_per_gpu": 8}
    here["training"] = {"keep_checkpoints": "none", "iterations_per_graph": 100}
    parts = [write("low", seeds=(0, 1), **here), write("high", seeds=(2, 3))]
    assert main(["merge", *parts, "--output", "merged.nc"]) == 0
    assert settings_of(read_results("merged.nc")).device == "auto"
    assert "elsewhere" not in read_results("merged.nc").attrs["configuration"]
    assert "runs_per_gpu" not in read_results("merged.nc").attrs["configuration"]


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("studies.vgg.iterations", 5000, 6000),
        ("studies.vgg.loss", "cross_entropy", "mse"),
        ("analysis.bootstrap_draws", 200, 100),
        ("name", "another", "made_up"),
    ],
)
def test_other_settings_are_refused(write, capsys, key, value, allowed):
    changed = configuration()
    *path, last = key.split(".")
    place = changed
    for name in path:
        place = place[name]
    place[last] = value
    line = refused(
        capsys, write("one", seeds=(0,)), write("two", runs=made_up_runs([1]), **changed)
    )
    assert line.startswith(f"two.nc: {key} = {value}. Allowed: {allowed}, as in one.nc. ")
    assert "leave one of the two files out" in line


def test_another_dataset_is_refused(write, capsys):
    runs = made_up_runs([1])
    for run in runs:
        run.attrs["dataset_checksum"] = "f00d"
    line = refused(capsys, write("one", seeds=(0,)), write("two", runs=runs))
    assert "two.nc: the dataset numbers of " in line
    assert "has the checksum f00d. Allowed: 0123456789abcdef, as in one.nc." in line


def test_a_run_that_differs_is_refused_by_name(write, capsys):
    runs = made_up_runs([1])
    runs[0]["mls"][2, 0] += 1e-15
    runs[0].attrs["processor"] = "another"
    line = refused(capsys, write("one", seeds=(0, 1)), write("two", runs=runs))
    name = runs[0].attrs["run"]
    assert f"two.nc: its run {name} differs from that in one.nc in processor, mls. " in line


def test_runs_analysed_by_other_code_are_refused(write, capsys):
    runs = [run.drop_vars("nmls") for run in made_up_runs([1])]
    line = refused(capsys, write("one", seeds=(0,)), write("two", runs=runs))
    assert "were analysed by other code, what differs is nmls. Allowed: the variables" in line


def _as_before(run):
    """As analysed by a version that did not know the later quantities and inequalities."""
    return run.drop_vars(LATER_QUANTITIES).drop_sel(inequality="adaptive")


def _later(run):
    """With an inequality that came later, and the roundings that `bounds` stores."""
    new = run.sel(inequality=["a_b", "b_c", "c_d", "c_d"])
    new = new.assign_coords(inequality=np.array(["a_b", "adaptive", "b_c", "c_d"], dtype=object))
    new["slack"].attrs |= {"absent": "{}", "rounding": "[1, 4, 2, 3]"}
    return new


def _before(run):
    old = _as_before(_later(run))
    old["slack"].attrs |= {"absent": json.dumps({"a_b": "a reason"}), "rounding": "[1, 2, 3]"}
    return old


def test_a_part_of_an_earlier_version_is_filled(write):
    older = [_before(run) for run in made_up_runs([0])]
    newer = [_later(run) for run in made_up_runs([1])]
    parts = [write("older", runs=older), write("newer", runs=newer)]
    for order in (parts, parts[::-1]):
        assert main(["merge", *order, "--output", "merged.nc"]) == 0
        merged = separate(read_results("merged.nc"))
        for run in (run.data for of_study in merged.values() for run in of_study):
            assert run["inequality"].values.tolist() == ["a_b", "adaptive", "b_c", "c_d"]
            assert json.loads(run["slack"].attrs["rounding"])[::2] == [1, 2]
            before = next(each for each in older + newer if each.attrs["run"] == run.attrs["run"])
            for name in LATER_QUANTITIES:
                if name in before:
                    assert run[name].equals(before[name])
                else:
                    assert run[name].isnull().all()
                    assert run[name].attrs["absent"] == NOT_ANALYSED
            absent = json.loads(run["slack"].attrs["absent"])
            if "nvr" not in before:
                assert absent == {"a_b": "a reason", "adaptive": NOT_ANALYSED}
                assert run["slack"].sel(inequality="adaptive").isnull().all()
            xr.testing.assert_equal(
                run["slack"].sel(inequality=["a_b", "b_c", "c_d"]),
                before["slack"].sel(inequality=["a_b", "b_c", "c_d"]),
            )
    assert main(["publish", *parts, "--output", "published"]) == 0


def test_parts_of_an_earlier_version_alone_stay_as_they_are(write):
    parts = [write(f"seed{k}", runs=[_before(run) for run in made_up_runs([k])]) for k in (0, 1)]
    assert main(["merge", *parts, "--output", "merged.nc"]) == 0
    for node in read_results("merged.nc").children.values():
        assert not set(LATER_QUANTITIES) & set(node.variables)
        assert node["inequality"].values.tolist() == ["a_b", "b_c", "c_d"]
    assert main(["publish", "merged.nc", "--output", "published"]) == 0
    with open("published/README.md") as file:
        assert "adaptive" not in file.read()


def test_a_damaged_part_is_refused(write, capsys):
    one, two = write("one", seeds=(0,)), write("two", seeds=(1,))
    with netCDF4.Dataset(two, "a") as changed:
        changed["vgg"]["sharpness"][0, 0, 0] += 1
    assert re.match(r"two\.nc: is damaged or was changed.*Allowed: ", refused(capsys, one, two))


def test_a_part_that_is_absent_or_named_twice_is_refused(write, capsys):
    one = write("one", seeds=(0,))
    assert "absent.nc: no such file" in refused(capsys, one, "absent.nc")
    assert "one.nc is named twice. Allowed: each file once." in refused(capsys, one, one)


def test_a_cut_off_study_is_published_with_what_is_there(write):
    runs = [run for run in made_up_runs([0, 1]) if "lr0.1_bs8_seed1" not in run.attrs["run"]]
    part = write("cut_off", runs=runs)
    assert main(["publish", part, "--output", "published"]) == 0
    with open("published/README.md") as file:
        page = file.read()
    assert "Not computed: vgg_lr0.1_bs8_seed1, mlp_numbers_lr0.1_bs8_seed1." in page
    assert "| runs | 5 | 5 |" in page
    assert "| seeds | 0, 1 | 0, 1 |" in page


def test_the_page_lists_parts(write):
    runs = made_up_runs([1])
    for run in runs:
        run.attrs |= {"processor": "another processor", "device": "a GPU", "commit": "dead"}
        run.attrs["analysis_commit"] = "fed"
    parts = [write("one", seeds=(0,)), write("two", runs=runs)]
    assert main(["publish", *parts, "--output", "published"]) == 0
    with open("published/README.md") as file:
        page = file.read()
    assert "| 1 | 6 | 0 | a processor | cpu | beef | c0ffee | c0ffee |" in page
    assert "| 2 | 6 | 1 | another processor | a GPU | beef | dead | fed |" in page
    assert len(separate(read_results("published/results.nc"))["vgg"]) == 6


def refused_in_any_order(change) -> set[str]:
    """What is said of one study of VGG10 and two of MLPs, of which `change` made the last other."""
    vgg, mlp = made_up_runs([0]), made_up_runs([1, 2])
    of_parts = {
        "vgg.nc": [r.assign_attrs(dataset="pictures") for r in vgg if "vgg" in r.attrs["run"]],
        "one.nc": [r for r in mlp if re.match("mlp.*seed1$", r.attrs["run"])],
        "other.nc": [change(r) for r in mlp if re.match("mlp.*seed2$", r.attrs["run"])],
    }
    parts = {file: made_up_results(runs=runs) for file, runs in of_parts.items()}
    said = set()
    for order in itertools.permutations(parts):
        with pytest.raises(StorageError) as caught:
            merge({file: parts[file] for file in order})
        said.add(str(caught.value))
    return said


def test_another_dataset_is_refused_whichever_part_has_it():
    for line in refused_in_any_order(lambda run: run.assign_attrs(dataset_checksum="f00d")):
        assert ": the dataset numbers of " in line
        assert "f00d" in line


def test_two_datasets_of_one_name_within_a_part_are_refused():
    runs = made_up_runs([0])
    runs[-1].attrs["dataset_checksum"] = "f00d"
    with pytest.raises(StorageError) as caught:
        merge({"one.nc": made_up_results(runs=runs)})
    line = str(caught.value)
    assert f"one.nc: the dataset numbers of {runs[-1].attrs['run']} has the checksum f00d." in line
    assert f"as in {runs[0].attrs['run']}. " in line


def test_other_variables_are_refused_whichever_part_has_them():
    for name, change in {
        "nmls": lambda run: run.drop_vars("nmls"),
        "iteration": lambda run: run.assign_coords(iteration=run["iteration"] + 1),
        "inequality": lambda run: run.assign_coords(inequality=["a_b", "b_c", "another"]),
    }.items():
        for line in refused_in_any_order(change):
            assert f"of mlp_numbers were analysed by other code, what differs is {name}." in line


def test_costs_of_a_run_in_two_files_do_not_depend_on_their_order():
    one, two = (made_up_results(seeds=(0,)) for _ in range(2))
    for node in two.children.values():
        node["wall_time"] = node["wall_time"] * 2
    merged = merge({"one.nc": one, "two.nc": two})
    assert merged.identical(merge({"two.nc": two, "one.nc": one}))


def test_a_file_under_two_names_is_refused(write, capsys):
    one = write("one", seeds=(0,))
    assert main(["merge", one, f"./{one}", "--output", "merged.nc"]) == 1
    line = capsys.readouterr().err
    assert "./one.nc is named twice, the other time as one.nc. Allowed: each file once." in line


def test_one_run_of_one_file_is_said_as_such(write, capsys):
    one = write("one", runs=made_up_runs([0])[:1])
    assert main(["merge", one, "--output", "merged.nc"]) == 0
    assert capsys.readouterr().out == "merged.nc: 1 run of vgg from 1 file\n"

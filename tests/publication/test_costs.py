"""What the jobs of each rule took, by the device of their runs."""

from flatness.publication.costs import COLUMNS, Cost, costs_of, in_words
from flatness.publication.opening import settings_of
from flatness.publication.results import condense, every_run
from tests.publication.made_up_results import made_up_results, made_up_runs


def test_devices_have_rows_of_their_own_and_sizes_say_of_how_many_jobs_they_are():
    made = made_up_runs([0, 3])
    for run in made:
        run.attrs["device"] = "NVIDIA H200" if run.attrs["seed"] else "cpu"
    results = made_up_results(runs=made)
    costs = costs_of(results)
    for run in every_run(results):
        if run.seed:
            training = costs[run.id]["train_run"]
            costs[run.id]["train_run"] = Cost(training.seconds, training.mebibytes)
    first = next(run.id for run in every_run(results) if not run.seed)
    costs[first]["train_run"] = Cost(60.0, 700)
    results = condense(every_run(results), settings_of(results), costs=costs)
    rows = {
        tuple(row[:2]): dict(zip(COLUMNS[2:], row[2:], strict=True)) for row in in_words(results)
    }
    count = sum(not run.seed for run in every_run(results))
    on_cpu, on_gpu = rows["train_run", "cpu"], rows["train_run", "NVIDIA H200"]
    assert on_cpu["jobs"] == on_gpu["jobs"] == str(count)
    assert on_cpu["sum in minutes"] == f"{count:.2f}"
    assert on_gpu["sum in minutes"] == f"{4 * count:.2f}"
    assert on_cpu["largest memory in MiB"] == "700"
    assert on_cpu["files in MB"] == f"{2 * (count - 1):.1f} ({count - 1} jobs)"
    assert on_gpu["files in MB"] == "-"

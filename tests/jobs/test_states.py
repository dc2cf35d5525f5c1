"""States of finished runs go away, those of others stay."""

from flatness.jobs import states


def _made(results, *files):
    for name in files:
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).touch()


def _left(results):
    return sorted(folder.name for folder in (results / "state").iterdir())


def test_the_state_of_one_run_is_cleared(tmp_path):
    _made(tmp_path, "state/a/0.safetensors", "state/ab/0.safetensors")
    run = tmp_path / "runs/a/checkpoints.safetensors"
    states.clear(run)
    states.clear(run)  # there may be none
    assert _left(tmp_path) == ["ab"]


def test_states_of_runs_without_their_file_stay(tmp_path):
    states.clear_finished(tmp_path)  # nothing was ever trained
    _made(tmp_path, "state/a/0.safetensors", "state/b/0.safetensors", "state/c/0.safetensors")
    _made(tmp_path, "runs/a/checkpoints.safetensors", "runs/b/.checkpoints.safetensors.partial")
    states.clear_finished(tmp_path)
    assert _left(tmp_path) == ["b", "c"]

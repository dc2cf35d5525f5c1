"""The ids of runs: a study's name and the values that set a run apart within it."""


def run_id(study: str, learning_rate: float, batch_size: int, seed: int) -> str:
    """Such as "mlp_digits_lr0.1_bs20_seed0"; it depends on nothing else, so that it is stable."""
    return f"{study}_lr{shortest(learning_rate)}_bs{batch_size}_seed{seed}"


def study_of(run: str, learning_rate: float, batch_size: int, seed: int) -> str:
    """The study of a run by its id and settings, for files that do not name the study."""
    return run.removesuffix(run_id("", learning_rate, batch_size, seed))


def shortest(value: float) -> str:
    """The shortest text that reads back as the same number, without a trailing .0: 0.10 is 0.1."""
    return repr(float(value)).removesuffix(".0")

"""At which iterations a run is checkpointed."""


def checkpoint_iterations(iterations: int, early: int, late: int) -> tuple[int, ...]:
    """Iteration 0, then log-spaced, then evenly spaced, always ending with the last.

    The evenly spaced part has the spacing iterations / late; the log-spaced part
    covers 1 up to the first evenly spaced checkpoint. Values are rounded to whole
    iterations, and repeated ones are taken once, so short runs have fewer.

    Args:
        iterations: length of the run.
        early: number of log-spaced checkpoints.
        late: number of evenly spaced checkpoints.

    Returns:
        Increasing iterations, from 0 to `iterations` inclusive.
    """
    spacing = iterations / late
    evenly = {round(spacing * k) for k in range(1, late + 1)}
    first = max(1, round(spacing))
    logarithmic = {round(first ** (k / max(early - 1, 1))) for k in range(early)}
    return tuple(sorted({0} | logarithmic | evenly))

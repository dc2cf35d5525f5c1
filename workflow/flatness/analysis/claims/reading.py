"""How runs are read: what a claim is judged by, and what an alternative puts in its place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """The choices that a verdict may rest on; the defaults are those it is given by.

    Args:
        log_volume: the variable that stands for log volume.
        sqrt_sharpness: the variable that stands for the root of the sharpness.
        last_checkpoint: final values are those of the last checkpoint.
        only_interpolating: runs that never interpolate do not count.
        ranks: Spearman's coefficient in the place of Pearson's.
        seeds: the seeds whose runs take part; all of them where it is None.
    """

    log_volume: str = "log_volume"
    sqrt_sharpness: str = "sqrt_sharpness"
    last_checkpoint: bool = False
    only_interpolating: bool = False
    ranks: bool = False
    seeds: tuple[int, ...] | None = None

    def variable(self, name: str) -> str:
        """What is read where a statistic says `name`."""
        return {"log_volume": self.log_volume, "sqrt_sharpness": self.sqrt_sharpness}.get(
            name, name
        )


AS_JUDGED = Reading()

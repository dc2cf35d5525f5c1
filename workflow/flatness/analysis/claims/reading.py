"""How runs are read: what a claim is judged by, and what an alternative puts in its place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """The choices that a verdict may rest on; the defaults are those it is given by.

    Args:
        log_volume: the variable that stands for log volume.
        without_last_layer: sharpness without the share of the last linear layer's weight and bias,
            also inside of bound D.
        last_checkpoint: final values are those of the last checkpoint.
        only_interpolating: runs that never interpolate do not count.
        ranks: Spearman's coefficient in the place of Pearson's.
        seeds: the seeds whose runs take part; all of them where it is None.
    """

    log_volume: str = "log_volume"
    without_last_layer: bool = False
    last_checkpoint: bool = False
    only_interpolating: bool = False
    ranks: bool = False
    seeds: tuple[int, ...] | None = None

    def variable(self, name: str) -> str:
        """What is read where a statistic says `name`."""
        if name == "log_volume":
            return self.log_volume
        if self.without_last_layer and name in ("sharpness", "sqrt_sharpness"):
            return f"{name}_before_last_layer"
        return name


AS_JUDGED = Reading()

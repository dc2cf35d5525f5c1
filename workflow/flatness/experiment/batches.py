"""Which training samples an iteration sees."""

import numpy as np

_STREAM = 0x62617463  # sets these permutations apart from every other use of a seed


def epoch_order(seed: int, epoch: int, samples: int) -> np.ndarray:
    """The order of the training samples in one epoch.

    A pure function of its arguments: no generator state is carried from epoch to
    epoch, so a resumed run sees the batches it would have seen.

    Returns:
        (samples,) int64, a permutation.
    """
    return np.random.default_rng([_STREAM, seed, epoch]).permutation(samples)


def iterations_per_epoch(samples: int, batch_size: int) -> int:
    """Whole batches in one epoch; the samples left over are dropped.

    Every iteration thus sees exactly `batch_size` samples, which is the quantity
    under study. Each epoch drops others.
    """
    return samples // batch_size

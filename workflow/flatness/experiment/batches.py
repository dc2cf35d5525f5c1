"""Which training samples an iteration sees."""

from collections.abc import Iterator

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


def mini_batches(
    seed: int, samples: int, batch_size: int, begin: int, end: int, block: int
) -> Iterator[np.ndarray]:
    """The samples that the iterations begin + 1 .. end see, `block` iterations at a time.

    Yields:
        (iterations, batch_size) int64; the last one may have fewer iterations.
    """
    per_epoch = iterations_per_epoch(samples, batch_size)
    epoch, batches = None, None
    for first in range(begin, end, block):
        rows = []
        for iteration in range(first, min(first + block, end)):
            if iteration // per_epoch != epoch:
                epoch = iteration // per_epoch
                order = epoch_order(seed, epoch, samples)
                batches = order[: per_epoch * batch_size].reshape(per_epoch, batch_size)
            rows.append(batches[iteration % per_epoch])
        yield np.stack(rows)

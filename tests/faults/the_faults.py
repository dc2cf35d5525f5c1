"""All faults."""

from tests.faults import clock, damage, disk, divergence, downloads, on_slurm, processes, twice

FAULTS = [
    *processes.FAULTS,
    *twice.FAULTS,
    *damage.FAULTS,
    *disk.FAULTS,
    *clock.FAULTS,
    *divergence.FAULTS,
    *downloads.FAULTS,
    *on_slurm.FAULTS,
]

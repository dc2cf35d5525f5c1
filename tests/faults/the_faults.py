"""All faults."""

import clock
import damage
import disk
import divergence
import downloads
import on_slurm
import processes
import twice

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

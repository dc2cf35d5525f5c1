"""How much is done on a GPU, and in a rehearsal without one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """What the slices take.

    Args:
        tests: files of tests, the last one with captures that fail.
        networks: that are trained and measured.
        iterations: of the runs whose bytes are compared.
        others: runs beside one of these.
        graphs: iterations in a CUDA graph, 0 for none.
        processes: that train side by side.
        at_once: iterations of which the end is awaited, or those of a graph where they are more.
        seconds: for which they do.
        begun: seconds that all of them may take to begin.
        samples: that are measured.
        rounds: of measuring.
        extents: of the Gram matrices that are decomposed.
        configuration: of the paper, below the repository.
    """

    tests: tuple[str, ...]
    networks: tuple[str, ...]
    iterations: int
    others: int
    graphs: tuple[int, ...]
    processes: tuple[int, ...]
    at_once: int
    seconds: float
    begun: float
    samples: int
    rounds: int
    extents: tuple[int, ...]
    configuration: str


FULL = Sizes(
    tests=(
        "tests/device",
        "tests/experiment/test_training.py",
        "tests/command/test_measure.py",
        "tests/experiment/test_graphs.py",
    ),
    networks=("mlp", "vgg10"),
    iterations=20_000,
    others=7,
    graphs=(100, 0, 1000, 10),
    processes=(1, 4, 16),
    at_once=100,
    seconds=6,
    begun=60,
    samples=300,
    rounds=5,
    extents=(10, 100, 500),
    configuration="config/config.yaml",
)
REHEARSAL = Sizes(
    tests=("tests/measurement/test_fetching.py",),
    networks=("mlp",),
    iterations=60,
    others=1,
    graphs=(0,),
    processes=(1, 2),
    at_once=5,
    seconds=0.1,
    begun=0,
    samples=2,
    rounds=2,
    extents=(3,),
    configuration="config/demo.yaml",
)

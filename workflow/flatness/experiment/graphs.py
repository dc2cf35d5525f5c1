"""Iterations of SGD as CUDA graphs.

On a GPU, launching the kernels of a small network one by one takes longer than running
them. A CUDA graph holds those of several whole iterations and is launched at once.
"""

import torch
from torch import Tensor

from flatness.errors import DeviceError
from flatness.experiment.sgd import Sgd


class GraphedSgd:
    """An `Sgd` on a GPU that replays `length` iterations at a time from one CUDA graph.

    Called like the `Sgd`, with the same results to rounding. It does the iterations that are
    left over after whole replays itself, so that the number of batches in a call alone decides
    which ones are replayed.

    The network's Python code runs once, at the capture, in the first call that fills a graph.
    Random numbers of the GPU's default generator are drawn anew in each replay, because torch
    registers that generator with every graph.

    Args:
        sgd: its network, inputs and targets stay where they are in memory.
        length: iterations in one replay.
    """

    def __init__(self, sgd: Sgd, length: int):
        self._sgd, self._length = sgd, length
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batches: Tensor) -> Tensor:
        """Do one iteration for each row of `batches`; see `Sgd.__call__`.

        Raises:
            DeviceError: the network cannot be captured.
        """
        replayed = len(batches) - len(batches) % self._length
        losses = [
            self._replay(part) for part in batches[:replayed].split(self._length) if len(part)
        ]
        if replayed < len(batches):
            losses.append(self._sgd(batches[replayed:]))
        return torch.cat(losses)

    def _replay(self, batches: Tensor) -> Tensor:
        if self._graph is None:
            self._capture(batches)
        self._batches.copy_(batches)
        self._graph.replay()
        return self._losses.clone()

    def _capture(self, batches: Tensor) -> None:
        """Record the iterations of `batches`, leaving network and generators as they are."""
        self._batches = batches.clone()
        stream = torch.cuda.Stream()
        with torch.random.fork_rng([batches.device]):
            self._warm_up(stream)
            before = torch.get_rng_state()
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, stream=stream):
                    self._losses = self._sgd(self._batches)
            except RuntimeError as error:
                raise _refused(self._length, str(error).partition("\n")[0].rstrip(".")) from error
            if not torch.equal(before, torch.get_rng_state()):
                raise _refused(
                    self._length,
                    "its forward pass draws random numbers on the CPU, which each replay repeats",
                )
        self._graph = graph

    def _warm_up(self, stream: torch.cuda.Stream) -> None:
        """Let libraries set up on `stream` what must not be captured, and undo the updates."""
        state = [tensor.detach() for tensor in self._sgd.state()]
        saved = [tensor.clone() for tensor in state]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._sgd(self._batches)
        torch.cuda.current_stream().wait_stream(stream)
        for tensor, value in zip(state, saved, strict=True):
            tensor.copy_(value)


def _refused(length: int, reason: str) -> DeviceError:
    return DeviceError(
        f"training.iterations_per_graph = {length}, but the network cannot be captured as a CUDA "
        f"graph: {reason}. Allowed for this network: 0. Set training.iterations_per_graph to 0."
    )

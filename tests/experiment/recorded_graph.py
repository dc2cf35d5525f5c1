"""A stand-in on the CPU for the capture and the replay of CUDA graphs.

Like a CUDA graph it records operations on addresses: a replay reads and writes the very
tensors of the capture and runs no Python code of the network. Unlike one, the recorder has to
run the operations as it records them, so it puts back what it was told to watch.
"""

from contextlib import contextmanager, nullcontext

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only


class RecordedGraph:
    """Takes the place of `torch.cuda.CUDAGraph`."""

    def __init__(self):
        self.operations = []
        self.replays = 0

    @torch.no_grad()
    def replay(self):
        self.replays += 1
        for function, arguments, keywords, results in self.operations:
            new = function(*arguments, **keywords)
            for old, value in zip(tree_leaves(results), tree_leaves(new), strict=True):
                if isinstance(old, torch.Tensor) and value.data_ptr() != old.data_ptr():
                    old.copy_(value)


class _Recorder(TorchDispatchMode):
    def __init__(self, graph):
        super().__init__()
        self.graph = graph

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        results = function(*args, **(kwargs or {}))
        operation = (function, args, kwargs or {}, results)
        # Detached, they are the same memory without autograd's rules for views.
        self.graph.operations.append(tree_map_only(torch.Tensor, torch.Tensor.detach, operation))
        return results


class _Stream:
    def wait_stream(self, other):
        pass


def install(monkeypatch, watched=(), generator_of_gpu=True):
    """Let `torch.cuda` record on the CPU; return the graphs that are made.

    Args:
        monkeypatch: pytest's.
        watched: tensors that a capture leaves as they are.
        generator_of_gpu: whether torch's generator stands for that of the GPU, which a
            capture leaves as it is, too.
    """
    graphs = []

    def make():
        graphs.append(RecordedGraph())
        return graphs[-1]

    @contextmanager
    def capture(graph, stream):
        saved = [tensor.detach().clone() for tensor in watched]
        generator = torch.get_rng_state()
        with _Recorder(graph):
            yield
        if generator_of_gpu:
            torch.set_rng_state(generator)
        for tensor, value in zip(watched, saved, strict=True):
            tensor.detach().copy_(value)

    replacements = {
        "CUDAGraph": make,
        "graph": capture,
        "Stream": _Stream,
        "current_stream": _Stream,
        "stream": lambda stream: nullcontext(),
        "get_rng_state": lambda device: torch.empty(0),
        "set_rng_state": lambda state, device: None,
    }
    for name, replacement in replacements.items():
        monkeypatch.setattr(torch.cuda, name, replacement)
    return graphs

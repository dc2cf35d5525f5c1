"""Training one network with plain SGD or another optimiser.

A run is a pure function of its plan and the dataset. Its whole state between two
checkpoints is the weights and what the optimiser remembers, for plain SGD nothing:
batch order depends on (seed, epoch) only, and torch's generators are seeded anew,
from (seed, iteration), after every checkpoint. A checkpoint is therefore all that
is needed to resume with the same bits.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flatness.experiment.batches import iterations_per_epoch, mini_batches
from flatness.experiment.checkpoints import Checkpoint, StateFolder, write_run
from flatness.experiment.dense import lay_out
from flatness.experiment.device import configure, device_name, memory_format
from flatness.experiment.graphs import GraphedSgd
from flatness.experiment.look import Look
from flatness.experiment.losses import loss_function, targets
from flatness.experiment.networks import build
from flatness.experiment.optimisers import make_optimiser
from flatness.experiment.prepared import load_prepared
from flatness.experiment.repeatable import repeatable_operations
from flatness.experiment.schedule import checkpoint_iterations
from flatness.experiment.sgd import Sgd
from flatness.progress.share import done
from flatness.provenance import commit, processor

log = logging.getLogger(__name__)

# Iterations between two looks at whether the loss is still finite, rounded up to whole graphs.
_LOOK_EVERY = 100
# Images evaluated together. On a CPU their activations should stay in its caches; a GPU is kept
# busy by more, of which VGG10 needs 1 GB at a time.
_EVALUATED_BY_CPU, _EVALUATED_BY_GPU = 1000, 5000


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that decides a run's outcome but the dataset.

    Args:
        run: id of the run.
        network: `name` and options, as in the configuration.
        loss: see `losses`.
        learning_rate: constant step size.
        batch_size: samples in a mini-batch.
        seed: of initial weights and batch order.
        iterations: number of updates.
        early_checkpoints, late_checkpoints: see `schedule`.
        device: "auto", "cpu" or "cuda".
        threads: CPU threads.
        iterations_per_graph: iterations in one CUDA graph, see `graphs`; 0 for none. Other
            devices ignore it.
        optimiser: `name` and options, as in the configuration; None for plain SGD.
    """

    run: str
    network: dict[str, Any]
    loss: str
    learning_rate: float
    batch_size: int
    seed: int
    iterations: int
    early_checkpoints: int
    late_checkpoints: int
    device: str
    threads: int
    iterations_per_graph: int
    optimiser: dict[str, Any] | None = None

    def facts(self) -> dict[str, Any]:
        """All of it, as files of runs have it; plain SGD is not mentioned."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name != "optimiser" or value is not None
        }

    @property
    def schedule(self) -> tuple[int, ...]:
        """The iterations at which the run is checkpointed."""
        return checkpoint_iterations(self.iterations, self.early_checkpoints, self.late_checkpoints)


def train(
    plan: TrainingPlan,
    dataset: str | Path,
    output: str | Path,
    state: str | Path,
    *,
    code: str = "",
    until: int | None = None,
) -> None:
    """Train one run, or finish it where an earlier attempt stopped.

    At each checkpoint the loss and accuracy on the full training and test sets and
    the predicted class of each test image are recorded; in between, the loss of
    each mini-batch. A run whose loss stops being finite ends there, with the
    iteration stated in the file.

    Args:
        plan: the run.
        dataset: a prepared dataset.
        output: where the finished run goes (see `checkpoints`).
        state: folder for checkpoints until then. It stays, see `flatness.jobs.states`.
        code: fingerprint of the code, for provenance; a state of other code is not resumed.
        until: iteration after which no checkpoint is made, to begin a run without finishing it;
            the checkpoints until then have the bits of the whole run's.

    Raises:
        DeviceError: the device asked for cannot be used, or cannot replay the network.
        StorageError: the prepared dataset is damaged.
    """
    device = configure(plan.device, plan.threads)
    data = load_prepared(dataset)
    facts = {
        "plan": plan.facts(),
        "device": device_name(device),
        "dataset_checksum": data.checksum,
        "iterations_per_epoch": iterations_per_epoch(len(data.train_targets), plan.batch_size),
        "torch": torch.__version__,
        "code": code,
    }
    folder = StateFolder(state, facts)
    loop = _Loop(plan, data, device)
    schedule = [each for each in plan.schedule if until is None or each <= until]

    checkpoints = folder.resume(plan.schedule)
    if checkpoints:
        log.info("%s: resuming at iteration %d", plan.run, checkpoints[-1].iteration)
    else:
        folder.clear()
        checkpoints = [loop.start()]
        folder.save(checkpoints[0])
    loop.restore(checkpoints[-1])

    diverged_at, tail = None, torch.empty(0, device="cpu")
    pace = _Pace(plan, checkpoints[-1].iteration)
    with repeatable_operations(device):
        for end in schedule[len(checkpoints) :]:
            losses = loop.advance(checkpoints[-1].iteration, end)
            checkpoint, finite = None, _leading_finite(losses)
            if finite == end - checkpoints[-1].iteration:
                checkpoint = loop.checkpoint(end, losses)
            if checkpoint is None or not checkpoint.record["train_loss"].isfinite():
                tail = losses[:finite]
                diverged_at = checkpoints[-1].iteration + min(finite + 1, len(losses))
                log.warning("%s: the loss is not finite at iteration %d", plan.run, diverged_at)
                break
            folder.save(checkpoint)
            checkpoints.append(checkpoint)
            pace.log(checkpoint)

    # Where and by which commit it was finished is told, but does not tell one run from another.
    place = {"commit": commit(), "processor": processor()}
    write_run(output, checkpoints, tail, facts | place | {"diverged_at": diverged_at})


class _Loop:
    """The network and the data of one run, resident on the device."""

    def __init__(self, plan: TrainingPlan, data, device: torch.device):
        self.plan, self.device = plan, device
        shape = data.train_inputs.shape[1:]
        self.network = build(plan.network, shape, data.outputs, plan.seed).to(device)
        layout = memory_format(self.network, device)
        self.network.to(memory_format=layout).train()
        lay_out(self.network)
        self.loss = loss_function(plan.loss)
        self.inputs, self.labels, self.targets = {}, {}, {}
        for split in ("train", "test"):
            inputs = torch.from_numpy(getattr(data, f"{split}_inputs"))
            self.inputs[split] = inputs.to(device, memory_format=layout)
            self.labels[split] = torch.from_numpy(getattr(data, f"{split}_targets")).to(device)
            self.targets[split] = targets(
                plan.loss, self.labels[split], data.outputs, self.inputs[split].dtype
            )
        self.optimiser = None
        if plan.optimiser is not None:
            self.optimiser = make_optimiser(plan.optimiser, self.network, plan.learning_rate)
        self.iterate = Sgd(
            self.network,
            self.loss,
            plan.learning_rate,
            self.inputs["train"],
            self.targets["train"],
            self.optimiser,
        )
        self.block = _LOOK_EVERY
        if device.type == "cuda" and plan.iterations_per_graph:
            self.iterate = GraphedSgd(self.iterate, plan.iterations_per_graph)
            self.block = plan.iterations_per_graph * ceil(_LOOK_EVERY / plan.iterations_per_graph)

    def start(self) -> Checkpoint:
        """The checkpoint of iteration 0."""
        return self.checkpoint(0, torch.empty(0, device="cpu"))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Make network and optimiser what they were at `checkpoint`."""
        self.network.load_state_dict(dict(checkpoint.weights))
        for name, remembered in checkpoint.optimiser.items():
            self.optimiser.state[name].copy_(remembered)

    def advance(self, begin: int, end: int) -> Tensor:
        """Do the iterations begin + 1 .. end, or fewer if the loss stops being finite.

        Returns:
            (iterations done,) float32 on the CPU, the loss of each mini-batch. On a GPU some
            iterations more than on a CPU are done after one that is not finite.
        """
        plan, samples = self.plan, len(self.labels["train"])
        losses, look = [], None
        seed = int(np.random.SeedSequence([plan.seed, begin]).generate_state(1)[0])
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            for batches in mini_batches(
                plan.seed, samples, plan.batch_size, begin, end, self.block
            ):
                # Of memory that may be moved, torch makes a copy before it goes on.
                there = torch.from_numpy(batches).to(self.device, non_blocking=True)
                losses.append(self.iterate(there))
                done(len(batches) / plan.iterations)
                before, look = look, Look(losses[-1])
                # A GPU is asked about the block before, while it is busy with this one.
                asked = look if self.device.type == "cpu" else before
                if asked is not None and not asked.all_finite():
                    break
        return torch.cat(losses).cpu()

    def checkpoint(self, iteration: int, minibatch_loss: Tensor) -> Checkpoint:
        """The network as it is, evaluated on all images."""
        record = {"minibatch_loss": minibatch_loss}
        for split in ("train", "test"):
            loss, predicted = self._evaluate(split)
            correct = predicted == self.labels[split]
            record[f"{split}_loss"] = loss
            record[f"{split}_accuracy"] = correct.double().mean().cpu()
        record["test_prediction"] = predicted.to(torch.int16).cpu()
        remembered = {} if self.optimiser is None else self.optimiser.state
        return Checkpoint(
            iteration, _copied(self.network.state_dict()), record, _copied(remembered)
        )

    @torch.no_grad()
    def _evaluate(self, split: str) -> tuple[Tensor, Tensor]:
        """Mean loss (float64) and predicted outputs over all images of a split."""
        self.network.eval()
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        predicted = []
        together = _EVALUATED_BY_CPU if self.device.type == "cpu" else _EVALUATED_BY_GPU
        batches = zip(
            self.inputs[split].split(together), self.targets[split].split(together), strict=True
        )
        for inputs, target in batches:
            output = self.network(inputs)
            total += self.loss(output, target).double() * len(inputs)
            predicted.append(output.argmax(dim=1))
        self.network.train()
        return (total / len(self.labels[split])).cpu(), torch.cat(predicted)


class _Pace:
    """How fast a run is, with one line per checkpoint in the log."""

    def __init__(self, plan: TrainingPlan, begin: int):
        self.plan, self.begin = plan, begin
        self.started = time.monotonic()
        done(begin / plan.iterations)  # by an earlier attempt

    def log(self, checkpoint: Checkpoint) -> None:
        """Log a checkpoint with the rate so far and the time that is left at this rate."""
        rate = (checkpoint.iteration - self.begin) / max(time.monotonic() - self.started, 1e-9)
        left = (self.plan.iterations - checkpoint.iteration) / max(rate, 1e-9)
        log.info(
            "%s: iteration %d of %d, train loss %.4g, train accuracy %.4f, test accuracy %.4f, "
            "%.0f it/s, %.0f s left",
            self.plan.run,
            checkpoint.iteration,
            self.plan.iterations,
            checkpoint.record["train_loss"],
            checkpoint.record["train_accuracy"],
            checkpoint.record["test_accuracy"],
            rate,
            left,
        )


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def _leading_finite(losses: Tensor) -> int:
    """How many losses come before the first that is not finite."""
    bad = (~losses.isfinite()).nonzero()
    return int(bad[0]) if len(bad) else len(losses)

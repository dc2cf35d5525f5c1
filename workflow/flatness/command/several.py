"""Several checkpoints of one network on the command line: curves in the place of numbers."""

import hashlib
import json
import sys
from argparse import Namespace
from pathlib import Path

import torch

from flatness.command.factory import source_digest
from flatness.command.images import Samples
from flatness.command.output import Output
from flatness.command.subject import Subject, subject
from flatness.command.summary_of_checkpoints import summary_of_checkpoints
from flatness.errors import BoundError
from flatness.progress.bar import progress
from flatness.series.checkpoint_files import checkpoint_files, is_pattern
from flatness.series.recorder import Recorder
from flatness.weights.loading import load_weights, read_weights
from flatness.weights.place import Place


def is_several(options: Namespace) -> bool:
    """Whether weights are those of several checkpoints: a pattern, or more than one file."""
    names = options.weights or []
    return len(names) > 1 or any(map(is_pattern, names))


def measure_several(
    options: Namespace, samples: Samples, device: torch.device, output: Output
) -> str:
    """Measure a network at each of its checkpoints; write netCDF, a page and a picture.

    Every file of weights is loaded before anything is measured. What is measured is kept in a
    file beside the output until all is done, and a command that is started again goes on with it.

    Args:
        options: of the command line.
        samples: the images.
        device: where it is measured.
        output: where results go.

    Returns:
        The page, in Markdown.

    Raises:
        FlatnessError: a mistake that the user can mend; BoundError after all files are written.
    """
    files = checkpoint_files(
        options.weights,
        "--weights",
        options.iteration_after,
        "give the text before it to --iteration-after",
    )
    chosen = subject(options, samples, device)
    origins = [{"iteration": each} | _load(chosen, files[each]) for each in files]
    chosen.get_ready()
    unfinished = _unfinished(chosen, output)

    def record(**how) -> Recorder:
        recorder = Recorder(
            chosen.inputs, samples.labels, every=list(files), path=unfinished, **how
        )
        if unfinished.exists():
            held = recorder.dataset.sizes["checkpoint"]
            print(f"Goes on after {held} of {len(files)} checkpoints.", file=sys.stderr)
        with progress(options.progress, "measured", "checkpoint", len(files)) as line:
            for iteration, file in files.items():
                _load(chosen, file)
                recorder(chosen.network, iteration)
                line.finish()
        return recorder

    recorded = chosen.measured(record).dataset
    recorded = recorded.assign_coords(
        weights_file=("checkpoint", [files[int(each)] for each in recorded["iteration"]])
    )
    primitives = chosen.described(recorded, {"files": origins})
    from flatness.plot import trends  # with matplotlib, which one moment's numbers do not need

    text, violation = summary_of_checkpoints(primitives, options.powers, output.picture.name)
    output.write(primitives, text, trends(primitives))
    unfinished.unlink(missing_ok=True)
    if violation:
        raise BoundError(violation)
    return text


def _load(chosen: Subject, file: str) -> dict[str, object]:
    """Give the network the weights of a file; where they are from."""
    options = chosen.options
    place = Place.on_command_line(options.factory)
    weights = read_weights(file, place, options.weights_entry, options.weights_prefix)
    return load_weights(chosen.network, weights)


def _unfinished(chosen: Subject, output: Output) -> Path:
    """Where measurements are kept until all are there: another file for another question."""
    options = chosen.options
    asked = {
        "factory": [options.factory, source_digest(chosen.factory), options.arguments],
        "images": chosen.samples.facts(options) | {"mean": options.mean, "std": options.std},
        "measuring": [
            options.weights_entry,
            options.weights_prefix,
            options.layer,
            options.output_entry,
            options.dtype,
            options.chunk_size,
            options.probes,
            options.seed,
            options.device,
            torch.get_num_threads(),
        ],
    }
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
    return output.measurements.with_suffix(f".{digest}.unfinished.nc")

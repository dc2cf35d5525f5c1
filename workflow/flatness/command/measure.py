"""`flatness measure`: from a factory, weights and images to numbers."""

from argparse import Namespace

from flatness.command.images import read_samples
from flatness.command.options import check, factory_arguments
from flatness.command.output import Output
from flatness.command.several import is_several, measure_several
from flatness.command.subject import chosen_device, subject
from flatness.command.summary import summary
from flatness.errors import BoundError
from flatness.series.one_checkpoint import measure_one
from flatness.weights.loading import load_weights, read_weights
from flatness.weights.place import Place


def measure_images(options: Namespace) -> str:
    """Measure a network on a folder of images and write a netCDF file and a page.

    Everything that can be known to fail is looked at before measuring starts. The page takes
    its name last, so that where it is, both are.

    Args:
        options: of the command line, see `flatness.command.options`.

    Returns:
        The page, in Markdown.

    Raises:
        FlatnessError: a mistake that the user can mend, as one line; BoundError after both
            files are written.
    """
    check(options)
    factory_arguments(options)
    output = Output.of(options, picture=is_several(options))
    device = chosen_device(options)
    samples = read_samples(options)
    if is_several(options):
        return measure_several(options, samples, device, output)
    weights = None
    if options.weights is not None:
        place = Place.on_command_line(options.factory)
        weights = read_weights(
            options.weights[0], place, options.weights_entry, options.weights_prefix
        )
    chosen = subject(options, samples, device)
    origin: dict[str, object] = {"random_seed": options.random_weights}
    if weights is not None:
        origin = load_weights(chosen.network, weights)
    chosen.get_ready()
    primitives = chosen.measured(
        lambda **how: measure_one(
            chosen.network, chosen.inputs, samples.labels, {"progress": options.progress} | how
        )
    )
    primitives = chosen.described(primitives, origin)
    text, violation = summary(primitives, options.powers)
    output.write(primitives, text)
    if violation:
        raise BoundError(violation)
    return text

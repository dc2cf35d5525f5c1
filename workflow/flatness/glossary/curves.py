"""What is one number at each checkpoint, so that it can be drawn over training and correlated."""

from flatness.glossary import Term
from flatness.glossary.primitives import PRIMITIVES
from flatness.glossary.quantities import ANALYSIS, QUANTITIES

# Of all training or test images, not of a sample set.
_OF_ALL_IMAGES = (
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "misclassified_total",
    "generalisation_gap",
)
# One number for each layer.
_OF_LAYERS = ("layer_mls", "layer_mean_log_volume")


def curves() -> dict[str, Term]:
    """The glossary's rows of all quantities and curves of training, by name."""
    known = PRIMITIVES | ANALYSIS
    quantities = {name: term for name, term in QUANTITIES.items() if name not in _OF_LAYERS}
    return {name: known[name] for name in _OF_ALL_IMAGES} | quantities

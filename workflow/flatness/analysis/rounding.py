"""How far rounding carries the two sides of an inequality apart."""

from math import log10

import numpy as np

# Both sides are sums over many terms in the network's dtype: their ratio may be off by so many
# times its relative precision.
ROUNDING = 100


def log10_rounding(dtype: str) -> float:
    """What rounding may take from log10(right / left).

    Args:
        dtype: of network and measurement, such as "float32".
    """
    return log10(1 + ROUNDING * float(np.finfo(dtype).eps))

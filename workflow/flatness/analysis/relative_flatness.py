"""The relative flatness of the last layer (Petzka et al., 2021), in closed form.

Of a layer z = W h + b with rows w_s it is

    sum_{s,s'} <w_s, w_s'> Tr H_{s,s'},    H_{s,s'} = d^2 L / dw_s dw_s',

here with the L of Eq. 2, 1/(2n) sum_i ||f(x_i) - y_i||^2. Where the layer's output is the network's
output, f_s(x) = <w_s, h(x)> + b_s, and h depends on no entry of W. So

    dL/dw_s    = 1/n sum_i (f_s(x_i) - y_is) h(x_i),
    H_{s,s'}   = delta_ss' 1/n sum_i h(x_i) h(x_i)^T,

neither targets nor biases enter, and with Tr h h^T = ||h||^2 the sum is

    sum_s ||w_s||^2 1/n sum_i ||h(x_i)||^2 = ||W||_F^2 1/n sum_i ||h(x_i)||^2.

That rests on one position and on a weight that is used nowhere else: on Eq. 4. It does not change
where all units of the layer before are scaled by c and W by 1/c.
"""

import numpy as np
import xarray as xr

from flatness.analysis.absent import absent, not_measured
from flatness.analysis.means import mean


def relative_flatness(primitives: xr.Dataset) -> xr.DataArray:
    """||W||_F^2 mean ||h||_2^2, W the weight of the output layer and h its input.

    Absent where no linear layer's output is the network's output, or where Eq. 4 does not hold
    for it.
    """
    if reason := not_measured(primitives, "layer_weight_frobenius_norm"):
        return absent(primitives, reason)
    weights = primitives["layer_weight_frobenius_norm"]
    if "absent" in weights.attrs:
        return absent(primitives, weights.attrs["absent"])
    name = weights.attrs["output_layer"]
    last = {"layer": name}
    if not primitives["layer_eq4_holds"].sel(last).min():
        return absent(primitives, f"Eq. 4 does not hold for the output layer {name}")
    norms = primitives["layer_input_norm"].sel(last, drop=True)
    return np.square(weights.sel(last, drop=True)) * mean(np.square(norms))

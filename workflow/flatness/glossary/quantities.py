"""What is computed from the primitives; quantities are means over the n samples of one set."""

from flatness.glossary import Term

QUANTITIES: dict[str, Term] = {
    "sharpness": Term("$S$", "sharpness", "1/n sum_i ||K_i||_F^2, K = df/dtheta", "Eq. 3"),
    "sqrt_sharpness": Term(
        r"$\sqrt{S}$", "square root of the sharpness", "sqrt(1/n sum_i ||K_i||_F^2)", "Eq. 3"
    ),
    "sharpness_before_last_layer": Term(
        "",
        "share of the parameters before the last layer in the sharpness",
        "1/n sum_i sum_p ||df/dtheta_p||_F^2 over all parameters p but weight and bias of the last "
        "linear layer",
        "Eq. 3, restricted",
    ),
    "sqrt_sharpness_before_last_layer": Term(
        "",
        "square root of the share of the parameters before the last layer in the sharpness",
        "sqrt(sharpness_before_last_layer)",
        "Eq. 3, restricted",
    ),
    "adaptive_sharpness": Term(
        r"$S_\mathrm{ad}$",
        "adaptive sharpness",
        "1/n sum_i ||theta o K_i||_F^2, K = df/dtheta, o the product entry by entry",
        "adaptive sharpness",
    ),
    "sqrt_adaptive_sharpness": Term(
        r"$\sqrt{S_\mathrm{ad}}$",
        "square root of the adaptive sharpness",
        "sqrt(1/n sum_i ||theta o K_i||_F^2)",
        "adaptive sharpness",
    ),
    "relative_flatness": Term(
        r"$\kappa$",
        "relative flatness of the last layer",
        "sum_ss' <w_s, w_s'> Tr H_ss' = ||W||_F^2 1/n sum_i ||h_i||_2^2, H of Eq. 2, W the weight "
        "of the output layer f = W h + b",
        "relative flatness",
    ),
    "log_volume": Term(
        r"$\log\,\mathrm{dVol}$",
        "log volume",
        "1/n sum_i sum_j log sigma_ij over all N singular values (natural logarithm)",
        "Eq. 10",
    ),
    "log_volume_top3": Term(
        r"$\log\,\mathrm{dVol}_3$",
        "log volume of the three largest singular values",
        "1/n sum_i sum_{j<=3} log sigma_ij (natural logarithm)",
        "Eq. 10, restricted",
    ),
    "log_mean_volume": Term(
        r"$\log\,\overline{\mathrm{dVol}}$",
        "logarithm of the averaged volumetric ratio",
        "log(1/n sum_i prod_j sigma_ij) (natural logarithm)",
        "Eq. 12",
    ),
    "mean_input_gradient_sq_norm": Term(
        "$G$", "squared input-gradient norm", "1/n sum_i ||J_i||_F^2, J = df/dx", "Eq. 6, k = 2"
    ),
    "mls": Term("MLS", "maximum local sensitivity", "1/n sum_i sigma_i1", "Eq. 13"),
    "local_dimension": Term(
        r"$D_\mathrm{PR}$",
        "local dimensionality",
        "1/n sum_i (sum_j sigma_ij^2)^2 / sum_j sigma_ij^4",
        "Eq. 14",
    ),
    "mls_bound_b": Term(
        "$B$",
        "bound B of the maximum local sensitivity",
        "||W||_2 / n sum_i ||K_i^W||_F / ||x_i||_2, K^W = df/dW, W the first linear layer's weight",
        "Eq. 28",
    ),
    "mls_bound_c": Term(
        "$C$",
        "bound C of the maximum local sensitivity",
        "||W||_2 sqrt(1/n sum_i 1/||x_i||_2^2) sqrt(1/n sum_i ||K_i^W||_F^2)",
        "Eq. 28",
    ),
    "mls_bound_d": Term(
        "$D$",
        "bound D of the maximum local sensitivity",
        "||W||_2 sqrt(1/n sum_i 1/||x_i||_2^2) sqrt(S)",
        "Eq. 13, 28",
    ),
    "mls_bound_unshared": Term(
        "$U$",
        "unshared bound of the maximum local sensitivity",
        "t / n sum_i ||df_i/dz||_F, z = T x + b the output of the first layer, a linear one or a "
        "convolution, t its layer_operator_norm, at least ||T||_2",
    ),
    "layer_mls": Term(
        r"$\mathrm{MLS}_l$",
        "maximum local sensitivity to one layer's input",
        "1/n sum_i ||df/dx_i^l||_2, x^l the input of layer l",
        "NMLS, one term",
    ),
    "nmls": Term(
        "NMLS",
        "network-wide maximum local sensitivity",
        "1/n sum_i sum_l ||df/dx_i^l||_2 over all linear layers and convolutions",
        "NMLS",
    ),
    "layer_mean_log_volume": Term(
        r"$\overline{\log\,\mathrm{dVol}_l}$",
        "log volume of the map from one layer's input to the output",
        "1/n sum_i sum_j log sigma_j(df/dx_i^l) over all N singular values, x^l the input of "
        "layer l (natural logarithm)",
        "NVR, one term",
    ),
    "nvr": Term(
        "NVR",
        "network-wide volume ratio",
        "1/n sum_i sum_l sum_j log sigma_j(df/dx_i^l) over all linear layers and convolutions "
        "(natural logarithm)",
        "NVR",
    ),
    "hessian_trace": Term(
        r"$\mathrm{Tr}\,\nabla^2 L$",
        "trace of the loss Hessian",
        "Tr of the second derivative in theta of L = 1/(2n) sum_i ||f(x_i) - y_i||_2^2",
        "Eq. 2",
    ),
    "hessian_trace_standard_error": Term(
        "",
        "standard error of the trace of the loss Hessian",
        "0 where the trace is exact; else that of the mean over random probes",
        "Eq. 2",
    ),
    "hessian_gap": Term(
        r"$|\mathrm{Tr}\,\nabla^2 L - S|$",
        "distance between the trace of the loss Hessian and the sharpness",
        "|Tr - S| = |1/n sum_ij (f_j(x_i) - y_ij) Tr d^2 f_j(x_i)/dtheta^2|",
        "Lemma A.1",
    ),
    "mean_residual_norm": Term(
        r"$\langle\|f(x) - y\|\rangle$",
        "mean distance between output and target",
        "1/n sum_i ||f(x_i) - y_i||_2, y one-hot",
        "Lemma A.1",
    ),
    "zero_singular_values": Term(
        "",
        "number of singular values that are exactly zero",
        "count over samples and modes; each makes its sample's log volume minus infinity",
        "",
        "singular values",
    ),
    "unresolved_singular_values": Term(
        "",
        "number of non-zero singular values below the network's floating-point resolution",
        "count of 0 < sigma_ij <= eps * sigma_i1, eps of the dtype the network was measured in",
        "",
        "singular values",
    ),
}

# What `analyse` puts beside the quantities: both sides of every inequality, and differences of
# the training curves.
ANALYSIS: dict[str, Term] = {
    "inequality": Term("", "name of an inequality", "see flatness.analysis.bounds"),
    "log10_left": Term("", "left side of the inequality", "log10 of the smaller side"),
    "log10_right": Term("", "right side of the inequality", "log10 of the larger side"),
    "slack": Term(
        r"$\log_{10}(\mathrm{right}/\mathrm{left})$",
        "slack of the inequality",
        "log10(right / left)",
    ),
    "tightest_sample": Term(
        "",
        "position of the sample that is shown of an inequality that holds for each sample",
        "the one with the least slack; -1 for inequalities between means",
    ),
    "generalisation_gap": Term("", "generalisation gap", "test loss - train loss"),
}

"""What is computed from the primitives; each is a mean over the n samples of one set."""

from flatness.glossary import Term

QUANTITIES: dict[str, Term] = {
    "sharpness": Term("$S$", "sharpness", "1/n sum_i ||K_i||_F^2, K = df/dtheta", "Eq. 3"),
    "sqrt_sharpness": Term(
        r"$\sqrt{S}$", "square root of the sharpness", "sqrt(1/n sum_i ||K_i||_F^2)", "Eq. 3"
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
    "input_gradient_norm": Term(
        "$G$", "squared input-gradient norm", "1/n sum_i ||J_i||_F^2, J = df/dx", "Eq. 6, k = 2"
    ),
    "mls": Term("MLS", "maximum local sensitivity", "1/n sum_i sigma_i1", "Eq. 13"),
    "local_dimension": Term(
        r"$D_\mathrm{PR}$",
        "local dimensionality",
        "1/n sum_i (sum_j sigma_ij^2)^2 / sum_j sigma_ij^4",
        "Eq. 14",
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

"""What is measured and computed with random probes only (`flatness.measure(probes=...)`)."""

from flatness.glossary import Term

_OF_PROBES = "standard deviation over random combinations of the outputs / sqrt(combinations)"


def _error(what: str, equation: str = "") -> Term:
    return Term("", f"standard error of the {what}", _OF_PROBES, equation)


PRIMITIVES_OF_ESTIMATES: dict[str, Term] = {
    "parameter_gradient_sq_norm_standard_error": _error(
        "squared Frobenius norm of the Jacobian with respect to one parameter tensor", "Eq. 3"
    ),
    "total_gradient_sq_norm_standard_error": _error(
        "squared Frobenius norm of the Jacobian with respect to all parameters", "Eq. 3"
    ),
    "parameter_adaptive_sq_norm_standard_error": _error(
        "squared Frobenius norm of the Jacobian with respect to one parameter tensor, times it",
        "adaptive sharpness",
    ),
    "total_adaptive_sq_norm_standard_error": _error(
        "squared Frobenius norm of the Jacobian with respect to all parameters, times them",
        "adaptive sharpness",
    ),
    "layer_output_gradient_sq_norm_standard_error": _error(
        "squared Frobenius norm of the Jacobian with respect to a layer's output"
    ),
    "input_gradient_sq_norm": Term(
        r"$\|J\|_F^2$",
        "squared Frobenius norm of the input Jacobian",
        "||J||_F^2 = sum over outputs and entries of (df_j/dx_m)^2, J = df/dx",
        "Eq. 6",
    ),
    "input_gradient_sq_norm_standard_error": _error(
        "squared Frobenius norm of the input Jacobian", "Eq. 6"
    ),
    "input_times_gradient_sq_norm_standard_error": _error(
        "squared Frobenius norm of the input Jacobian, times the input", "adaptive sharpness"
    ),
    "input_jacobian_norm": Term(
        r"$\sigma_1$",
        "spectral norm of the input Jacobian",
        "sigma_1 of J = df/dx, by Lanczos iterations: a lower bound that converges",
        "Eq. 13",
    ),
    "input_jacobian_norm_residual": Term(
        "",
        "residual of the spectral norm of the input Jacobian",
        "||J v - s u||_2 with s the norm, ||u||_2 = ||v||_2 = 1 and J^T u = s v; a singular value "
        "lies within it of s",
        "Eq. 13",
    ),
}

_OF_MEANS = "sqrt(sum_i e_i^2) / n, e_i the standard error over the probes of sample i"

# Means over the n samples of one set.
QUANTITIES_OF_ESTIMATES: dict[str, Term] = {
    "sharpness_standard_error": Term("", "standard error of the sharpness", _OF_MEANS, "Eq. 3"),
    "adaptive_sharpness_standard_error": Term(
        "", "standard error of the adaptive sharpness", _OF_MEANS, "adaptive sharpness"
    ),
    "mean_input_gradient_sq_norm_standard_error": Term(
        "", "standard error of the squared input-gradient norm", _OF_MEANS, "Eq. 6, k = 2"
    ),
    "mls_residual": Term(
        "",
        "mean residual of the maximum local sensitivity",
        "1/n sum_i r_i, r_i the residual of sigma_i1",
        "Eq. 13",
    ),
}

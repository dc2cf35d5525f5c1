"""What is measured and stored."""

from flatness.glossary import Term
from flatness.glossary.estimates import PRIMITIVES_OF_ESTIMATES

PRIMITIVES: dict[str, Term] = {
    # coordinates
    "iteration": Term("", "SGD iteration", "number of parameter updates so far", "", "iterations"),
    "epoch": Term("", "epoch", "iteration / whole batches per epoch", "", "epochs"),
    "sample_set": Term("", "sample set", "train, test or misclassified"),
    "parameter": Term("", "parameter", "name of a parameter tensor, as the network names it"),
    "layer": Term("", "layer", "name of a linear layer or convolution l, z^l = T_l x^l + b_l"),
    "image": Term(
        "", "image", "path of the sample's image file below the folder that was measured"
    ),
    "weights_file": Term("", "file of the weights", "as it was given"),
    "weights_sha256": Term(
        "", "checksum of the weights", "SHA-256 of parameters and buffers, with names and shapes"
    ),
    "window_end": Term(
        "", "last iteration of a window of mini-batches", "iteration", "", "iterations"
    ),
    # per sample
    "singular_value": Term(
        r"$\sigma_j$",
        "singular values of the input Jacobian",
        "sigma_1 >= ... >= sigma_N >= 0, sigma_j^2 the eigenvalues of J J^T, J = df/dx (N x M)",
        "Eq. 8-10",
    ),
    "parameter_gradient_sq_norm": Term(
        r"$\|\partial f/\partial\theta_p\|_F^2$",
        "squared Frobenius norm of the Jacobian with respect to one parameter tensor",
        "sum over outputs and entries of (df_j/dtheta_p)^2; over all tensors it adds to ||K||_F^2",
        "Eq. 3",
    ),
    "parameter_adaptive_sq_norm": Term(
        r"$\|\theta_p\odot\partial f/\partial\theta_p\|_F^2$",
        "squared Frobenius norm of the Jacobian with respect to one parameter tensor, times it",
        "sum over outputs and entries of (theta_p df_j/dtheta_p)^2, the product entry by entry",
        "adaptive sharpness",
    ),
    "input_times_gradient_sq_norm": Term(
        r"$\|J\,\mathrm{diag}(x)\|_F^2$",
        "squared Frobenius norm of the input Jacobian, times the input",
        "||J diag(x)||_F^2 = sum over outputs and entries of (x_m df_j/dx_m)^2",
        "adaptive sharpness",
    ),
    "input_norm": Term(r"$\|x\|_2$", "Euclidean norm of the input", "||x||_2", "Eq. 5"),
    "network_output": Term(r"$f(x)$", "network output", "f(x; theta), no softmax", "Eq. 1"),
    "label": Term("", "index of the output that the sample's class belongs to", "-1: no sample"),
    "sample_index": Term(
        "", "position of the sample among the training or test images", "-1: no sample"
    ),
    "layer_input_norm": Term(
        r"$\|x^l\|_2$", "Euclidean norm of a layer's input", "||x^l||_2", "NMLS"
    ),
    "layer_sensitivity": Term(
        r"$\|\partial f/\partial x^l\|_2$",
        "sensitivity to a layer's input",
        "spectral norm of df/dx^l, through layer l alone",
        "NMLS",
    ),
    "layer_log_volume": Term(
        r"$\log\,\mathrm{dVol}_l$",
        "log volume of the map from a layer's input to the output",
        "sum over all N modes of log sigma_j(df/dx^l), through layer l alone (natural logarithm); "
        "minus infinity where one is exactly zero, noise where one is below the resolution",
        "NVR",
    ),
    "layer_output_gradient_sq_norm": Term(
        r"$\|\partial f/\partial z^l\|_F^2$",
        "squared Frobenius norm of the Jacobian with respect to a layer's output",
        "sum over outputs and entries of (df_j/dz^l)^2: the gradient with respect to a bias of its "
        "own at every entry of z^l",
    ),
    "residual_curvature": Term(
        "",
        "curvature of the outputs, weighted with the residuals",
        "sum_j (f_j(x) - y_j) Tr d^2 f_j(x)/dtheta^2; its mean over samples is Tr - S",
        "Lemma A.1",
    ),
    "residual_curvature_standard_error": Term(
        "",
        "standard error of the weighted curvature",
        "0 where it is exact; else the standard deviation over random probes / sqrt(probes)",
        "Lemma A.1",
    ),
    "residual_norm": Term(
        r"$\|f(x) - y\|_2$", "distance between output and target", "||f(x) - y||_2", "Lemma A.1"
    ),
    # per sample, with random probes
    **PRIMITIVES_OF_ESTIMATES,
    # per checkpoint
    "layer_operator_norm": Term(
        r"$\|T_l\|_2$",
        "spectral norm of a layer as a linear map, or an upper bound",
        "||W_l||_2 for a linear layer; an upper bound of ||T_l||_2 for a convolution and for a "
        "matrix of more than 2^23 entries",
    ),
    "layer_weight_frobenius_norm": Term(
        r"$\|W_l\|_F$", "Frobenius norm of a layer's weight", "||W_l||_F"
    ),
    "layer_outputs": Term(
        "$H_l$",
        "number of outputs of a layer at one position",
        "rows of W_l; channels for a convolution",
        "",
        "outputs",
    ),
    "layer_eq4_holds": Term(
        "",
        "whether Eq. 4 holds for a layer",
        "1 if ||df/dW^l||_F = ||df/dz^l||_F ||x^l||_2, else 0",
        "Eq. 4",
    ),
    "input_weight_spectral_norm": Term(
        r"$\|W\|_2$", "spectral norm of the first linear layer's weight", "||W||_2", "Eq. 5"
    ),
    "input_weight_frobenius_norm": Term(
        r"$\|W\|_F$", "Frobenius norm of the first linear layer's weight", "||W||_F", "Eq. 5"
    ),
    "sample_count": Term("$n$", "number of samples measured", "n", "", "samples"),
    "misclassified_total": Term(
        "", "number of test images that the network gets wrong", "count", "", "images"
    ),
    "train_loss": Term("", "train loss", "training loss on all training images"),
    "train_accuracy": Term("", "train accuracy", "fraction of all training images"),
    "test_loss": Term("", "test loss", "training loss on all test images"),
    "test_accuracy": Term("", "test accuracy", "fraction of all test images"),
    "minibatch_loss": Term(
        "", "running mini-batch loss", "mean of the mini-batch losses in one window"
    ),
}

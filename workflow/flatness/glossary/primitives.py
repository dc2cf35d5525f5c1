"""What is measured and stored."""

from flatness.glossary import Term

PRIMITIVES: dict[str, Term] = {
    # coordinates
    "iteration": Term("", "SGD iteration", "number of parameter updates so far", "", "iterations"),
    "epoch": Term("", "epoch", "iteration / whole batches per epoch", "", "epochs"),
    "sample_set": Term("", "sample set", "train, test or misclassified"),
    "parameter": Term("", "parameter", "name of a parameter tensor, as the network names it"),
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
    "input_norm": Term(r"$\|x\|_2$", "Euclidean norm of the input", "||x||_2", "Eq. 5"),
    "network_output": Term(r"$f(x)$", "network output", "f(x; theta), no softmax", "Eq. 1"),
    "label": Term("", "index of the output that the sample's class belongs to", "-1: no sample"),
    "sample_index": Term(
        "", "position of the sample among the training or test images", "-1: no sample"
    ),
    # per checkpoint
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

"""What each figure shows, and what the paper says of it, in a sentence or two."""

CAPTIONS = {
    "fig1": "Train loss, test accuracy, √S, log volume, G and local dimensionality of VGG10 over "
    "training, in the paper over learning rates: after interpolation √S and log volume fall "
    "together, and higher learning rates end with lower values.",
    "fig2": "The same for VGG10, in the paper over batch sizes: smaller batches end with lower √S "
    "and log volume.",
    "fig3": "Quantities of VGG10 on a sample of the test images and on misclassified ones. The "
    "paper: √S and G rise over training; √S is higher on misclassified samples, whose volume is "
    "compressed less.",
    "figD4": "The chain A ≤ B ≤ C ≤ D of Eq. 28 for the MLP, A being the maximum local sensitivity "
    "(MLS). The paper: the gap between C and D is the largest.",
    "figD5": "Every pair of some quantities at the end of training, one point per run, with "
    "Pearson's coefficient, in the paper six quantities of 20 VGG10 networks.",
    "figD6": "As figure D.5, in the paper for 20 MLPs, with the bounds C and D besides.",
    "figE7": "As figure 2, for the MLP.",
    "figE8": "As figure 1, for the MLP.",
    "figS1": "Slack, log10(right / left), of every step of every inequality over training, MLP. An "
    "inequality holds where its slack is not below zero.",
    "figS2": "Slack of the inequalities that hold for VGG10, whose first layer is a convolution. "
    "What rests on Eq. 4 does not apply.",
    "figS3": "Distance between the trace of the loss Hessian and the sharpness, against the mean "
    "distance between output and target (Lemma A.1). Networks that are piecewise linear in each "
    "layer's parameters have no such distance.",
}

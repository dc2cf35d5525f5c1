"""What correlations between final quantities are stored as."""

from flatness.glossary import Term

CORRELATIONS: dict[str, Term] = {
    # coordinates
    "study": Term("", "study", "as named in the configuration"),
    "group": Term(
        "",
        "runs that are correlated",
        "pooled: all runs of the study; else those that share one learning rate or batch size",
    ),
    "statistic": Term("", "coefficient of correlation", "pearson, spearman or kendall (tau-b)"),
    "quantity": Term("", "one quantity", "its mean over the last fifth of a run's iterations"),
    "other_quantity": Term(
        "", "the other quantity", "its mean over the last fifth of a run's iterations"
    ),
    # per group, statistic and pair of quantities
    "coefficient": Term(
        "",
        "correlation coefficient over runs",
        "sum a b / sqrt(sum a^2 sum b^2); a, b: deviations from the mean of the values (pearson) "
        "or the ranks (spearman), signs of the differences between two runs (kendall)",
    ),
    "low": Term(
        "",
        "lower end of the confidence interval",
        "percentile of the coefficients of bootstrap draws of whole seeds",
    ),
    "high": Term(
        "",
        "upper end of the confidence interval",
        "percentile of the coefficients of bootstrap draws of whole seeds",
    ),
    "settings_low": Term(
        "",
        "lower end of the confidence interval over settings",
        "percentile of the coefficients of bootstrap draws of whole settings",
    ),
    "settings_high": Term(
        "",
        "upper end of the confidence interval over settings",
        "percentile of the coefficients of bootstrap draws of whole settings",
    ),
    "n": Term("$n$", "number of runs that count", "runs with finite values of both", "", "runs"),
    "seeds": Term("", "number of seeds that count", "of runs with finite values of both"),
    "runs": Term("", "number of runs in the group", "runs that did not diverge", "", "runs"),
    # of final quantities
    "run": Term("", "run", "as named in the table of runs"),
    "learning_rate": Term(r"$\eta$", "learning rate", "constant step size of SGD"),
    "batch_size": Term("", "batch size", "samples in each mini-batch", "", "samples"),
    "seed": Term("", "seed", "fixes initial weights and batch order"),
}

"""The paper's ten claims, part by part: the sentence, the statistic and the threshold."""

from dataclasses import dataclass

from flatness.analysis.claims.across_runs import BetterPredictor, Correlation, SettingEffect
from flatness.analysis.claims.chain import GapDifference, SmallestSlack
from flatness.analysis.claims.curves import Phase
from flatness.analysis.claims.lemma_a1 import GapFollowsResidual, RelativeGapChange
from flatness.analysis.claims.measures import Measure
from flatness.analysis.claims.misclassified import Difference, LogRatio
from flatness.analysis.claims.selection import ALL_RUNS, BATCH_SIZES, LEARNING_RATES, Selection
from flatness.analysis.claims.trends import EarlyFall, RankCorrelation
from flatness.analysis.claims.verdicts import (
    CORRELATES,
    DIRECTION,
    HALF,
    NEARLY_THE_SAME,
    Rule,
)

VGG10 = "VGG10"
MLP = "MLP"

# What each claim is about, for a table that has no room for its parts.
TITLES = {
    1: "Sharpness and log volume fall together after interpolation",
    2: "A higher learning rate leads to lower sharpness, log volume and G",
    3: "A smaller batch leads to lower sharpness and log volume",
    4: "Local dimensionality falls early; sharpness does not explain its later changes",
    5: "On test samples sharpness and G rise, log volume falls; misclassified ones are sharper",
    6: "The bounds A ≤ B ≤ C ≤ D hold, with the largest gap between C and D",
    7: "Final quantities correlate with each other and with test loss",
    8: "Bound C correlates positively with the maximum local sensitivity, D negatively",
    9: "For the MLP, learning rate and batch size act likewise; log volume goes on falling",
    10: "The trace of the loss Hessian approaches the sharpness",
}

RISES = Rule(">", DIRECTION)
FALLS = Rule("<", DIRECTION)
HOLDS = Rule(">=", DIRECTION)
CORRELATED = Rule(">=", CORRELATES)
SAME = Rule(">=", NEARLY_THE_SAME)
MOST = Rule(">=", HALF)
LESS_THAN_HALF = Rule("<", HALF)


@dataclass(frozen=True)
class Part:
    """One sentence of a claim, and how it is tested.

    Args:
        claim: its number, 1 to 10.
        part: its letter; with the claim and the network it names the part.
        statement: the paper's sentence in our words.
        rule: what the statistic must fulfil.
        figure: the target that shows it.
    """

    claim: int
    part: str
    network: str
    statement: str
    measure: Measure
    rule: Rule
    figure: str
    runs: Selection = ALL_RUNS


def _between_quantities(network: str, figure: str) -> tuple[Part, ...]:
    """Claim 7, which the paper makes for both networks."""
    return (
        Part(
            *(7, "a", network),
            "G and the maximum local sensitivity are almost the same quantity.",
            Correlation("input_gradient_norm", "mls"),
            SAME,
            figure,
        ),
        Part(
            *(7, "b", network),
            "Log volume correlates well with sharpness.",
            Correlation("log_volume", "sqrt_sharpness"),
            CORRELATED,
            figure,
        ),
        Part(
            *(7, "c", network),
            "Log volume correlates well with the maximum local sensitivity.",
            Correlation("log_volume", "mls"),
            CORRELATED,
            figure,
        ),
        Part(
            *(7, "d", network),
            "Sharpness correlates positively with test loss.",
            Correlation("sqrt_sharpness", "test_loss"),
            RISES,
            figure,
        ),
        Part(
            *(7, "e", network),
            "The maximum local sensitivity correlates with test loss better than log volume does.",
            BetterPredictor("mls", "log_volume", "test_loss"),
            RISES,
            figure,
        ),
        Part(
            *(7, "f", network),
            "The maximum local sensitivity correlates with test loss better than local "
            "dimensionality does.",
            BetterPredictor("mls", "local_dimension", "test_loss"),
            RISES,
            figure,
        ),
    )


def _lemma(network: str) -> tuple[Part, ...]:
    """Claim 10, which is tested on both networks."""
    return (
        Part(
            *(10, "a", network),
            "The trace of the Hessian and sharpness approach each other as the outputs approach "
            "the targets.",
            GapFollowsResidual(),
            RISES,
            "figS3",
        ),
        Part(
            *(10, "b", network),
            "Relative to sharpness, the trace of the Hessian is nearer to it at the end of "
            "training than at the start.",
            RelativeGapChange(),
            FALLS,
            "figS3",
        ),
    )


PARTS: tuple[Part, ...] = (
    Part(
        *(1, "a", VGG10),
        "After interpolation, sharpness and log volume decrease together.",
        RankCorrelation("sqrt_sharpness", "log_volume", Phase.LATE),
        CORRELATED,
        "fig1",
    ),
    Part(
        *(1, "b", VGG10),
        "After interpolation, sharpness decreases.",
        RankCorrelation("iteration", "sqrt_sharpness", Phase.LATE),
        FALLS,
        "fig1",
    ),
    Part(
        *(1, "c", VGG10),
        "After interpolation, log volume decreases.",
        RankCorrelation("iteration", "log_volume", Phase.LATE),
        FALLS,
        "fig1",
    ),
    Part(
        *(2, "a", VGG10),
        "At a fixed batch size, a higher learning rate leads to lower sharpness.",
        SettingEffect("learning_rate", "sqrt_sharpness"),
        FALLS,
        "fig1",
        LEARNING_RATES,
    ),
    Part(
        *(2, "b", VGG10),
        "At a fixed batch size, a higher learning rate leads to lower log volume.",
        SettingEffect("learning_rate", "log_volume"),
        FALLS,
        "fig1",
        LEARNING_RATES,
    ),
    Part(
        *(2, "c", VGG10),
        "At a fixed batch size, a higher learning rate leads to lower G.",
        SettingEffect("learning_rate", "input_gradient_norm"),
        FALLS,
        "fig1",
        LEARNING_RATES,
    ),
    Part(
        *(3, "a", VGG10),
        "At a fixed learning rate, a smaller batch size leads to lower sharpness.",
        SettingEffect("batch_size", "sqrt_sharpness"),
        RISES,
        "fig2",
        BATCH_SIZES,
    ),
    Part(
        *(3, "b", VGG10),
        "At a fixed learning rate, a smaller batch size leads to lower log volume.",
        SettingEffect("batch_size", "log_volume"),
        RISES,
        "fig2",
        BATCH_SIZES,
    ),
    Part(
        *(4, "a", VGG10),
        "Local dimensionality falls quickly at the start of training.",
        EarlyFall("local_dimension"),
        MOST,
        "fig1",
    ),
    Part(
        *(4, "b", VGG10),
        "After interpolation, changes of local dimensionality are not explained by sharpness.",
        RankCorrelation("sqrt_sharpness", "local_dimension", Phase.LATE, squared=True),
        LESS_THAN_HALF,
        "fig1",
    ),
    Part(
        *(5, "a", VGG10),
        "On test samples, sharpness rises over training.",
        RankCorrelation("iteration", "sqrt_sharpness", sample_set="test"),
        RISES,
        "fig3",
    ),
    Part(
        *(5, "b", VGG10),
        "On test samples, G rises over training.",
        RankCorrelation("iteration", "input_gradient_norm", sample_set="test"),
        RISES,
        "fig3",
    ),
    Part(
        *(5, "c", VGG10),
        "On test samples, log volume falls over training.",
        RankCorrelation("iteration", "log_volume", sample_set="test"),
        FALLS,
        "fig3",
    ),
    Part(
        *(5, "d", VGG10),
        "Sharpness is higher on misclassified test samples than on all test samples.",
        LogRatio("sqrt_sharpness"),
        RISES,
        "fig3",
    ),
    Part(
        *(5, "e", VGG10),
        "The volume at misclassified test samples is compressed less than at all test samples.",
        Difference("log_volume"),
        RISES,
        "fig3",
    ),
    Part(
        *(6, "a", MLP),
        "The bounds on the maximum local sensitivity hold at every checkpoint: A <= B <= C <= D.",
        SmallestSlack(),
        HOLDS,
        "figD4",
    ),
    Part(
        *(6, "b", MLP),
        "The gap between C and D is larger than that between A and B.",
        GapDifference("c_d", "a_b"),
        RISES,
        "figD4",
    ),
    Part(
        *(6, "c", MLP),
        "The gap between C and D is larger than that between B and C.",
        GapDifference("c_d", "b_c"),
        RISES,
        "figD4",
    ),
    *_between_quantities(VGG10, "figD5"),
    *_between_quantities(MLP, "figD6"),
    Part(
        *(8, "a", MLP),
        "Bound C correlates positively with the maximum local sensitivity.",
        Correlation("mls_bound_c", "mls"),
        RISES,
        "figD6",
    ),
    Part(
        *(8, "b", MLP),
        "Bound D correlates negatively with the maximum local sensitivity.",
        Correlation("mls_bound_d", "mls"),
        FALLS,
        "figD6",
    ),
    Part(
        *(9, "a", MLP),
        "At a fixed batch size, a higher learning rate leads to lower sharpness.",
        SettingEffect("learning_rate", "sqrt_sharpness"),
        FALLS,
        "figE8",
        LEARNING_RATES,
    ),
    Part(
        *(9, "b", MLP),
        "At a fixed batch size, a higher learning rate leads to lower log volume.",
        SettingEffect("learning_rate", "log_volume"),
        FALLS,
        "figE8",
        LEARNING_RATES,
    ),
    Part(
        *(9, "c", MLP),
        "At a fixed learning rate, a smaller batch size leads to lower sharpness.",
        SettingEffect("batch_size", "sqrt_sharpness"),
        RISES,
        "figE7",
        BATCH_SIZES,
    ),
    Part(
        *(9, "d", MLP),
        "At a fixed learning rate, a smaller batch size leads to lower log volume.",
        SettingEffect("batch_size", "log_volume"),
        RISES,
        "figE7",
        BATCH_SIZES,
    ),
    Part(
        *(9, "e", MLP),
        "G closely follows sharpness over training.",
        RankCorrelation("input_gradient_norm", "sqrt_sharpness"),
        SAME,
        "figE7",
    ),
    Part(
        *(9, "f", MLP),
        "Log volume goes on falling after sharpness has levelled off.",
        RankCorrelation("iteration", "log_volume", Phase.LEVEL),
        FALLS,
        "figE7",
    ),
    *_lemma(VGG10),
    *_lemma(MLP),
)

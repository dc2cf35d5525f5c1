"""The paper's ten claims, part by part: the sentence, the statistic and the threshold."""

from flatness.analysis.claims.across_runs import BetterCorrelated, Correlation, SettingEffect
from flatness.analysis.claims.chain import GapDifference, GapRatio, SmallestSlack
from flatness.analysis.claims.curves import Phase
from flatness.analysis.claims.lemma_a1 import GapFollowsResidual, RelativeGapChange
from flatness.analysis.claims.measures import Measure
from flatness.analysis.claims.misclassified import Difference, LogRatio
from flatness.analysis.claims.part import (
    CORRELATED,
    FALLS,
    HARDLY_CHANGES,
    HOLDS,
    LESS_THAN_HALF,
    MOST,
    RISES,
    SAME,
    Beside,
    Condition,
    Part,
)
from flatness.analysis.claims.selection import (
    BATCH_OF_32,
    BATCH_SIZES,
    BATCH_SIZES_THAT_INTERPOLATE,
    LEARNING_RATES,
    LEARNING_RATES_THAT_INTERPOLATE,
    Selection,
)
from flatness.analysis.claims.trends import (
    EarlyFall,
    RankCorrelation,
    RelativeChange,
    SlowerFall,
)
from flatness.analysis.claims.verdicts import Rule
from flatness.settings.roles import MLP, VGG10

# What each claim is about, for a table that has no room for its parts.
TITLES = {
    1: "Sharpness, log volume and G fall together after interpolation",
    2: "A higher learning rate leads to lower sharpness, log volume and G",
    3: "A smaller batch leads to lower sharpness and log volume",
    4: "Local dimensionality falls early; sharpness does not explain its later changes",
    5: "On test samples sharpness and G rise, log volume falls as on training samples; "
    "misclassified ones are sharper",
    6: "The bounds A ≤ B ≤ C ≤ D hold, with the largest gap between C and D",
    7: "Final quantities correlate with each other and with test loss",
    8: "Bound C correlates positively with the maximum local sensitivity, D negatively",
    9: "For the MLP, learning rate and batch size act likewise; log volume goes on falling",
    10: "The trace of the loss Hessian approaches the sharpness",
}

_MONOTONE = "A log volume that never rises makes this repeat the trend of sqrt_sharpness (1b)."
_NOISE = "Noise in either quantity makes the coefficient smaller, and so favours this part."
_DIRECTION = "How large the change is."
_CAUSE = "That one causes the other: both may follow the iterations."
_FEW = "What other learning rates or batch sizes would give: see the interval over settings."


def _one(measure: Measure, rule: Rule) -> tuple[Condition, ...]:
    return (Condition(measure, rule),)


def _trend(name: str, phase: Phase, sample_set: str = "train") -> RankCorrelation:
    return RankCorrelation("iteration", name, phase, sample_set)


def _late() -> tuple[Part, ...]:
    """Claim 1."""
    place = "Sec. 4.1, fourth paragraph; caption of Fig. 1"
    return (
        Part(
            *(1, "a", VGG10, "After interpolation, sharpness and log volume decrease together."),
            place,
            _one(RankCorrelation("sqrt_sharpness", "log_volume", Phase.LATE), CORRELATED),
            "fig1",
            remark=_MONOTONE,
            caveat=_CAUSE,
        ),
        *(
            Part(
                *(1, letter, VGG10, f"After interpolation, {words} decreases."),
                place,
                _one(_trend(name, Phase.LATE), FALLS),
                "fig1",
                caveat=_DIRECTION,
            )
            for letter, words, name in (
                ("b", "sharpness", "sqrt_sharpness"),
                ("c", "log volume", "log_volume"),
                ("d", "G", "mean_input_gradient_sq_norm"),
            )
        ),
    )


_QUANTITIES = {
    "sharpness": "sqrt_sharpness",
    "log volume": "log_volume",
    "G": "mean_input_gradient_sq_norm",
}


def _effect(
    name: str, network: str, words: str, setting: str, figure: str, runs: Selection, place: str
) -> Part:
    """A part of claims 2, 3 and 9: what a setting does to a final quantity."""
    cause, rule = {
        "learning_rate": ("At a fixed batch size, a higher learning rate", FALLS),
        "batch_size": ("At a fixed learning rate, a smaller batch size", RISES),
    }[setting]
    return Part(
        *(int(name[:-1]), name[-1], network, f"{cause} leads to lower {words}."),
        place,
        _one(SettingEffect(setting, _QUANTITIES[words]), rule),
        figure,
        runs,
        caveat="Whether every step of the setting acts alike, and whether the runs have come as "
        "far as each other: all have the same number of iterations.",
        tells_interpolating=network == MLP,
    )


def _learning_rates() -> tuple[Part, ...]:
    """Claim 2."""
    return tuple(
        _effect(
            *(f"2{letter}", VGG10, words, "learning_rate", "fig1"),
            LEARNING_RATES_THAT_INTERPOLATE,
            'Sec. 4.1, fourth paragraph; caption of Fig. 1 ("higher learning rates lead to lower '
            'sharpness and hence stronger compression")',
        )
        for letter, words in zip("abc", _QUANTITIES, strict=True)
    )


def _batch_sizes() -> tuple[Part, ...]:
    """Claim 3."""
    effects = (
        _effect(
            *(f"3{letter}", VGG10, words, "batch_size", "fig2"),
            BATCH_SIZES_THAT_INTERPOLATE,
            'caption of Fig. 2 ("lower batch sizes lead to lower sharpness and hence stronger '
            'compression")',
        )
        for letter, words in (("a", "sharpness"), ("b", "log volume"))
    )
    return (
        *effects,
        Part(
            *(3, "c", VGG10),
            "With a batch size of 32 sharpness stops falling, and log volume goes on.",
            "Sec. 4.1, fifth paragraph",
            (
                Condition(RelativeChange("sqrt_sharpness"), HARDLY_CHANGES),
                Condition(_trend("log_volume", Phase.LAST_HALF), FALLS),
            ),
            "fig2",
            BATCH_OF_32,
            caveat="When sharpness stops falling, in the paper after some 50,000 iterations: the "
            "last half of training is looked at.",
        ),
    )


def _dimension() -> tuple[Part, ...]:
    """Claim 4."""
    return (
        Part(
            *(4, "a", VGG10),
            "Local dimensionality falls quickly at the start of training.",
            "Sec. 3.2, first paragraph; Sec. 4.3, second paragraph",
            _one(EarlyFall("local_dimension"), MOST),
            "fig1",
            caveat="How far it falls.",
        ),
        Part(
            *(4, "b", VGG10),
            "After interpolation, changes of local dimensionality are not explained by sharpness.",
            "Abstract; Sec. 3.3; Sec. 4.3, second paragraph",
            _one(
                RankCorrelation("sqrt_sharpness", "local_dimension", Phase.LATE, squared=True),
                LESS_THAN_HALF,
            ),
            "fig1",
            remark=_NOISE,
            caveat="That nothing links the two.",
        ),
    )


def _test_samples() -> tuple[Part, ...]:
    """Claim 5."""
    rising = (
        Part(
            *(5, letter, VGG10, f"On test samples, {words} rises over training."),
            "Sec. 4.2; Fig. 3",
            _one(_trend(name, Phase.TRAINING, "test"), RISES),
            "fig3",
            caveat=_DIRECTION,
        )
        for letter, words, name in (
            ("a", "sharpness", "sqrt_sharpness"),
            ("b", "G", "mean_input_gradient_sq_norm"),
        )
    )
    return (
        *rising,
        Part(
            *(5, "c", VGG10),
            "On test samples, log volume follows the same pattern as on training samples.",
            "Sec. 4.2; Fig. 3",
            _one(
                RankCorrelation("log_volume", "log_volume", sample_set="test", second_set="train"),
                SAME,
            ),
            "fig3",
            caveat="That it falls: the two may rise together.",
        ),
        Part(
            *(5, "d", VGG10),
            "Sharpness is higher on misclassified test samples than on all test samples.",
            "Sec. 4.2; Fig. 3",
            _one(LogRatio("sqrt_sharpness"), RISES),
            "fig3",
            caveat="Anything about single samples: two means are compared.",
        ),
        Part(
            *(5, "e", VGG10),
            "The volume at misclassified test samples is compressed less than at all test samples.",
            "Sec. 4.2; Fig. 3",
            _one(Difference("log_volume"), RISES),
            "fig3",
            caveat="Anything about single samples: two means are compared.",
        ),
    )


def _bounds() -> tuple[Part, ...]:
    """Claim 6."""
    gaps = (
        Part(
            *(6, letter, MLP),
            f"The gap between C and D is larger than that between {words}.",
            "caption of Fig. D.4",
            _one(GapDifference("c_d", step), RISES),
            "figD4",
            caveat="That the larger gap is so on a logarithmic axis, too: see the ratio.",
            beside=(Beside(f"{GapRatio('c_d', step).one_run}", GapRatio("c_d", step)),),
        )
        for letter, step, words in (("b", "a_b", "A and B"), ("c", "b_c", "B and C"))
    )
    return (
        Part(
            *(6, "a", MLP),
            "The bounds on the maximum local sensitivity hold at every checkpoint: "
            "A <= B <= C <= D.",
            "Eq. 28; caption of Fig. D.4",
            _one(SmallestSlack(), HOLDS),
            "figD4",
            caveat="Anything about training: it is a theorem, and tests the stored numbers.",
        ),
        *gaps,
    )


def _between_quantities(network: str, figure: str) -> tuple[Part, ...]:
    """Claim 7, which the paper makes for both networks."""
    place = f"Sec. D.2, item {{}}; Fig. {figure.removeprefix('fig').replace('D', 'D.')}"
    loss = Condition(Correlation("mls", "test_loss"), RISES)
    predictors = (
        Part(
            *(7, letter, network),
            f"The maximum local sensitivity correlates with test loss better than {words} does.",
            place.format(4),
            (Condition(BetterCorrelated("mls", name, "test_loss"), RISES), loss),
            figure,
            caveat=f"That it correlates well. {_FEW}",
        )
        for letter, words, name in (
            ("e", "log volume", "log_volume"),
            ("f", "local dimensionality", "local_dimension"),
        )
    )
    return (
        Part(
            *(7, "a", network),
            "G and the maximum local sensitivity are almost the same quantity.",
            place.format(1),
            _one(Correlation("mean_input_gradient_sq_norm", "mls"), SAME),
            figure,
            caveat="That one is a multiple of the other: G is a mean of squares.",
            beside=(
                Beside(
                    "with the root of G", Correlation("sqrt_mean_input_gradient_sq_norm", "mls")
                ),
            ),
        ),
        Part(
            *(7, "b", network),
            "Log volume correlates well with sharpness.",
            place.format(2),
            _one(Correlation("log_volume", "sqrt_sharpness"), CORRELATED),
            figure,
            caveat=f"Sec. 3.2 says of the two that they do not correlate well. {_FEW}",
        ),
        Part(
            *(7, "c", network),
            "Log volume correlates well with the maximum local sensitivity.",
            place.format(2),
            _one(Correlation("log_volume", "mls"), CORRELATED),
            figure,
            caveat=_FEW,
        ),
        Part(
            *(7, "d", network),
            "Sharpness correlates positively with test loss.",
            place.format(3),
            _one(Correlation("sqrt_sharpness", "test_loss"), RISES),
            figure,
            caveat=f"How strongly. {_FEW}",
        ),
        *predictors,
        Part(
            *(7, "g", network),
            "The maximum local sensitivity and log volume correlate positively with test loss.",
            "Sec. 1, third contribution; Sec. 5, first paragraph",
            (loss, Condition(Correlation("log_volume", "test_loss"), RISES)),
            figure,
            caveat=f"How strongly. {_FEW}",
        ),
        Part(
            *(7, "h", network),
            "The maximum local sensitivity correlates strongly with sharpness.",
            "Sec. 1, second contribution; Sec. 5, first paragraph",
            _one(Correlation("mls", "sqrt_sharpness"), CORRELATED),
            figure,
            caveat=_FEW,
        ),
        Part(
            *(7, "i", network),
            "The maximum local sensitivity correlates with sharpness better than log volume does.",
            "Sec. 3.2, last paragraph",
            _one(BetterCorrelated("mls", "log_volume", "sqrt_sharpness"), RISES),
            figure,
            caveat=f"That it correlates strongly: that is 7h. {_FEW}",
        ),
    )


def _bounds_and_sensitivity() -> tuple[Part, ...]:
    """Claim 8."""
    return (
        Part(
            *(8, "a", MLP),
            "Bound C correlates positively with the maximum local sensitivity.",
            "caption of Fig. D.4; Fig. D.6",
            _one(Correlation("mls_bound_c", "mls"), RISES),
            "figD6",
            caveat=f"How strongly. {_FEW}",
            beside=(
                Beside(
                    "with C / ||W||_2 in the place of C, as the authors plot it",
                    Correlation("mls_bound_c_without_weight_norm", "mls"),
                ),
            ),
        ),
        *(
            Part(
                *(8, letter, MLP, f"Bound D correlates negatively with {words}."),
                place,
                _one(Correlation("mls_bound_d", name), FALLS),
                "figD6",
                caveat=f"How strongly. {_FEW}",
            )
            for letter, words, name, place in (
                ("b", "the maximum local sensitivity", "mls", "caption of Fig. D.4; Fig. D.6"),
                ("c", "test loss", "test_loss", "Sec. D.3, last sentence; Fig. D.6"),
            )
        ),
    )


def _mlp() -> tuple[Part, ...]:
    """Claim 9; all settings count, as in the paper's figures, whose MLP trains slowly."""
    effects = (
        _effect(
            *(f"9{letter}", MLP, words, setting, figure, runs),
            f"caption of Fig. {figure.removeprefix('fig').replace('E', 'E.')}",
        )
        for letter, words, setting, figure, runs in (
            ("a", "sharpness", "learning_rate", "figE8", LEARNING_RATES),
            ("b", "log volume", "learning_rate", "figE8", LEARNING_RATES),
            ("c", "sharpness", "batch_size", "figE7", BATCH_SIZES),
            ("d", "log volume", "batch_size", "figE7", BATCH_SIZES),
        )
    )
    return (
        *effects,
        Part(
            *(9, "e", MLP, "G closely follows sharpness over training."),
            "Sec. 4.1, sixth paragraph; caption of Fig. E.7",
            _one(RankCorrelation("mean_input_gradient_sq_norm", "sqrt_sharpness"), SAME),
            "figE7",
            caveat="That they are in proportion: only their order over training is compared.",
            tells_interpolating=True,
        ),
        Part(
            *(9, "f", MLP, "Log volume goes on falling after sharpness has levelled off."),
            "Sec. 4.1, sixth paragraph",
            _one(_trend("log_volume", Phase.LEVEL), FALLS),
            "figE7",
            caveat=_DIRECTION,
            tells_interpolating=True,
        ),
        Part(
            *(9, "g", MLP),
            "After sharpness has levelled off, log volume falls much more slowly.",
            "Sec. 4.1, sixth paragraph",
            _one(SlowerFall("log_volume"), LESS_THAN_HALF),
            "figE7",
            caveat="That it falls at all: that is 9f.",
            tells_interpolating=True,
        ),
    )


def _lemma(network: str) -> tuple[Part, ...]:
    """Claim 10, which is tested on both networks."""
    return (
        Part(
            *(10, "a", network),
            "The trace of the Hessian and sharpness approach each other as the outputs approach "
            "the targets.",
            "Lemma A.1",
            _one(GapFollowsResidual(), RISES),
            "figS3",
            caveat="That the gap is of the order of the residual: only their order is compared.",
        ),
        Part(
            *(10, "b", network),
            "Relative to sharpness, the trace of the Hessian is nearer to it at the end of "
            "training than at the start.",
            "Lemma A.1; Sec. 2, below Eq. 3",
            _one(RelativeGapChange(), FALLS),
            "figS3",
            caveat="That it is near: the two ends of training are compared.",
        ),
    )


PARTS: tuple[Part, ...] = (
    *_late(),
    *_learning_rates(),
    *_batch_sizes(),
    *_dimension(),
    *_test_samples(),
    *_bounds(),
    *_between_quantities(VGG10, "figD5"),
    *_between_quantities(MLP, "figD6"),
    *_bounds_and_sensitivity(),
    *_mlp(),
    *_lemma(VGG10),
    *_lemma(MLP),
)

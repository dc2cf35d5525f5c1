"""The paper's ten claims, part by part: the sentence, the statistic and the threshold."""

from flatness.analysis.claims.across_runs import BetterCorrelated, Correlation, SettingEffect
from flatness.analysis.claims.chain import GapDifference, GapRatio, SmallestSlack
from flatness.analysis.claims.curves import Phase
from flatness.analysis.claims.lemma_a1 import GapFollowsResidual, RelativeGapChange
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
from flatness.analysis.claims.statistic import Statistic
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
_LEVEL = (
    "That sharpness is constant once it has levelled off: it may still rise or fall slowly, within "
    "10 % of its final value."
)
_CAUSE = "That one causes the other: both may follow the iterations."
_FEW = "What other learning rates or batch sizes would give: see the interval over settings."


def _one(statistic: Statistic, rule: Rule) -> tuple[Condition, ...]:
    return (Condition(statistic, rule),)


def _trend(name: str, phase: Phase, sample_set: str = "train") -> RankCorrelation:
    return RankCorrelation("iteration", name, phase, sample_set)


def _late() -> tuple[Part, ...]:
    """Claim 1."""
    place = "Sec. 4.1, fourth paragraph; caption of Fig. 1"
    return (
        Part(
            claim=1,
            part="a",
            role=VGG10,
            statement="After interpolation, sharpness and log volume decrease together.",
            place=place,
            conditions=_one(
                RankCorrelation("sqrt_sharpness", "log_volume", Phase.LATE), CORRELATED
            ),
            figure="fig1",
            remark=_MONOTONE,
            caveat=_CAUSE,
        ),
        *(
            Part(
                claim=1,
                part=letter,
                role=VGG10,
                statement=f"After interpolation, {words} decreases.",
                place=place,
                conditions=_one(_trend(name, Phase.LATE), FALLS),
                figure="fig1",
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
    name: str, role: str, words: str, setting: str, figure: str, runs: Selection, place: str
) -> Part:
    """A part of claims 2, 3 and 9: what a setting does to a final quantity."""
    cause, rule = {
        "learning_rate": ("At a fixed batch size, a higher learning rate", FALLS),
        "batch_size": ("At a fixed learning rate, a smaller batch size", RISES),
    }[setting]
    return Part(
        claim=int(name[:-1]),
        part=name[-1],
        role=role,
        statement=f"{cause} leads to lower {words}.",
        place=place,
        conditions=_one(SettingEffect(setting, _QUANTITIES[words]), rule),
        figure=figure,
        runs=runs,
        caveat=(
            "Whether every step of the setting acts alike, and whether the runs have come as "
            "far as each other: all have the same number of iterations."
        ),
        tells_interpolating=role == MLP,
    )


def _learning_rates() -> tuple[Part, ...]:
    """Claim 2."""
    return tuple(
        _effect(
            name=f"2{letter}",
            role=VGG10,
            words=words,
            setting="learning_rate",
            figure="fig1",
            runs=LEARNING_RATES_THAT_INTERPOLATE,
            place=(
                'Sec. 4.1, fourth paragraph; caption of Fig. 1 ("higher learning rates lead to '
                'lower sharpness and hence stronger compression")'
            ),
        )
        for letter, words in zip("abc", _QUANTITIES, strict=True)
    )


def _batch_sizes() -> tuple[Part, ...]:
    """Claim 3."""
    effects = (
        _effect(
            name=f"3{letter}",
            role=VGG10,
            words=words,
            setting="batch_size",
            figure="fig2",
            runs=BATCH_SIZES_THAT_INTERPOLATE,
            place=(
                'caption of Fig. 2 ("lower batch sizes lead to lower sharpness and hence stronger '
                'compression")'
            ),
        )
        for letter, words in (("a", "sharpness"), ("b", "log volume"))
    )
    return (
        *effects,
        Part(
            claim=3,
            part="c",
            role=VGG10,
            statement="With a batch size of 32 sharpness stops falling, and log volume goes on.",
            place="Sec. 4.1, fifth paragraph",
            conditions=(
                Condition(RelativeChange("sqrt_sharpness"), HARDLY_CHANGES),
                Condition(_trend("log_volume", Phase.LAST_HALF), FALLS),
            ),
            figure="fig2",
            runs=BATCH_OF_32,
            caveat=(
                "When sharpness stops falling, in the paper after some 50,000 iterations: the "
                "last half of training is looked at."
            ),
        ),
    )


def _dimension() -> tuple[Part, ...]:
    """Claim 4."""
    return (
        Part(
            claim=4,
            part="a",
            role=VGG10,
            statement="Local dimensionality falls quickly at the start of training.",
            place="Sec. 3.2, first paragraph; Sec. 4.3, second paragraph",
            conditions=_one(EarlyFall("local_dimension"), MOST),
            figure="fig1",
            caveat="How far it falls.",
        ),
        Part(
            claim=4,
            part="b",
            role=VGG10,
            statement=(
                "After interpolation, changes of local "
                "dimensionality are not explained by sharpness."
            ),
            place="Abstract; Sec. 3.3; Sec. 4.3, second paragraph",
            conditions=_one(
                RankCorrelation("sqrt_sharpness", "local_dimension", Phase.LATE, squared=True),
                LESS_THAN_HALF,
            ),
            figure="fig1",
            remark=_NOISE,
            caveat="That nothing links the two.",
        ),
    )


def _test_samples() -> tuple[Part, ...]:
    """Claim 5."""
    rising = (
        Part(
            claim=5,
            part=letter,
            role=VGG10,
            statement=f"On test samples, {words} rises over training.",
            place="Sec. 4.2; Fig. 3",
            conditions=_one(_trend(name, Phase.TRAINING, "test"), RISES),
            figure="fig3",
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
            claim=5,
            part="c",
            role=VGG10,
            statement=(
                "On test samples, log volume follows the same pattern as on training samples."
            ),
            place="Sec. 4.2; Fig. 3",
            conditions=_one(
                RankCorrelation("log_volume", "log_volume", sample_set="test", second_set="train"),
                SAME,
            ),
            figure="fig3",
            caveat="That it falls: the two may rise together.",
        ),
        Part(
            claim=5,
            part="d",
            role=VGG10,
            statement="Sharpness is higher on misclassified test samples than on all test samples.",
            place="Sec. 4.2; Fig. 3",
            conditions=_one(LogRatio("sqrt_sharpness"), RISES),
            figure="fig3",
            caveat="Anything about single samples: two means are compared.",
        ),
        Part(
            claim=5,
            part="e",
            role=VGG10,
            statement=(
                "The volume at misclassified test samples is "
                "compressed less than at all test samples."
            ),
            place="Sec. 4.2; Fig. 3",
            conditions=_one(Difference("log_volume"), RISES),
            figure="fig3",
            caveat="Anything about single samples: two means are compared.",
        ),
    )


def _bounds() -> tuple[Part, ...]:
    """Claim 6."""
    gaps = (
        Part(
            claim=6,
            part=letter,
            role=MLP,
            statement=f"The gap between C and D is larger than that between {words}.",
            place="caption of Fig. D.4",
            conditions=_one(GapDifference("c_d", step), RISES),
            figure="figD4",
            caveat="That the larger gap is so on a logarithmic axis, too: see the ratio.",
            beside=(Beside(f"{GapRatio('c_d', step).one_run}", GapRatio("c_d", step)),),
        )
        for letter, step, words in (("b", "a_b", "A and B"), ("c", "b_c", "B and C"))
    )
    return (
        Part(
            claim=6,
            part="a",
            role=MLP,
            statement=(
                "The bounds on the maximum local sensitivity hold at every checkpoint: "
                "A <= B <= C <= D."
            ),
            place="Eq. 28; caption of Fig. D.4",
            conditions=_one(SmallestSlack(), HOLDS),
            figure="figD4",
            caveat="Anything about training: it is a theorem, and tests the stored numbers.",
        ),
        *gaps,
    )


def _between_quantities(role: str, figure: str) -> tuple[Part, ...]:
    """Claim 7, which the paper makes for both networks."""
    place = f"Sec. D.2, item {{}}; Fig. {figure.removeprefix('fig').replace('D', 'D.')}"
    loss = Condition(Correlation("mls", "test_loss"), RISES)
    predictors = (
        Part(
            claim=7,
            part=letter,
            role=role,
            statement=(
                f"The maximum local sensitivity correlates with test loss better than {words} does."
            ),
            place=place.format(4),
            conditions=(Condition(BetterCorrelated("mls", name, "test_loss"), RISES), loss),
            figure=figure,
            caveat=f"That it correlates well. {_FEW}",
        )
        for letter, words, name in (
            ("e", "log volume", "log_volume"),
            ("f", "local dimensionality", "local_dimension"),
        )
    )
    return (
        Part(
            claim=7,
            part="a",
            role=role,
            statement="G and the maximum local sensitivity are almost the same quantity.",
            place=place.format(1),
            conditions=_one(Correlation("mean_input_gradient_sq_norm", "mls"), SAME),
            figure=figure,
            caveat="That one is a multiple of the other: G is a mean of squares.",
            beside=(
                Beside(
                    "with the root of G", Correlation("sqrt_mean_input_gradient_sq_norm", "mls")
                ),
            ),
        ),
        Part(
            claim=7,
            part="b",
            role=role,
            statement="Log volume correlates well with sharpness.",
            place=place.format(2),
            conditions=_one(Correlation("log_volume", "sqrt_sharpness"), CORRELATED),
            figure=figure,
            caveat=f"Sec. 3.2 says of the two that they do not correlate well. {_FEW}",
        ),
        Part(
            claim=7,
            part="c",
            role=role,
            statement="Log volume correlates well with the maximum local sensitivity.",
            place=place.format(2),
            conditions=_one(Correlation("log_volume", "mls"), CORRELATED),
            figure=figure,
            caveat=_FEW,
        ),
        Part(
            claim=7,
            part="d",
            role=role,
            statement="Sharpness correlates positively with test loss.",
            place=place.format(3),
            conditions=_one(Correlation("sqrt_sharpness", "test_loss"), RISES),
            figure=figure,
            caveat=f"How strongly. {_FEW}",
        ),
        *predictors,
        Part(
            claim=7,
            part="g",
            role=role,
            statement=(
                "The maximum local sensitivity and log volume correlate positively with test loss."
            ),
            place="Sec. 1, third contribution; Sec. 5, first paragraph",
            conditions=(loss, Condition(Correlation("log_volume", "test_loss"), RISES)),
            figure=figure,
            caveat=f"How strongly. {_FEW}",
        ),
        Part(
            claim=7,
            part="h",
            role=role,
            statement="The maximum local sensitivity correlates strongly with sharpness.",
            place="Sec. 1, second contribution; Sec. 5, first paragraph",
            conditions=_one(Correlation("mls", "sqrt_sharpness"), CORRELATED),
            figure=figure,
            caveat=_FEW,
        ),
        Part(
            claim=7,
            part="i",
            role=role,
            statement=(
                "The maximum local sensitivity correlates with "
                "sharpness better than log volume does."
            ),
            place="Sec. 3.2, last paragraph",
            conditions=_one(BetterCorrelated("mls", "log_volume", "sqrt_sharpness"), RISES),
            figure=figure,
            caveat=f"That it correlates strongly: that is 7h. {_FEW}",
        ),
    )


def _bounds_and_sensitivity() -> tuple[Part, ...]:
    """Claim 8."""
    return (
        Part(
            claim=8,
            part="a",
            role=MLP,
            statement="Bound C correlates positively with the maximum local sensitivity.",
            place="caption of Fig. D.4; Fig. D.6",
            conditions=_one(Correlation("mls_bound_c", "mls"), RISES),
            figure="figD6",
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
                claim=8,
                part=letter,
                role=MLP,
                statement=f"Bound D correlates negatively with {words}.",
                place=place,
                conditions=_one(Correlation("mls_bound_d", name), FALLS),
                figure="figD6",
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
            name=f"9{letter}",
            role=MLP,
            words=words,
            setting=setting,
            figure=figure,
            runs=runs,
            place=f"caption of Fig. {figure.removeprefix('fig').replace('E', 'E.')}",
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
            claim=9,
            part="e",
            role=MLP,
            statement="G closely follows sharpness over training.",
            place="Sec. 4.1, sixth paragraph; caption of Fig. E.7",
            conditions=_one(RankCorrelation("mean_input_gradient_sq_norm", "sqrt_sharpness"), SAME),
            figure="figE7",
            caveat="That they are in proportion: only their order over training is compared.",
            tells_interpolating=True,
        ),
        Part(
            claim=9,
            part="f",
            role=MLP,
            statement="Log volume goes on falling after sharpness has levelled off.",
            place="Sec. 4.1, sixth paragraph",
            conditions=_one(_trend("log_volume", Phase.LEVEL), FALLS),
            figure="figE7",
            caveat=f"{_DIRECTION} {_LEVEL}",
            tells_interpolating=True,
        ),
        Part(
            claim=9,
            part="g",
            role=MLP,
            statement="After sharpness has levelled off, log volume falls much more slowly.",
            place="Sec. 4.1, sixth paragraph",
            conditions=_one(SlowerFall("log_volume"), LESS_THAN_HALF),
            figure="figE7",
            caveat=f"That it falls at all: that is 9f. {_LEVEL}",
            tells_interpolating=True,
        ),
    )


def _lemma(role: str) -> tuple[Part, ...]:
    """Claim 10, which is tested on both networks."""
    return (
        Part(
            claim=10,
            part="a",
            role=role,
            statement=(
                "The trace of the Hessian and sharpness approach each other as the outputs "
                "approach the targets."
            ),
            place="Lemma A.1",
            conditions=_one(GapFollowsResidual(), RISES),
            figure="figS3",
            caveat="That the gap is of the order of the residual: only their order is compared.",
        ),
        Part(
            claim=10,
            part="b",
            role=role,
            statement=(
                "Relative to sharpness, the trace of the Hessian is nearer to it at the end of "
                "training than at the start."
            ),
            place="Lemma A.1; Sec. 2, below Eq. 3",
            conditions=_one(RelativeGapChange(), FALLS),
            figure="figS3",
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

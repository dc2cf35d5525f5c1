"""Made-up studies for the claims, and how to judge single parts of them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from flatness.analysis import claims
from flatness.analysis.claims.part import Part
from flatness.analysis.claims.the_claims import PARTS
from flatness.settings.roles import MLP, VGG10
from tests.analysis.made_up import analysed, analysed_run

LOOK = {"interpolation_accuracy": 0.999, "confidence": 0.9, "bootstrap_draws": 60}
SETTINGS = ((0.05, 20), (0.1, 20), (0.2, 20), (0.1, 8), (0.1, 32))
# Sharpness levels off at the fifth checkpoint, within 10 % of its final value.
LEVELLING = np.array([9.0, 7, 5, 3, 1.05, 0.95, 1.02, 1])[:, None]
# Falls, fast until then and slowly after; the noise on it is smaller.
FALLING = np.array([40.0, 36, 32, 28, 24, 23, 22, 21])[:, None]


def judge(vgg10: Sequence[xr.Dataset], mlp: Sequence[xr.Dataset], **options) -> pd.DataFrame:
    """The verdicts on made-up files of both networks."""
    return claims.judge(_by_role(vgg10, mlp), **options)


def sensitivity(
    vgg10: Sequence[xr.Dataset], mlp: Sequence[xr.Dataset], judged: pd.DataFrame, **options
) -> pd.DataFrame:
    """The verdicts on these under other choices."""
    return claims.sensitivity(_by_role(vgg10, mlp), judged, **options)


def _by_role(vgg10: Sequence[xr.Dataset], mlp: Sequence[xr.Dataset]) -> dict:
    return {VGG10: analysed(vgg10), MLP: analysed(mlp)}


def study(network: str, seeds: int = 4) -> list[xr.Dataset]:
    """Five settings with random numbers, whose sharpness levels off for all that."""
    runs = []
    for rate, size in SETTINGS:
        for seed in range(seeds):
            draw = np.random.default_rng([len(network), int(1e3 * rate), size, seed])
            runs.append(
                analysed_run(
                    study=network,
                    network=network,
                    learning_rate=rate,
                    batch_size=size,
                    seed=seed,
                    sqrt_sharpness=LEVELLING * draw.uniform(0.98, 1.02, (8, 3)),
                    log_volume=FALLING + draw.uniform(-1.5, 1.5, (8, 3)),
                    test_loss=draw.uniform(0.5, 1, 8),
                    slack={name: draw.uniform(0, 2, (8, 3)) for name in ("a_b", "b_c", "c_d")},
                )
            )
    return runs


def row_of(frame: pd.DataFrame, network: str, part: str):
    chosen = frame["claim"].astype(str) + frame["part"] == part
    (row,) = frame[chosen & (frame["network"] == network)].itertuples()
    return row


def only(*names: str) -> list[Part]:
    """The parts of these names, to judge no others."""
    return [part for part in PARTS if part.name in names]

"""The paper's claims against the measurements, with a verdict for each part."""

from flatness.analysis.claims.alternatives import (
    judge_with_sensitivity,
    sensitivity,
    with_sensitivity,
)
from flatness.analysis.claims.judging import COLUMNS, judge

__all__ = ["COLUMNS", "judge", "judge_with_sensitivity", "sensitivity", "with_sensitivity"]

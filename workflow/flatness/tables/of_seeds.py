"""What single seeds point to, of parts that too few of them were run for."""

import pandas as pd

from flatness.analysis.claims.verdicts import NOT_TESTABLE

EVERY = "as claimed in every seed"
SOME = "in some seeds only"
NONE = "in no seed"
UNTOLD = ""


def of_seeds(parts: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The parts that are not testable, by how many of their seeds are as claimed.

    Args:
        parts: from `flatness.analysis.claims.judge`, or read back from its CSV file.

    Returns:
        By `EVERY`, `SOME`, `NONE`, or `UNTOLD` where no seed has a value; those with parts only.
    """
    untested = parts[parts["verdict"] == NOT_TESTABLE]
    if "seeds_held" not in untested:  # published before seeds were looked at
        return {UNTOLD: untested} if len(untested) else {}
    held, seeds = untested["seeds_held"], untested["seeds"]
    told = held.notna() & (seeds > 0)
    found = {
        EVERY: untested[told & (held == seeds)],
        SOME: untested[told & (held > 0) & (held < seeds)],
        NONE: untested[told & (held == 0)],
        UNTOLD: untested[~told],
    }
    return {words: those for words, those in found.items() if len(those)}

"""Code that was changed and yet computes the same bits as before.

Training and measuring take hours, so their results are not to be lost to a change that moves code
about or adds an option. For each stage `same_results.json` says which code the present one agrees
with to the bit: `as`, whose fingerprint stands in results that there are, and `code`, the present
one. The present code is then known by the older fingerprint; with any other edit of it the row
holds no more, and results are stale as usual.
"""

import json
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_suffix(".json")


def known_as(stage: str, code: str) -> str:
    """The fingerprint by which results name the code of a stage.

    Args:
        stage: such as "train_run mlp".
        code: its present fingerprint.
    """
    row = rows().get(stage, {})
    return row["as"] if row.get("code") == code else code


@cache
def rows() -> dict[str, dict[str, str]]:
    """What `same_results.json` says, by stage."""
    return json.loads(FILE.read_text())

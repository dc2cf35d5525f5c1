"""The files about claims: which there are, and writing them."""

from pathlib import Path

import pandas as pd

from flatness.tables import claim_table, sensitivity_table


def write_claims(
    claims: pd.DataFrame, found: pd.DataFrame, folder: str | Path, *, nature: str
) -> list[Path]:
    """claims.csv, .md and .txt, sensitivity.csv and .md.

    Args:
        claims: from `flatness.analysis.claims.with_sensitivity`.
        found: from `flatness.analysis.claims.sensitivity`.
        folder: where they go.
        nature: what the study is, a sentence of `flatness.publication.deviations`.

    Returns:
        The files.
    """
    names = ("claims.csv", "claims.md", "claims.txt", "sensitivity.csv", "sensitivity.md")
    csv, markdown, text, sensitivity_csv, sensitivity_markdown = paths = [
        Path(folder, name) for name in names
    ]
    claim_table.write_csv(claims, csv)
    claim_table.write_markdown(claims, markdown, nature=nature)
    claim_table.write_text(claims, text, nature=nature)
    sensitivity_table.write_csv(found, sensitivity_csv)
    sensitivity_table.write_markdown(claims, found, sensitivity_markdown)
    return paths

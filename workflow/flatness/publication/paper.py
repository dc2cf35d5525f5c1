"""The configuration of the paper, which studies are compared with."""

from pathlib import Path

from flatness.settings import Settings, read_settings

PAPER = Path(__file__).parents[3] / "config/config.yaml"


def papers_settings() -> Settings:
    """What `config/config.yaml` says."""
    return read_settings(PAPER)

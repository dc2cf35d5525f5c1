"""Figures as pure functions of netCDF files; never torch."""

from pathlib import Path

STYLE = Path(__file__).with_name("flatness.mplstyle")

"""The commands of `python -m flatness`: networks of one's own, measured without a script."""

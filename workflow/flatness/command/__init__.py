"""The commands of `flatness`: networks of one's own, measured without a script."""

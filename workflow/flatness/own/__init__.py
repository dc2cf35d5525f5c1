"""Code of a user's own that is named by its place: networks, datasets and quantities.

A place is "package.module:NAME" or "path/to/file.py:NAME", a path relative to the working folder.
Nothing here loads torch, so that a configuration is read without it.
"""

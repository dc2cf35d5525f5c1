"""Datasets, networks, training and checkpoints."""

"""Measurements over training: of stored checkpoints, or in the middle of a training loop."""

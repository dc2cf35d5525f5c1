"""Weights of networks from files as people have them."""

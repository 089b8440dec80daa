"""Weights: the registry of released models, the readers, and what checks them."""

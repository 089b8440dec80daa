"""Tiles: geometry as integers, and the run over them."""

"""Which parts of a frame must be computed at all."""

"""From the clip to finished chunks."""

"""The clip layer: colour policy, planes, and what the bridge calls."""

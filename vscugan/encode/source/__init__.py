"""From the source file to the clip that is encoded."""

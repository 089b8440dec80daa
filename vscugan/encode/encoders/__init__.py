"""The encoders: which there are, how the frames are described to them, and how they are fed."""

"""The encoders: which there are, what they must be told of the frames, and how they are fed."""

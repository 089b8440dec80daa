"""Pictures in files: read, upscaled through a clip, written with everything that they carried."""

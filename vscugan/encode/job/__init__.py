"""One encode as it was asked for, and what of it is kept on disk, so that a run can go on."""

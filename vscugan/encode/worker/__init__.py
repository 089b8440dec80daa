"""The process that does one run, and the command line's side of it."""

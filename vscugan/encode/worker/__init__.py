"""The process that does one run of an encode, and the command line's side of it."""

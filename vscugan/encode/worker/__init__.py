"""The process that does one run of an encode."""

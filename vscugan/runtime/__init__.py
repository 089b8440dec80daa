"""Runtimes: what runs one stage of the network."""

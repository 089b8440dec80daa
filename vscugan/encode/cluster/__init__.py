"""Chunks on the nodes of a Ray cluster. Scheduling, transport, retries and health are Ray's."""

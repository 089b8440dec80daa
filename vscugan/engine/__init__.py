"""A frame in, a frame out: devices, routes, memory, and the passes of the network."""

"""The native bridge, in C++: setup.py compiles it, and VapourSynth loads it by itself."""

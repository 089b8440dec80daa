"""From a file to a finished file: source, chunks, encoder, journal, container.

The command line starts ``worker`` as a process of its own and only watches it (``supervise``): the worker holds
VapourSynth and the model, and may be killed at any moment.
"""

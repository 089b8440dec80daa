"""From a file to a finished file: source, chunks, encoder, journal, container.

One arrow: encoders, container, job, source, chunks, certificate, worker; each imports only what stands before it. The
command line starts ``worker.worker`` as a process of its own and only watches it (``supervise``): the worker holds
VapourSynth and the model, and may be killed at any moment.
"""

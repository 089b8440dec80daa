"""The errors that vscugan raises on purpose.

    CuganError
    ├── ArgumentError (ValueError)    an argument is wrong, or contradicts another
    ├── ClipError (ValueError)        the clip, or one of its frames, is of a kind that is not supported
    ├── WeightsError (ValueError)     a weight file is missing, damaged, hostile or of another network
    ├── DeviceError (RuntimeError)    the device is missing, or has too little memory for the smallest tile
    ├── FrameError (RuntimeError)     a frame could not be computed
    ├── SourceError (ValueError)      the source file is missing, unreadable, damaged or of a kind that is refused
    ├── ConflictError (ValueError)    the request contradicts what exists: the output, or a run before
    ├── LockedError (RuntimeError)    another run works in the same folder
    ├── EncoderError (RuntimeError)   the encoder is missing, failed, or wrote other frames than it was given
    ├── DiskError (RuntimeError)      a file can't be written
    ├── ResultError (RuntimeError)    the finished file is not what it must be
    └── WorkerError (RuntimeError)    the worker process ended without a message

A message reads ``<subject> must be <allowed>, got <value>; <next step>``. Inner code leaves the
function's name out; the clip layer puts ``cugan.Upscale: `` before it and raises ``vs.Error``, and the
command line puts ``vscugan <command>: `` before it and ends with the class's exit code.
"""


class CuganError(Exception):
    """Base of every error that vscugan raises on purpose."""

    exit_code = 1


class ArgumentError(CuganError, ValueError):
    """An argument is wrong, or contradicts another."""

    exit_code = 2


class ClipError(CuganError, ValueError):
    """The clip, or one of its frames, is of a kind that is not supported."""

    exit_code = 3


class WeightsError(CuganError, ValueError):
    """A weight file is missing, damaged, hostile or of another network."""

    exit_code = 2


class DeviceError(CuganError, RuntimeError):
    """The device is missing, or has too little memory for the smallest tile."""


class FrameError(CuganError, RuntimeError):
    """A frame could not be computed."""


class SourceError(CuganError, ValueError):
    """The source file is missing, unreadable, damaged or of a kind that is refused."""

    exit_code = 3


class ConflictError(CuganError, ValueError):
    """The request contradicts what exists: the output, or a run before."""

    exit_code = 4


class LockedError(CuganError, RuntimeError):
    """Another run works in the same folder."""

    exit_code = 5


class EncoderError(CuganError, RuntimeError):
    """The encoder is missing, failed, or wrote other frames than it was given."""

    exit_code = 6


class DiskError(CuganError, RuntimeError):
    """A file can't be written."""

    exit_code = 7


class ResultError(CuganError, RuntimeError):
    """The finished file is not what it must be."""

    exit_code = 8


class WorkerError(CuganError, RuntimeError):
    """The worker process ended without a message."""

    exit_code = 9

"""What can go wrong, and whose it is to mend.

CuganError
├── ArgumentError (ValueError)    an argument of Upscale is wrong, or contradicts another
├── ClipError (ValueError)        the clip, or one of its frames, is of a kind that is not supported
├── WeightsError (ValueError)     a weight file is missing, damaged, hostile or of another network
├── DeviceError (RuntimeError)    the device is missing, or has too little memory for the smallest tile
└── FrameError (RuntimeError)     a frame could not be computed

A message reads ``<subject> must be <allowed>, got <value>; <next step>``. Inner code leaves the
function's name out; the clip layer puts ``cugan.Upscale: `` before it and raises ``vs.Error``.
"""


class CuganError(Exception):
    """Base of every error that vscugan raises on purpose."""


class ArgumentError(CuganError, ValueError):
    """An argument of Upscale is wrong, or contradicts another."""


class ClipError(CuganError, ValueError):
    """The clip, or one of its frames, is of a kind that is not supported."""


class WeightsError(CuganError, ValueError):
    """A weight file is missing, damaged, hostile or of another network."""


class DeviceError(CuganError, RuntimeError):
    """The device is missing, or has too little memory for the smallest tile."""


class FrameError(CuganError, RuntimeError):
    """A frame could not be computed."""

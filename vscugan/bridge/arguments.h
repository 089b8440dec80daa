// A call of cugan.Upscale for Python.

#pragma once

#include "py_objects.h"

namespace cugan {

// Arguments of the VapourSynth function as a dict, those that may be lists as lists; clips are left out.
Ref argumentsToDict(const VSMap *in, const VSAPI *vsapi);

// The clip as Python's `Video`.
Ref videoOf(const Node &clip, const VSAPI *vsapi);

} // namespace cugan

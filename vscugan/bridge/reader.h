// Reads a clip for those that need other frames than their own: a frame that can't be read must fail its own output
// frame alone, but VapourSynth fails every frame that has asked for it. So it comes as a frame whose prop says why. A
// resizer behind it asks the clip once more: what can be read only sometimes fails those that have asked.

#pragma once

#include "vs_objects.h"

namespace cugan {

Node readerOf(const Node &clip, VSCore *core, const VSAPI *vsapi);

// Throws what has kept a reader from reading the frame.
void throwIfUnreadable(const Frame &frame, const VSAPI *vsapi);

} // namespace cugan

// Planes of frames as Python's buffers.

#pragma once

#include "py_objects.h"

namespace cugan {

// The scope in which Python may use planes: memoryviews are taken back at its end. One that an array still reads stays,
// and its frame with it.
class Planes {
    const VSAPI *vsapi_;
    Ref views_ = checked(PyList_New(0));

public:
    explicit Planes(const VSAPI *vsapi) : vsapi_(vsapi) {}
    Planes(const Planes &) = delete;
    ~Planes();

    // A frame's planes as a list of read-only memoryviews of (height, width) fp32; those of `last`, if any, come last.
    Ref read(const VSFrame *frame, const VSFrame *last = nullptr);
    // The same, to be written to.
    Ref write(VSFrame *frame);

private:
    Ref view(const VSFrame *frame, uint8_t *data, int plane, bool isReadOnly);
};

} // namespace cugan

// The core's log for Python.

#pragma once

#include "py_objects.h"

namespace cugan {

// The scope of a call of Python for a core: it holds the GIL, and meanwhile log() writes to that core's log.
class CoreCall {
    Gil gil_;
    VSCore *outerCore_;
    const VSAPI *outerApi_;

public:
    CoreCall(VSCore *core, const VSAPI *vsapi);
    CoreCall(const CoreCall &) = delete;
    ~CoreCall();
};

// Python's log(text): one line in the log of the core for which this thread calls Python; nothing outside of such a
// call. It knows no core itself, since whoever keeps it may live longer than the core.
Ref logFunction();

} // namespace cugan

// Frame props and arguments, between VapourSynth and Python.

#pragma once

#include "py_objects.h"

#include <cstdint>
#include <map>
#include <string>

namespace cugan {

constexpr const char *kAlphaProp = "_Alpha";

bool hasAlpha(const VSFrame *frame, const VSAPI *vsapi);

// Those props of a frame by which Python decides, as a dict of int.
Ref propsToDict(const VSFrame *frame, const VSAPI *vsapi);

// A dict of int, float or str, as the entries of a VSMap.
class Entries {
    std::map<std::string, int64_t> integers_;
    std::map<std::string, double> floats_;
    std::map<std::string, std::string> texts_;

public:
    static Entries from(PyObject *dict);
    bool operator<(const Entries &other) const;
    // Names that begin with _ are frame props, the others arguments.
    void write(VSMap *arguments, VSMap *props, const VSAPI *vsapi) const;
    void writeProps(VSFrame *frame, const VSAPI *vsapi) const;
};

// Puts into `out` what the stages and the resizer have written into `processed`; all else stays the source frame's.
void takeProps(VSFrame *out, const VSFrame *processed, bool isOtherFormat, const VSAPI *vsapi);

} // namespace cugan

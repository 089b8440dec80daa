// The resize nodes behind a node. They depend on the props of a frame, so they are made when a frame needs them, one
// for each set of arguments, and kept.

#pragma once

#include "props.h"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace cugan {

// A call of the resizer, from Python's (function, arguments); frame props among these are set on the clip first.
struct Resize {
    std::string function;
    Entries arguments;

    bool operator<(const Resize &other) const;
    static std::vector<Resize> listFrom(PyObject *calls);
};
using Calls = std::vector<Resize>;

class Resizers {
    Node input_;
    std::mutex mutex_;
    std::map<Calls, Node> nodes_; // the calls so far -> the node after them

public:
    explicit Resizers(Node input) : input_(std::move(input)) {}

    // The node after these calls.
    Node node(const Calls &calls, VSCore *core, const VSAPI *vsapi);

private:
    Node find(const Calls &key);
    Node keep(const Calls &key, Node resized);
};

} // namespace cugan

// What our nodes have in common: how they are made, what they keep, and what they are called with.

#pragma once

#include "core_log.h"
#include "resizers.h"

#include <memory>
#include <vector>

namespace cugan {

// A node of ours, which takes the data. `dependencies` are the caller's.
template <typename T>
Node createNode(const char *name, VSFilterGetFrame getFrame, const std::vector<VSFilterDependency> &dependencies,
                std::unique_ptr<T> data, VSCore *core, const VSAPI *vsapi) {
    const auto free = [](void *taken, VSCore *, const VSAPI *) { delete static_cast<T *>(taken); };
    Node node{vsapi->createVideoFilter2(name, &data->vi, getFrame, free, fmParallel, dependencies.data(),
                                        static_cast<int>(dependencies.size()), data.get(), core),
              vsapi};
    if (!node)
        throw failure("VapourSynth refused the filter"); // and has not taken the data
    data.release();
    return node;
}

// State of a node that Python works for: a stage of the graph, or its output.
struct NodeState {
    Held python;
    Resizers resizers; // of the frame before
    Node source;       // where the props come from
    Node alpha;        // GRAYS that a stage is handed beside its input, or none
    VSVideoInfo vi;
    bool readsOthers; // whether a frame may need other source frames than its own
    VSCore *core;     // lives longer than its nodes
    const VSAPI *vsapi;

    ~NodeState() {
        if (!Py_IsInitialized()) // the object is gone with the interpreter
            return;
        CoreCall call(core, vsapi);
        Ref closed(PyObject_CallMethod(python.get(), "close", nullptr));
        PyErr_Clear(); // there is nobody left to read it
    }
};

// One call of VapourSynth for an output frame of a node.
struct Request {
    int n;
    int reason;
    NodeState &node;
    void **frameData;
    VSFrameContext *ctx;
    VSCore *core;
    const VSAPI *vsapi;

    void ask(int k, const Node &from) const { vsapi->requestFrameFilter(k, from.get(), ctx); }
    // One that was asked for; none where there is no such node.
    Frame get(int k, const Node &from) const {
        return {from ? vsapi->getFrameFilter(k, from.get(), ctx) : nullptr, vsapi};
    }
    // What is kept of the output frame until the next call, which comes whatever happens: after an error to free it.
    template <typename T> std::unique_ptr<T> takeKept() const {
        return std::unique_ptr<T>(static_cast<T *>(std::exchange(*frameData, nullptr)));
    }
    template <typename T> void keep(std::unique_ptr<T> data) const { *frameData = data.release(); }
    // A frame of this node's with the props of one and the planes of another.
    NewFrame combined(const VSFrame *props, const VSFrame *planes) const {
        const VSFrame *from[] = {planes, planes, planes};
        const int order[] = {0, 1, 2};
        const VSVideoInfo &vi = node.vi;
        NewFrame frame{vsapi->newVideoFrame2(&vi.format, vi.width, vi.height, from, order, props, core), vsapi};
        if (!frame)
            throw failure("VapourSynth refused the output frame");
        return frame;
    }
};

// The output frame of a call, or none where it has asked for frames, or something has failed.
NewFrame stageFrame(const Request &request);
NewFrame outputFrame(const Request &request);

// Every exception of a node ends here.
template <NewFrame (*body)(const Request &)>
const VSFrame *VS_CC getFrame(int n, int reason, void *data, void **frameData, VSFrameContext *ctx, VSCore *core,
                              const VSAPI *vsapi) {
    try {
        return body({n, reason, *static_cast<NodeState *>(data), frameData, ctx, core, vsapi}).handOver();
    } catch (const std::exception &e) {
        vsapi->setFilterError(e.what(), ctx);
        return nullptr;
    }
}

} // namespace cugan

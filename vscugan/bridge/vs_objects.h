// Owners of VapourSynth's objects: each gives its own up when its scope ends, however it ends.

#pragma once

#include <VapourSynth4.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace cugan {

constexpr const char *kPrefix = "cugan.Upscale: ";

// What the script's author reads of a failure in the bridge itself; Python's own have their text from Python.
inline std::runtime_error failure(const std::string &text) { return std::runtime_error(kPrefix + text); }

// One object of VapourSynth's; `Free` and `AddRef` are the VSAPI's functions for its kind.
template <typename T, auto Free, auto AddRef = nullptr> class Owner {
    T *object_ = nullptr;
    const VSAPI *vsapi_ = nullptr;

public:
    Owner() = default;
    Owner(T *object, const VSAPI *vsapi) : object_(object), vsapi_(vsapi) {}
    Owner(Owner &&other) noexcept : object_(std::exchange(other.object_, nullptr)), vsapi_(other.vsapi_) {}
    Owner &operator=(Owner &&other) noexcept {
        std::swap(object_, other.object_);
        std::swap(vsapi_, other.vsapi_);
        return *this;
    }
    ~Owner() {
        if (object_)
            (vsapi_->*Free)(object_);
    }
    T *get() const { return object_; }
    explicit operator bool() const { return object_; }

    // One more reference to the object, none where there is no object.
    Owner another() const { return {object_ ? (vsapi_->*AddRef)(object_) : nullptr, vsapi_}; }
    // For what VapourSynth takes over.
    T *handOver() { return std::exchange(object_, nullptr); }
};
using Node = Owner<VSNode, &VSAPI::freeNode, &VSAPI::addNodeRef>;
using Frame = Owner<const VSFrame, &VSAPI::freeFrame, &VSAPI::addFrameRef>;
using NewFrame = Owner<VSFrame, &VSAPI::freeFrame>;
using Map = Owner<VSMap, &VSAPI::freeMap>;

inline Map newMap(const VSAPI *vsapi) { return {vsapi->createMap(), vsapi}; }

inline void setNode(const Map &map, const char *key, const Node &node, const VSAPI *vsapi) {
    vsapi->mapSetNode(map.get(), key, node.get(), maReplace);
}

inline void setText(VSMap *map, const char *key, const char *text, const VSAPI *vsapi) {
    vsapi->mapSetData(map, key, text, -1, dtUtf8, maReplace);
}

// The node that a function of VapourSynth makes.
inline Node invoke(const char *plugin, const char *function, const Map &args, VSCore *core, const VSAPI *vsapi) {
    const Map out{vsapi->invoke(vsapi->getPluginByID(plugin, core), function, args.get()), vsapi};
    if (const char *error = vsapi->mapGetError(out.get()))
        throw failure(error);
    return {vsapi->mapGetNode(out.get(), "clip", 0, nullptr), vsapi};
}

} // namespace cugan

// cugan.Upscale for VapourSynth: registers the function, hands planes to Python, and builds the graph
// that Python asks for. Policy, messages and pixels are Python's; see vscugan/clip/filter.py.
//
//   clip -> [resize] -> Upscale (one node per stage) -> ... -> [resize to the output] -> UpscaleOutput
//   alpha -> [resize to gray] -> Upscale -> ... -> [resize] -> UpscaleOutput -> attached to the clip's output
//
// A stage may need other source frames than its own: it answers with their numbers until it has all of them. It reads
// through Readers, so that a frame that can't be read fails its own output frame alone.
// The resize nodes depend on the frame's colour props, so they are made when a frame needs them, one for
// each set of arguments, and kept. Two rules keep threads apart: our mutex is only taken without the GIL
// and held while no Python runs, and the GIL is never held across a call that may wait for a frame.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <VSHelper4.h>
#include <VapourSynth4.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

namespace {

constexpr const char *kPrefix = "cugan.Upscale: ";
// what the policy in Python decides by
constexpr const char *kReadProps[] = {"_Matrix",         "_Range",      "_ColorRange", "_Transfer", "_Primaries",
                                      "_ChromaLocation", "_FieldBased", "_SARNum",     "_SARDen",   "_SceneChangePrev"};
// what the resizer knows better when the output's format is not the input's
constexpr const char *kFormatProps[] = {"_Matrix", "_Range", "_ColorRange", "_ChromaLocation"};

constexpr const char *kAlphaProp = "_Alpha";
// why a frame can't be read, see readFrame
constexpr const char *kUnreadableProp = "_CuganUnreadable";
constexpr int kFewestReaders = 8; // frames that one frame asks for at once, see FRAMES_AT_ONCE

class Gil {
    PyGILState_STATE state_ = PyGILState_Ensure();

public:
    Gil() = default;
    Gil(const Gil &) = delete;
    ~Gil() { PyGILState_Release(state_); }
};

struct Decref {
    void operator()(PyObject *o) const { Py_XDECREF(o); }
};
using Ref = std::unique_ptr<PyObject, Decref>;

// Takes Python's pending exception as a C++ one; Python has worded it for the script's author already.
[[noreturn]] void raisePython() {
    Ref error(PyErr_GetRaisedException());
    Ref text(error ? PyObject_Str(error.get()) : nullptr);
    const char *message = text ? PyUnicode_AsUTF8AndSize(text.get(), nullptr) : nullptr;
    std::string copy = message ? message : "cugan.Upscale: Python failed without a message";
    PyErr_Clear();
    throw std::runtime_error(copy);
}

Ref checked(PyObject *o) {
    if (!o)
        raisePython();
    return Ref(o);
}

void setItem(PyObject *dict, const char *key, PyObject *value) {
    Ref owned = checked(value);
    if (PyDict_SetItemString(dict, key, owned.get()) < 0)
        raisePython();
}

// Python objects that are given up when the scope ends, wherever the GIL is then.
struct Held {
    PyObject *python;
    ~Held() {
        Gil gil;
        Py_XDECREF(python);
    }
};

// A list of whatever `item` makes for 0..count-1.
template <typename F> Ref listOf(int count, F item) {
    Ref list = checked(PyList_New(count));
    for (int i = 0; i < count; i++) {
        PyObject *value = item(i);
        if (!value || PyList_SetItem(list.get(), i, value) < 0)
            raisePython();
    }
    return list;
}

// Arguments of the VapourSynth function as a dict, those that may be lists as lists; the clip is left out.
Ref argumentsToDict(const VSMap *in, const VSAPI *vsapi) {
    Ref dict = checked(PyDict_New());
    for (int k = 0; k < vsapi->mapNumKeys(in); k++) {
        const char *key = vsapi->mapGetKey(in, k);
        const int count = vsapi->mapNumElements(in, key);
        const bool isList = std::string(key) == "tile" || std::string(key) == "device";
        const auto text = [&](int i) {
            return PyUnicode_FromStringAndSize(vsapi->mapGetData(in, key, i, nullptr),
                                               vsapi->mapGetDataSize(in, key, i, nullptr));
        };
        switch (count > 0 ? vsapi->mapGetType(in, key) : ptUnset) {
        case ptInt:
            if (isList)
                setItem(dict.get(), key, listOf(count, [&](int i) {
                            return PyLong_FromLongLong(vsapi->mapGetInt(in, key, i, nullptr));
                        }).release());
            else
                setItem(dict.get(), key, PyLong_FromLongLong(vsapi->mapGetInt(in, key, 0, nullptr)));
            break;
        case ptFloat:
            setItem(dict.get(), key, PyFloat_FromDouble(vsapi->mapGetFloat(in, key, 0, nullptr)));
            break;
        case ptData:
            setItem(dict.get(), key, isList ? listOf(count, text).release() : text(0));
            break;
        default:
            break;
        }
    }
    return dict;
}

Ref propsToDict(const VSFrame *frame, const VSAPI *vsapi) {
    Ref dict = checked(PyDict_New());
    const VSMap *props = vsapi->getFramePropertiesRO(frame);
    for (const char *key : kReadProps) {
        int error = 0;
        const int64_t value = vsapi->mapGetInt(props, key, 0, &error);
        if (!error)
            setItem(dict.get(), key, PyLong_FromLongLong(value));
    }
    if (vsapi->mapGetType(props, kAlphaProp) == ptVideoFrame)
        setItem(dict.get(), kAlphaProp, PyLong_FromLong(1));
    return dict;
}

// Planes as a list of (memoryview, height, stride in bytes); those of `last`, where there is one, come last.
Ref planesToList(const VSFrame *first, const VSFrame *last, VSFrame *writable, const VSAPI *vsapi) {
    const int own = vsapi->getVideoFrameFormat(first)->numPlanes;
    return listOf(own + (last ? vsapi->getVideoFrameFormat(last)->numPlanes : 0), [&](int i) -> PyObject * {
        const VSFrame *frame = i < own ? first : last;
        const int p = i < own ? i : i - own;
        const Py_ssize_t stride = vsapi->getStride(frame, p), height = vsapi->getFrameHeight(frame, p);
        auto *data = writable ? vsapi->getWritePtr(writable, p) : const_cast<uint8_t *>(vsapi->getReadPtr(frame, p));
        Ref view = checked(PyMemoryView_FromMemory(reinterpret_cast<char *>(data), stride * height,
                                                   writable ? PyBUF_WRITE : PyBUF_READ));
        return Py_BuildValue("(Onn)", view.get(), height, stride);
    });
}

// A dict of int, float or str, as the entries of a VSMap.
struct Entries {
    std::map<std::string, int64_t> integers;
    std::map<std::string, double> floats;
    std::map<std::string, std::string> texts;
    bool operator<(const Entries &o) const {
        return std::tie(integers, floats, texts) < std::tie(o.integers, o.floats, o.texts);
    }

    static Entries from(PyObject *dict) {
        Entries e;
        PyObject *key = nullptr, *value = nullptr;
        for (Py_ssize_t at = 0; PyDict_Next(dict, &at, &key, &value);) {
            const char *name = PyUnicode_AsUTF8AndSize(key, nullptr);
            const bool isText = !PyLong_Check(value) && !PyFloat_Check(value);
            const char *text = isText ? PyUnicode_AsUTF8AndSize(value, nullptr) : "";
            if (!name || !text)
                raisePython();
            if (PyLong_Check(value))
                e.integers[name] = PyLong_AsLongLong(value);
            else if (PyFloat_Check(value))
                e.floats[name] = PyFloat_AsDouble(value);
            else
                e.texts[name] = text;
        }
        return e;
    }

    // Names that begin with _ are frame props.
    void write(VSMap *arguments, VSMap *props, const VSAPI *vsapi) const {
        const auto map = [&](const std::string &name) { return name[0] == '_' ? props : arguments; };
        for (auto &i : integers)
            vsapi->mapSetInt(map(i.first), i.first.c_str(), i.second, maReplace);
        for (auto &f : floats)
            vsapi->mapSetFloat(map(f.first), f.first.c_str(), f.second, maReplace);
        for (auto &t : texts)
            vsapi->mapSetData(map(t.first), t.first.c_str(), t.second.c_str(), -1, dtUtf8, maReplace);
    }
};

// A call of the resizer as Python words it: (function, its arguments); frame props among them are set on the clip first.
struct Resize {
    std::string function;
    Entries arguments;
    bool operator<(const Resize &o) const {
        return std::tie(function, arguments) < std::tie(o.function, o.arguments);
    }

    static Resize from(PyObject *call) {
        const char *function = nullptr;
        PyObject *arguments = nullptr;
        if (!PyArg_ParseTuple(call, "sO", &function, &arguments))
            raisePython();
        return {function, Entries::from(arguments)};
    }

    static std::vector<Resize> listFrom(PyObject *calls) {
        std::vector<Resize> list;
        for (Py_ssize_t i = 0, count = PyList_Size(calls); i < count; i++)
            list.push_back(from(PyList_GetItem(calls, i)));
        return list;
    }
};
using Calls = std::vector<Resize>;

struct NodeRef {
    VSNode *node;
    const VSAPI *vsapi;
    ~NodeRef() { vsapi->freeNode(node); }
};

// The node that a function of VapourSynth makes of `args`, which are freed.
VSNode *invoke(const char *plugin, const char *function, VSMap *args, VSCore *core, const VSAPI *vsapi) {
    VSMap *out = vsapi->invoke(vsapi->getPluginByID(plugin, core), function, args);
    vsapi->freeMap(args);
    const char *error = vsapi->mapGetError(out);
    const std::string message = error ? kPrefix + std::string(error) : "";
    VSNode *made = error ? nullptr : vsapi->mapGetNode(out, "clip", 0, nullptr);
    vsapi->freeMap(out);
    if (!made)
        throw std::runtime_error(message);
    return made;
}

// One input and its resize nodes, made on demand.
class Resizers {
    VSNode *input_;
    std::mutex mutex_;
    std::map<Calls, VSNode *> nodes_; // the calls so far -> the node after them

public:
    explicit Resizers(VSNode *input) : input_(input) {}
    VSNode *input() const { return input_; }

    void free(const VSAPI *vsapi) {
        for (auto &entry : nodes_)
            vsapi->freeNode(entry.second);
        vsapi->freeNode(input_);
    }

    VSNode *node(const Calls &calls, VSCore *core, const VSAPI *vsapi) {
        std::lock_guard<std::mutex> lock(mutex_);
        VSNode *at = input_;
        for (size_t i = 0; i < calls.size(); i++) {
            VSNode *&next = nodes_[Calls(calls.begin(), calls.begin() + i + 1)];
            if (!next)
                next = resized(calls[i], at, core, vsapi);
            at = next;
        }
        return at;
    }

private:
    VSNode *resized(const Resize &call, VSNode *clip, VSCore *core, const VSAPI *vsapi) {
        NodeRef from{vsapi->addNodeRef(clip), vsapi};
        VSMap *props = vsapi->createMap(), *args = vsapi->createMap();
        call.arguments.write(args, props, vsapi);
        if (vsapi->mapNumKeys(props)) {
            vsapi->mapSetNode(props, "clip", clip, maReplace);
            vsapi->freeNode(from.node);
            from.node = nullptr;
            from.node = invoke(VSH_STD_PLUGIN_ID, "SetFrameProps", props, core, vsapi);
        } else {
            vsapi->freeMap(props);
        }
        vsapi->mapSetNode(args, "clip", from.node, maReplace);
        return invoke(VSH_RESIZE_PLUGIN_ID, call.function.c_str(), args, core, vsapi);
    }
};

// A clip that frames are read from: the clip itself, or where one frame must not fail another, Readers of it.
class Input {
    std::vector<std::shared_ptr<VSNode>> nodes_; // frame n comes from the (n % size)th

public:
    void add(VSNode *owned, const VSAPI *vsapi) {
        nodes_.emplace_back(owned, [vsapi](VSNode *node) { vsapi->freeNode(node); });
    }
    // null where there is no clip
    VSNode *node(int n) const { return nodes_.empty() ? nullptr : nodes_[n % nodes_.size()].get(); }
    void addTo(std::vector<VSFilterDependency> &dependencies, int pattern) const {
        for (auto &node : nodes_)
            dependencies.push_back({node.get(), pattern});
    }
};

// State of a node: a stage of the graph, or its output.
struct Instance {
    PyObject *python; // owned; given up under the GIL
    Resizers resizers;
    Input source; // where the props come from
    Input matte;  // GRAYS that a stage is handed beside its input, or none
    VSVideoInfo vi;
    bool readsOthers; // whether a frame may need other source frames than its own
};

void VS_CC freeInstance(void *data, VSCore *, const VSAPI *vsapi) {
    auto *d = static_cast<Instance *>(data);
    d->resizers.free(vsapi);
    if (Py_IsInitialized()) { // else the interpreter is gone, and the object with it
        Gil gil;
        Ref closed(PyObject_CallMethod(d->python, "close", nullptr));
        PyErr_Clear(); // there is nobody to be told
        Py_DECREF(d->python);
    }
    delete d;
}

using Body = const VSFrame *(*)(int, int, Instance *, void **, VSFrameContext *, VSCore *, const VSAPI *);

// Every exception of a filter ends here.
template <Body body>
const VSFrame *VS_CC getFrame(int n, int reason, void *data, void **frameData, VSFrameContext *ctx, VSCore *core,
                              const VSAPI *vsapi) {
    try {
        return body(n, reason, static_cast<Instance *>(data), frameData, ctx, core, vsapi);
    } catch (const std::exception &e) {
        vsapi->setFilterError(e.what(), ctx);
        return nullptr;
    }
}

struct FrameRef {
    const VSFrame *frame;
    const VSAPI *vsapi;
    ~FrameRef() { vsapi->freeFrame(frame); }
};

// Reads a clip for those that need other frames than their own: a frame that can't be read must fail its own output frame
// alone, but VapourSynth fails every frame that has asked for it. So it comes as a frame whose prop says why.
struct Reader {
    VSNode *node; // owned
    VSVideoInfo vi;
};

const VSFrame *VS_CC readFrame(int n, int, void *data, void **, VSFrameContext *, VSCore *core, const VSAPI *vsapi) {
    auto *d = static_cast<Reader *>(data);
    char error[8192] = "";
    // VapourSynth lets another thread work while this one waits; fmUnordered, so that one thread a Reader waits at most
    const VSFrame *frame = vsapi->getFrame(n, d->node, error, sizeof error);
    if (frame)
        return frame;
    VSFrame *marked = vsapi->newVideoFrame(&d->vi.format, d->vi.width, d->vi.height, nullptr, core);
    vsapi->mapSetData(vsapi->getFramePropertiesRW(marked), kUnreadableProp, error, -1, dtUtf8, maReplace);
    return marked;
}

void VS_CC freeReader(void *data, VSCore *, const VSAPI *vsapi) {
    auto *d = static_cast<Reader *>(data);
    vsapi->freeNode(d->node);
    delete d;
}

// As many Readers of a clip as threads may be waiting for it.
Input readersOf(VSNode *clip, VSCore *core, const VSAPI *vsapi) {
    VSCoreInfo info;
    vsapi->getCoreInfo(core, &info);
    const VSFilterDependency dependency = {clip, rpGeneral};
    Input input;
    for (int i = 0; i < std::max(info.numThreads, kFewestReaders); i++) {
        auto *data = new Reader{vsapi->addNodeRef(clip), *vsapi->getVideoInfo(clip)};
        VSNode *made = vsapi->createVideoFilter2("UpscaleReader", &data->vi, readFrame, freeReader, fmUnordered,
                                                 &dependency, 1, data, core);
        if (!made)
            throw std::runtime_error(std::string(kPrefix) + "VapourSynth refused the filter");
        vsapi->setCacheMode(made, cmForceDisable); // the clip's own cache is enough
        input.add(made, vsapi);
    }
    return input;
}

void throwIfUnreadable(const VSFrame *frame, const VSAPI *vsapi) {
    int error = 0;
    const char *why = vsapi->mapGetData(vsapi->getFramePropertiesRO(frame), kUnreadableProp, 0, &error);
    if (!error)
        throw std::runtime_error(why);
}

// A frame as Python keeps it to name it as the result of another; it holds a reference.
Ref frameObject(const VSFrame *frame, const VSAPI *vsapi) {
    auto *held = new FrameRef{vsapi->addFrameRef(frame), vsapi};
    return checked(PyCapsule_New(held, nullptr, [](PyObject *capsule) {
        delete static_cast<FrameRef *>(PyCapsule_GetPointer(capsule, nullptr));
    }));
}

// An output frame of a stage that is on its way: the source frames it has asked for since the last call of Python.
struct Pending {
    std::map<int, VSNode *> frames; // number -> the node that makes it for the stage; null: its props come first
    VSNode *own = nullptr;          // the node that makes the frame of the output frame's number
    std::map<int, std::string> unreadable = {}; // number -> why a frame, not that of the own number, can't be had
};

void ask(int n, Instance *d, VSFrameContext *ctx, const VSAPI *vsapi) {
    vsapi->requestFrameFilter(n, d->source.node(n), ctx);
    if (d->matte.node(n))
        vsapi->requestFrameFilter(n, d->matte.node(n), ctx);
}

// Asks for the frames that come out of the resizer, for those whose props are here; returns whether any was asked for.
bool askConverted(int n, Pending *pending, Instance *d, VSFrameContext *ctx, VSCore *core, const VSAPI *vsapi) {
    bool asked = false;
    for (auto &[k, node] : pending->frames) {
        if (node || pending->unreadable.count(k))
            continue;
        FrameRef source{vsapi->getFrameFilter(k, d->source.node(k), ctx), vsapi};
        FrameRef matte{d->matte.node(k) ? vsapi->getFrameFilter(k, d->matte.node(k), ctx) : nullptr, vsapi};
        Calls calls;
        try {
            throwIfUnreadable(source.frame, vsapi);
            if (matte.frame)
                throwIfUnreadable(matte.frame, vsapi);
            Gil gil;
            Ref props = propsToDict(source.frame, vsapi);
            calls = Resize::listFrom(checked(PyObject_CallMethod(d->python, "prepare", "iO", k, props.get())).get());
        } catch (const std::exception &e) {
            if (k == n)
                throw;
            pending->unreadable[k] = e.what();
            continue;
        }
        node = calls.empty() ? d->source.node(k) : d->resizers.node(calls, core, vsapi);
        if (!calls.empty()) {
            vsapi->requestFrameFilter(k, node, ctx);
            asked = true;
        }
        if (k == n)
            pending->own = node;
    }
    return asked;
}

// The pending frames for Python: {number: (width, planes, props, why it can't be read)}; `frames` keeps them alive.
Ref pendingToDict(const Pending *pending, std::vector<std::unique_ptr<FrameRef>> &frames, Instance *d,
                  VSFrameContext *ctx, const VSAPI *vsapi) {
    Ref dict = checked(PyDict_New());
    const auto add = [&](int k, Ref entry) {
        Ref key = checked(PyLong_FromLong(k));
        if (PyDict_SetItem(dict.get(), key.get(), entry.get()) < 0)
            raisePython();
    };
    for (auto &[k, node] : pending->frames) {
        if (!node)
            continue;
        frames.emplace_back(new FrameRef{vsapi->getFrameFilter(k, node, ctx), vsapi});
        const VSFrame *in = frames.back()->frame;
        VSNode *matte = d->matte.node(k);
        frames.emplace_back(new FrameRef{matte ? vsapi->getFrameFilter(k, matte, ctx) : nullptr, vsapi});
        Ref planes = planesToList(in, frames.back()->frame, nullptr, vsapi), props = propsToDict(in, vsapi);
        add(k, checked(Py_BuildValue("(iOOs)", vsapi->getFrameWidth(in, 0), planes.get(), props.get(), "")));
    }
    for (auto &[k, why] : pending->unreadable) {
        Ref text = checked(PyUnicode_DecodeUTF8(why.data(), why.size(), "replace")); // it may have been cut short
        add(k, checked(Py_BuildValue("(i[]{}O)", 0, text.get())));
    }
    return dict;
}

// The output frame, or null when Python needs further frames, which are then asked for.
const VSFrame *compute(int n, Pending *pending, Instance *d, VSFrameContext *ctx, VSCore *core, const VSAPI *vsapi) {
    FrameRef in{vsapi->getFrameFilter(n, pending->own, ctx), vsapi};
    FrameRef out{vsapi->newVideoFrame(&d->vi.format, d->vi.width, d->vi.height, in.frame, core), vsapi};
    VSFrame *writable = const_cast<VSFrame *>(out.frame);
    if (d->vi.format.colorFamily == cfRGB)
        vsapi->mapSetInt(vsapi->getFramePropertiesRW(writable), "_Matrix", 0, maReplace);
    std::vector<int> further;
    FrameRef same{nullptr, vsapi};
    {
        std::vector<std::unique_ptr<FrameRef>> frames;
        Gil gil;
        Ref from = pendingToDict(pending, frames, d, ctx, vsapi), to = planesToList(out.frame, nullptr, writable, vsapi);
        Ref self = frameObject(out.frame, vsapi);
        Ref answer = checked(PyObject_CallMethod(d->python, "compute", "iOOO", n, from.get(), to.get(), self.get()));
        if (PyList_Check(answer.get())) {
            for (Py_ssize_t i = 0; i < PyList_Size(answer.get()); i++)
                further.push_back(static_cast<int>(PyLong_AsLong(PyList_GetItem(answer.get(), i))));
        } else if (answer.get() != Py_None) {
            auto *held = static_cast<FrameRef *>(PyCapsule_GetPointer(answer.get(), nullptr));
            if (!held)
                raisePython();
            same.frame = vsapi->addFrameRef(held->frame);
        }
    }
    if (further.empty()) {
        if (!same.frame)
            return vsapi->addFrameRef(out.frame);
        const VSFrame *planes[] = {same.frame, same.frame, same.frame};
        const int order[] = {0, 1, 2};
        return vsapi->newVideoFrame2(&d->vi.format, d->vi.width, d->vi.height, planes, order, out.frame, core);
    }
    for (auto &[k, node] : pending->frames) { // Python has copied what it needs, and there may be many
        if (k == n)
            continue; // its props are needed at the end
        if (node && node != d->source.node(k))
            vsapi->releaseFrameEarly(node, k, ctx);
        vsapi->releaseFrameEarly(d->source.node(k), k, ctx);
        if (d->matte.node(k))
            vsapi->releaseFrameEarly(d->matte.node(k), k, ctx);
    }
    pending->frames.clear();
    pending->unreadable.clear();
    for (int k : further) {
        pending->frames[k] = nullptr;
        ask(k, d, ctx, vsapi);
    }
    return nullptr;
}

// What Python is told of a frame beside its pixels: "begin" or "end".
void tell(const char *what, int n, Instance *d) {
    if (!d->readsOthers)
        return;
    Gil gil;
    checked(PyObject_CallMethod(d->python, what, "i", n));
}

const VSFrame *stageFrame(int n, int reason, Instance *d, void **frameData, VSFrameContext *ctx, VSCore *core,
                          const VSAPI *vsapi) {
    if (reason == arInitial) {
        tell("begin", n, d);
        *frameData = new Pending{{{n, nullptr}}};
        ask(n, d, ctx, vsapi);
        return nullptr;
    }
    auto *pending = static_cast<Pending *>(*frameData);
    const VSFrame *out = nullptr;
    try {
        if (reason == arAllFramesReady) {
            if (askConverted(n, pending, d, ctx, core, vsapi))
                return nullptr;
            out = compute(n, pending, d, ctx, core, vsapi);
            if (!out)
                return nullptr;
        }
    } catch (...) {
        delete pending;
        *frameData = nullptr;
        tell("end", n, d);
        throw;
    }
    delete pending; // the frame is there, or one that it needs has failed
    *frameData = nullptr;
    tell("end", n, d);
    return out;
}

const VSFrame *outputFrame(int n, int reason, Instance *d, void **frameData, VSFrameContext *ctx, VSCore *core,
                           const VSAPI *vsapi) {
    if (reason == arInitial)
        vsapi->requestFrameFilter(n, d->source.node(n), ctx);
    if (reason != arAllFramesReady)
        return nullptr;
    FrameRef source{vsapi->getFrameFilter(n, d->source.node(n), ctx), vsapi};
    throwIfUnreadable(source.frame, vsapi);
    Calls calls;
    Entries entries;
    int newFormat = 0;
    {
        Gil gil;
        Ref props = propsToDict(source.frame, vsapi);
        Ref answer = checked(PyObject_CallMethod(d->python, "finish", "iO", n, props.get()));
        PyObject *list = nullptr, *dict = nullptr;
        if (!PyArg_ParseTuple(answer.get(), "OOp", &list, &dict, &newFormat))
            raisePython();
        calls = Resize::listFrom(list);
        entries = Entries::from(dict);
    }
    if (!*frameData) {
        *frameData = d->resizers.node(calls, core, vsapi);
        vsapi->requestFrameFilter(n, static_cast<VSNode *>(*frameData), ctx);
        return nullptr;
    }
    FrameRef made{vsapi->getFrameFilter(n, static_cast<VSNode *>(*frameData), ctx), vsapi};
    const VSFrame *planes[] = {made.frame, made.frame, made.frame};
    const int order[] = {0, 1, 2};
    VSFrame *out =
        vsapi->newVideoFrame2(&d->vi.format, d->vi.width, d->vi.height, planes, order, source.frame, core);
    VSMap *props = vsapi->getFramePropertiesRW(out);
    if (newFormat) {
        const VSMap *known = vsapi->getFramePropertiesRO(made.frame);
        for (const char *key : kFormatProps) {
            int error = 0;
            const int64_t value = vsapi->mapGetInt(known, key, 0, &error);
            vsapi->mapDeleteKey(props, key);
            if (!error)
                vsapi->mapSetInt(props, key, value, maReplace);
        }
    }
    entries.write(props, props, vsapi);
    vsapi->mapDeleteKey(props, kAlphaProp); // of the source's size; the graph attaches the new one
    return out;
}

struct Host {
    VSCore *core;
    const VSAPI *vsapi;
};

void freeHost(PyObject *capsule) { delete static_cast<Host *>(PyCapsule_GetPointer(capsule, nullptr)); }

// log(text): one line in the core's log.
PyObject *logMessage(PyObject *self, PyObject *text) {
    auto *host = static_cast<Host *>(PyCapsule_GetPointer(self, nullptr));
    const char *utf8 = host ? PyUnicode_AsUTF8AndSize(text, nullptr) : nullptr;
    if (!utf8)
        return nullptr;
    const std::string message = utf8;
    Py_BEGIN_ALLOW_THREADS // a log handler may be Python on another thread
    host->vsapi->logMessage(mtInformation, message.c_str(), host->core);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}
PyMethodDef kLogMethod = {"log", logMessage, METH_O, "Write one line to the core's log."};

// The clip as Python's `Video`.
Ref describe(VSNode *node, const VSAPI *vsapi) {
    const VSVideoInfo *vi = vsapi->getVideoInfo(node);
    const VSVideoFormat &f = vi->format;
    return checked(Py_BuildValue("(iiiiiiii)", vi->width, vi->height, f.colorFamily, f.sampleType, f.bitsPerSample,
                                 f.subSamplingW, f.subSamplingH, vi->numFrames));
}

int number(PyObject *python, const char *name) {
    const int value = static_cast<int>(PyLong_AsLong(checked(PyObject_GetAttrString(python, name)).get()));
    if (PyErr_Occurred())
        raisePython();
    return value;
}

bool flag(PyObject *python, const char *name) {
    return PyObject_IsTrue(checked(PyObject_GetAttrString(python, name)).get()) == 1;
}

// Size and format of what a stage or graph writes.
VSVideoInfo infoOf(PyObject *python, VSNode *source, VSCore *core, const VSAPI *vsapi) {
    VSVideoInfo vi = *vsapi->getVideoInfo(source);
    vi.width = number(python, "width");
    vi.height = number(python, "height");
    if (!vsapi->getVideoFormatByID(&vi.format, number(python, "format_id"), core))
        throw std::runtime_error(std::string(kPrefix) + "VapourSynth refused the output format");
    return vi;
}

// The nodes of a Python Graph over `source`; `matte` goes to the first stage.
VSNode *build(PyObject *graph, VSNode *source, VSNode *matte, VSCore *core, const VSAPI *vsapi) {
    struct Step {
        PyObject *python;
        VSVideoInfo vi;
        bool readsOthers;
    };
    std::vector<Step> steps;
    {
        Gil gil;
        Ref stages = checked(PyObject_GetAttrString(graph, "stages"));
        for (Py_ssize_t i = 0, count = PyTuple_Size(stages.get()); i < count; i++)
            steps.push_back({PyTuple_GetItem(stages.get(), i), {}, false});
        steps.push_back({graph, {}, false});
        for (Step &step : steps) {
            step.vi = infoOf(step.python, source, core, vsapi);
            step.readsOthers = flag(step.python, "reads_others");
        }
        for (Step &step : steps)
            Py_INCREF(step.python);
    }
    NodeRef at{vsapi->addNodeRef(source), vsapi};
    const bool readsOthers = std::any_of(steps.begin(), steps.end(), [](const Step &step) { return step.readsOthers; });
    const auto inputOf = [&](VSNode *node, bool isRead) {
        Input input;
        if (node && isRead)
            return readersOf(node, core, vsapi);
        if (node)
            input.add(vsapi->addNodeRef(node), vsapi);
        return input;
    };
    const Input clip = inputOf(source, readsOthers);
    for (size_t i = 0; i < steps.size(); i++) {
        const bool isOutput = i + 1 == steps.size();
        auto *data = new Instance{steps[i].python,
                                  Resizers(vsapi->addNodeRef(at.node)),
                                  isOutput || i == 0 ? clip : inputOf(at.node, false),
                                  inputOf(i == 0 ? matte : nullptr, steps[i].readsOthers),
                                  steps[i].vi,
                                  steps[i].readsOthers};
        const int pattern = steps[i].readsOthers ? rpGeneral : rpStrictSpatial;
        std::vector<VSFilterDependency> dependencies;
        data->source.addTo(dependencies, pattern);
        data->matte.addTo(dependencies, pattern);
        if (at.node != data->source.node(0))
            dependencies.push_back({at.node, pattern});
        VSNode *made = vsapi->createVideoFilter2(isOutput ? "UpscaleOutput" : "Upscale", &data->vi,
                                                 isOutput ? getFrame<outputFrame> : getFrame<stageFrame>, freeInstance,
                                                 fmParallel, dependencies.data(), static_cast<int>(dependencies.size()),
                                                 data, core);
        vsapi->freeNode(at.node);
        at.node = made;
        if (!made)
            throw std::runtime_error(std::string(kPrefix) + "VapourSynth refused the filter");
    }
    return vsapi->addNodeRef(at.node);
}

// The alpha clip: the argument, else what the first frame carries; null where there is none. Owned.
VSNode *findMatte(const VSMap *in, VSNode *source, const VSFrame *first, VSCore *core, const VSAPI *vsapi) {
    int error = 0;
    VSNode *given = vsapi->mapGetNode(in, "alpha_clip", 0, &error);
    if (given || !first || vsapi->mapGetType(vsapi->getFramePropertiesRO(first), kAlphaProp) != ptVideoFrame)
        return given;
    VSMap *args = vsapi->createMap();
    vsapi->mapSetNode(args, "clip", source, maReplace);
    vsapi->mapSetData(args, "prop", kAlphaProp, -1, dtUtf8, maReplace);
    return invoke(VSH_STD_PLUGIN_ID, "PropToClip", args, core, vsapi);
}

void create(const VSMap *in, VSMap *out, VSNode *source, VSCore *core, const VSAPI *vsapi) {
    if (!Py_IsInitialized())
        throw std::runtime_error(std::string(kPrefix) + "the host must run Python, got none; use python or vspipe");
    // The first frame tells an interlaced clip before any weight file is opened, and whether there is alpha.
    FrameRef first{nullptr, vsapi};
    if (vsh::isConstantVideoFormat(vsapi->getVideoInfo(source))) {
        char error[1024] = "";
        first.frame = vsapi->getFrame(0, source, error, sizeof error);
        if (!first.frame)
            throw std::runtime_error(kPrefix + std::string("the clip must give its first frame, got: ") + error);
    }
    NodeRef matte{findMatte(in, source, first.frame, core, vsapi), vsapi};
    PyObject *graph = nullptr, *matteGraph = nullptr;
    Calls toGray;
    {
        Gil gil;
        Ref capsule = checked(PyCapsule_New(new Host{core, vsapi}, nullptr, freeHost));
        Ref log = checked(PyCFunction_New(&kLogMethod, capsule.get()));
        Ref module = checked(PyImport_ImportModule("vscugan.clip.filter"));
        Ref arguments = argumentsToDict(in, vsapi);
        Ref props = first.frame ? propsToDict(first.frame, vsapi) : checked(PyDict_New());
        Ref video = describe(source, vsapi), alpha(matte.node ? describe(matte.node, vsapi).release() : nullptr);
        Ref made = checked(PyObject_CallMethod(module.get(), "create", "OOOOO", arguments.get(), video.get(),
                                               alpha ? alpha.get() : Py_None, props.get(), log.get()));
        if (matte.node) {
            matteGraph = checked(PyObject_GetAttrString(made.get(), "matte")).release();
            toGray = Resize::listFrom(checked(PyObject_GetAttrString(made.get(), "matte_calls")).get());
        }
        graph = made.release();
    }
    Held held[] = {{graph}, {matteGraph}};
    if (!matte.node) {
        NodeRef whole{build(graph, source, nullptr, core, vsapi), vsapi};
        vsapi->mapSetNode(out, "clip", whole.node, maReplace);
        return;
    }
    Resizers input(vsapi->addNodeRef(matte.node));
    NodeRef gray{vsapi->addNodeRef(input.node(toGray, core, vsapi)), vsapi};
    input.free(vsapi);
    NodeRef colour{build(graph, source, gray.node, core, vsapi), vsapi};
    NodeRef enlarged{build(matteGraph, gray.node, nullptr, core, vsapi), vsapi};
    VSMap *args = vsapi->createMap();
    vsapi->mapSetNode(args, "clip", colour.node, maReplace);
    vsapi->mapSetNode(args, "mclip", enlarged.node, maReplace);
    vsapi->mapSetData(args, "prop", kAlphaProp, -1, dtUtf8, maReplace);
    NodeRef attached{invoke(VSH_STD_PLUGIN_ID, "ClipToProp", args, core, vsapi), vsapi};
    vsapi->mapSetNode(out, "clip", attached.node, maReplace);
}

void VS_CC upscale(const VSMap *in, VSMap *out, void *, VSCore *core, const VSAPI *vsapi) {
    VSNode *source = vsapi->mapGetNode(in, "clip", 0, nullptr);
    try {
        create(in, out, source, core, vsapi);
    } catch (const std::exception &e) {
        vsapi->mapSetError(out, e.what());
    }
    vsapi->freeNode(source);
}

} // namespace

VS_EXTERNAL_API(void) VapourSynthPluginInit2(VSPlugin *plugin, const VSPLUGINAPI *vspapi) {
    vspapi->configPlugin("io.github.vscugan", "cugan", "Real-CUGAN upscaling for anime", VS_MAKE_VERSION(0, 1),
                         VAPOURSYNTH_API_VERSION, 0, plugin);
    vspapi->registerFunction("Upscale",
                             "clip:vnode;scale:float:opt;noise:data:opt;model:data:opt;weights:data:opt;"
                             "alpha:float:opt;tile:int[]:opt;device:data[]:opt;precision:data:opt;"
                             "streams:int:opt;format:int:opt;width:int:opt;height:int:opt;kernel:data:opt;"
                             "linear:int:opt;overshoot:data:opt;alpha_clip:vnode:opt;backend:data:opt;report:int:opt;"
                             "memory:int:opt;reuse:data:opt;segment:int:opt;threshold:float:opt;gates:data:opt;",
                             "clip:vnode;", upscale, nullptr, plugin);
}

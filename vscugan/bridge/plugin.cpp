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
// and held while nobody else's code runs, and the GIL is never held across a call that may wait for a frame.

#include "ownership.h"

#include <VSHelper4.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

namespace {

// what the policy in Python decides by
constexpr const char *kReadProps[] = {"_Matrix",         "_Range",      "_ColorRange", "_Transfer", "_Primaries",
                                      "_ChromaLocation", "_FieldBased", "_SARNum",     "_SARDen",   "_SceneChangePrev"};
// what the resizer knows better when the output's format is not the input's
constexpr const char *kFormatProps[] = {"_Matrix", "_Range", "_ColorRange", "_ChromaLocation"};

// what the stages report begins with it
constexpr const char *kReportPrefix = "Cugan";

constexpr const char *kAlphaProp = "_Alpha";
// why a frame can't be read, see readFrame
constexpr const char *kUnreadableProp = "_CuganUnreadable";

void setItem(PyObject *dict, const char *key, PyObject *value) {
    Ref owned = checked(value);
    if (PyDict_SetItemString(dict, key, owned.get()) < 0)
        raisePython();
}

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
Ref planesToList(const VSFrame *first, const VSFrame *last, VSFrame *writable, PyObject *views, const VSAPI *vsapi) {
    const int own = vsapi->getVideoFrameFormat(first)->numPlanes;
    return listOf(own + (last ? vsapi->getVideoFrameFormat(last)->numPlanes : 0), [&](int i) -> PyObject * {
        const VSFrame *frame = i < own ? first : last;
        const int p = i < own ? i : i - own;
        const Py_ssize_t stride = vsapi->getStride(frame, p), height = vsapi->getFrameHeight(frame, p);
        auto *data = writable ? vsapi->getWritePtr(writable, p) : const_cast<uint8_t *>(vsapi->getReadPtr(frame, p));
        Ref view = PlaneBytes::view(frame, data, stride * height, !writable, vsapi);
        if (PyList_Append(views, view.get()) < 0)
            raisePython();
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
            if (PyErr_Occurred()) // a number that is too large
                raisePython();
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

// The node that a function of VapourSynth makes.
Node invoke(const char *plugin, const char *function, const Map &args, VSCore *core, const VSAPI *vsapi) {
    Map out{vsapi->invoke(vsapi->getPluginByID(plugin, core), function, args.get()), vsapi};
    if (const char *error = vsapi->mapGetError(out.get()))
        throw std::runtime_error(kPrefix + std::string(error));
    return {vsapi->mapGetNode(out.get(), "clip", 0, nullptr), vsapi};
}

// A node of ours, which takes the data.
template <typename T>
Node created(const char *name, VSFilterGetFrame getFrame, VSFilterFree free,
             const std::vector<VSFilterDependency> &dependencies, std::unique_ptr<T> data, VSCore *core,
             const VSAPI *vsapi) {
    Node made{vsapi->createVideoFilter2(name, &data->vi, getFrame, free, fmParallel, dependencies.data(),
                                        static_cast<int>(dependencies.size()), data.get(), core),
              vsapi};
    if (!made) // VapourSynth has not taken the data
        throw std::runtime_error(std::string(kPrefix) + "VapourSynth refused the filter");
    data.release();
    return made;
}

// One input and its resize nodes, made on demand.
class Resizers {
    Node input_;
    std::mutex mutex_;
    std::map<Calls, Node> nodes_; // the calls so far -> the node after them

public:
    explicit Resizers(Node input) : input_(std::move(input)) {}

    // The node after these calls; it lives as long as this.
    VSNode *node(const Calls &calls, VSCore *core, const VSAPI *vsapi) {
        VSNode *at = input_.get();
        for (size_t i = 0; i < calls.size(); i++) {
            const Calls key(calls.begin(), calls.begin() + i + 1);
            VSNode *next = find(key);
            at = next ? next : keep(key, resized(calls[i], at, core, vsapi));
        }
        return at;
    }

private:
    VSNode *find(const Calls &key) {
        std::lock_guard<std::mutex> lock(mutex_);
        const auto found = nodes_.find(key);
        return found == nodes_.end() ? nullptr : found->second.get();
    }

    // Another thread may have made it meanwhile: making takes no lock, since it may log, and that may run Python.
    VSNode *keep(const Calls &key, Node made) {
        std::lock_guard<std::mutex> lock(mutex_);
        return nodes_.try_emplace(key, std::move(made)).first->second.get();
    }

    static Node resized(const Resize &call, VSNode *clip, VSCore *core, const VSAPI *vsapi) {
        Map props{vsapi->createMap(), vsapi}, args{vsapi->createMap(), vsapi};
        call.arguments.write(args.get(), props.get(), vsapi);
        Node from = another(clip, vsapi);
        if (vsapi->mapNumKeys(props.get())) {
            vsapi->mapSetNode(props.get(), "clip", clip, maReplace);
            from = invoke(VSH_STD_PLUGIN_ID, "SetFrameProps", props, core, vsapi);
        }
        vsapi->mapSetNode(args.get(), "clip", from.get(), maReplace);
        return invoke(VSH_RESIZE_PLUGIN_ID, call.function.c_str(), args, core, vsapi);
    }
};

// Reads a clip for those that need other frames than their own: a frame that can't be read must fail its own output frame
// alone, but VapourSynth fails every frame that has asked for it. So it comes as a frame whose prop says why. A resizer
// behind it asks the clip once more: what can be read only sometimes fails those that have asked.
struct Reader {
    Node node;
    VSVideoInfo vi;
};

const VSFrame *VS_CC readFrame(int n, int, void *data, void **, VSFrameContext *, VSCore *core, const VSAPI *vsapi) {
    auto *d = static_cast<Reader *>(data);
    char error[8192] = "";
    // VapourSynth lets another thread work while this one waits
    const VSFrame *frame = vsapi->getFrame(n, d->node.get(), error, sizeof error);
    if (frame)
        return frame;
    VSFrame *marked = vsapi->newVideoFrame(&d->vi.format, d->vi.width, d->vi.height, nullptr, core);
    const char *why = *error ? error : "the frame can't be read";
    vsapi->mapSetData(vsapi->getFramePropertiesRW(marked), kUnreadableProp, why, -1, dtUtf8, maReplace);
    return marked;
}

void VS_CC freeReader(void *data, VSCore *, const VSAPI *) { delete static_cast<Reader *>(data); }

Node readerOf(VSNode *clip, VSCore *core, const VSAPI *vsapi) {
    const VSFilterDependency dependency = {clip, rpGeneral};
    std::unique_ptr<Reader> data(new Reader{another(clip, vsapi), *vsapi->getVideoInfo(clip)});
    Node made = created("UpscaleReader", readFrame, freeReader, {dependency}, std::move(data), core, vsapi);
    vsapi->setCacheMode(made.get(), cmForceDisable); // the clip's own cache is enough
    return made;
}

void throwIfUnreadable(const VSFrame *frame, const VSAPI *vsapi) {
    int error = 0;
    const char *why = vsapi->mapGetData(vsapi->getFramePropertiesRO(frame), kUnreadableProp, 0, &error);
    if (!error)
        throw std::runtime_error(why);
}

// State of a node: a stage of the graph, or its output.
struct Instance {
    Held python;
    Resizers resizers;
    Node source; // where the props come from
    Node matte;  // GRAYS that a stage is handed beside its input, or none
    VSVideoInfo vi;
    bool readsOthers; // whether a frame may need other source frames than its own

    ~Instance() {
        if (!Py_IsInitialized()) // the object is gone with the interpreter
            return;
        Gil gil;
        Ref closed(PyObject_CallMethod(python.get(), "close", nullptr));
        PyErr_Clear(); // there is nobody to be told
    }
};

void VS_CC freeInstance(void *data, VSCore *, const VSAPI *) { delete static_cast<Instance *>(data); }

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

// A frame as Python keeps it to name it as the result of another; it holds a reference.
Ref frameObject(const VSFrame *frame, const VSAPI *vsapi) {
    return capsule(std::make_unique<Frame>(vsapi->addFrameRef(frame), vsapi));
}

// An output frame of a stage that is on its way: the source frames it has asked for since the last call of Python.
struct Pending {
    std::map<int, VSNode *> frames; // number -> the node that makes it for the stage; null: its props come first
    VSNode *own = nullptr;          // the node that makes the frame of the output frame's number
    std::map<int, std::string> unreadable; // number -> why a frame, not that of the own number, can't be had
};

void ask(int n, Instance *d, VSFrameContext *ctx, const VSAPI *vsapi) {
    for (const Node *input : {&d->source, &d->matte})
        if (*input)
            vsapi->requestFrameFilter(n, input->get(), ctx);
}

// The matte's frame beside a source frame; null where there is none.
Frame matteOf(int n, Instance *d, VSFrameContext *ctx, const VSAPI *vsapi) {
    return {d->matte ? vsapi->getFrameFilter(n, d->matte.get(), ctx) : nullptr, vsapi};
}

// Asks for the frames that come out of the resizer, for those whose props are here; returns whether any was asked for.
bool askConverted(int n, Pending *pending, Instance *d, VSFrameContext *ctx, VSCore *core, const VSAPI *vsapi) {
    bool asked = false;
    for (auto &[k, node] : pending->frames) {
        if (node || pending->unreadable.count(k))
            continue;
        Frame source{vsapi->getFrameFilter(k, d->source.get(), ctx), vsapi}, matte = matteOf(k, d, ctx, vsapi);
        Calls calls;
        try {
            throwIfUnreadable(source.get(), vsapi);
            if (matte)
                throwIfUnreadable(matte.get(), vsapi);
            Gil gil;
            Ref props = propsToDict(source.get(), vsapi);
            Ref answer = checked(PyObject_CallMethod(d->python.get(), "prepare", "iO", k, props.get()));
            calls = Resize::listFrom(answer.get());
        } catch (const std::exception &e) {
            if (k == n)
                throw;
            pending->unreadable[k] = e.what();
            continue;
        }
        node = calls.empty() ? d->source.get() : d->resizers.node(calls, core, vsapi);
        if (!calls.empty()) {
            vsapi->requestFrameFilter(k, node, ctx);
            asked = true;
        }
        if (k == n)
            pending->own = node;
    }
    return asked;
}

// The pending frames for Python: {number: (width, planes, props, why it can't be read)}.
Ref pendingToDict(const Pending *pending, Instance *d, PyObject *views, VSFrameContext *ctx, const VSAPI *vsapi) {
    Ref dict = checked(PyDict_New());
    const auto add = [&](int k, Ref entry) {
        Ref key = checked(PyLong_FromLong(k));
        if (PyDict_SetItem(dict.get(), key.get(), entry.get()) < 0)
            raisePython();
    };
    for (auto &[k, node] : pending->frames) {
        if (!node)
            continue;
        Frame in{vsapi->getFrameFilter(k, node, ctx), vsapi}, matte = matteOf(k, d, ctx, vsapi);
        Ref planes = planesToList(in.get(), matte.get(), nullptr, views, vsapi), props = propsToDict(in.get(), vsapi);
        add(k, checked(Py_BuildValue("(iOOs)", vsapi->getFrameWidth(in.get(), 0), planes.get(), props.get(), "")));
    }
    for (auto &[k, why] : pending->unreadable) {
        Ref text = checked(PyUnicode_DecodeUTF8(why.data(), why.size(), "replace")); // it may have been cut short
        add(k, checked(Py_BuildValue("(i[]{}O)", 0, text.get())));
    }
    return dict;
}

// A frame of `props` whose planes are those of `from`.
NewFrame withPlanesOf(const VSFrame *from, const VSFrame *props, const Instance *d, VSCore *core, const VSAPI *vsapi) {
    const VSFrame *planes[] = {from, from, from};
    const int order[] = {0, 1, 2};
    NewFrame made{vsapi->newVideoFrame2(&d->vi.format, d->vi.width, d->vi.height, planes, order, props, core), vsapi};
    if (!made)
        throw std::runtime_error(std::string(kPrefix) + "VapourSynth refused the output frame");
    return made;
}

// The output frame, or null when Python needs further frames, which are then asked for.
NewFrame compute(int n, Pending *pending, Instance *d, VSFrameContext *ctx, VSCore *core, const VSAPI *vsapi) {
    Frame in{vsapi->getFrameFilter(n, pending->own, ctx), vsapi};
    NewFrame out{vsapi->newVideoFrame(&d->vi.format, d->vi.width, d->vi.height, in.get(), core), vsapi};
    if (d->vi.format.colorFamily == cfRGB)
        vsapi->mapSetInt(vsapi->getFramePropertiesRW(out.get()), "_Matrix", 0, maReplace);
    std::vector<int> further;
    Entries report;
    Frame same;
    {
        Gil gil;
        ReleasedAtEnd released;
        Ref from = pendingToDict(pending, d, released.views.get(), ctx, vsapi);
        Ref to = planesToList(out.get(), nullptr, out.get(), released.views.get(), vsapi);
        Ref self = frameObject(out.get(), vsapi);
        Ref answer =
            checked(PyObject_CallMethod(d->python.get(), "compute", "iOOO", n, from.get(), to.get(), self.get()));
        if (PyList_Check(answer.get())) {
            for (Py_ssize_t i = 0; i < PyList_Size(answer.get()); i++)
                further.push_back(static_cast<int>(PyLong_AsLong(PyList_GetItem(answer.get(), i))));
            if (PyErr_Occurred())
                raisePython();
        } else {
            PyObject *earlier = nullptr, *props = nullptr;
            if (!PyArg_ParseTuple(answer.get(), "OO", &earlier, &props))
                raisePython();
            report = Entries::from(props);
            if (earlier != Py_None) {
                auto *held = static_cast<Frame *>(PyCapsule_GetPointer(earlier, nullptr));
                if (!held)
                    raisePython();
                same = Frame{vsapi->addFrameRef(held->get()), vsapi};
            }
        }
    }
    if (further.empty()) {
        VSMap *props = vsapi->getFramePropertiesRW(out.get());
        report.write(props, props, vsapi);
        return same ? withPlanesOf(same.get(), out.get(), d, core, vsapi) : std::move(out);
    }
    for (auto &[k, node] : pending->frames) { // Python has copied what it needs, and there may be many
        if (k == n)
            continue; // its props are needed at the end
        for (VSNode *from : {node == d->source.get() ? nullptr : node, d->source.get(), d->matte.get()})
            if (from)
                vsapi->releaseFrameEarly(from, k, ctx);
    }
    pending->frames.clear();
    pending->unreadable.clear();
    for (int k : further) {
        pending->frames[k] = nullptr;
        ask(k, d, ctx, vsapi);
    }
    return {};
}

// What Python is told of a frame beside its pixels: "begin" or "end".
void tell(const char *what, int n, Instance *d) {
    if (!d->readsOthers)
        return;
    Gil gil;
    checked(PyObject_CallMethod(d->python.get(), what, "i", n));
}

const VSFrame *stageFrame(int n, int reason, Instance *d, void **frameData, VSFrameContext *ctx, VSCore *core,
                          const VSAPI *vsapi) {
    if (reason == arInitial) {
        auto pending = std::make_unique<Pending>();
        pending->frames[n] = nullptr;
        tell("begin", n, d);
        ask(n, d, ctx, vsapi);
        *frameData = pending.release();
        return nullptr;
    }
    std::unique_ptr<Pending> pending(static_cast<Pending *>(std::exchange(*frameData, nullptr)));
    NewFrame out;
    try {
        if (reason == arAllFramesReady) {
            if (!askConverted(n, pending.get(), d, ctx, core, vsapi))
                out = compute(n, pending.get(), d, ctx, core, vsapi);
            if (!out) {
                *frameData = pending.release();
                return nullptr;
            }
        }
    } catch (...) {
        try {
            tell("end", n, d);
        } catch (const std::exception &) { // what came first is what the script's author is told
        }
        throw;
    }
    tell("end", n, d); // the frame is there, or one that it needs has failed
    return out.release();
}

// An output frame that waits for the resizer: what Python has said of it.
struct Finish {
    Node resized; // the node that makes its planes
    Entries props;
    bool isOtherFormat;
};

std::unique_ptr<Finish> askFinish(int n, const VSFrame *source, Instance *d, VSCore *core, const VSAPI *vsapi) {
    Calls calls;
    Entries entries;
    int isOtherFormat = 0;
    {
        Gil gil;
        Ref props = propsToDict(source, vsapi);
        Ref answer = checked(PyObject_CallMethod(d->python.get(), "finish", "iO", n, props.get()));
        PyObject *list = nullptr, *dict = nullptr;
        if (!PyArg_ParseTuple(answer.get(), "OOp", &list, &dict, &isOtherFormat))
            raisePython();
        calls = Resize::listFrom(list);
        entries = Entries::from(dict);
    }
    Node resized = another(d->resizers.node(calls, core, vsapi), vsapi);
    return std::unique_ptr<Finish>(new Finish{std::move(resized), std::move(entries), isOtherFormat != 0});
}

// What the stages and the resizer have written takes the place of the source frame's.
void takeProps(VSFrame *out, const VSFrame *made, bool isOtherFormat, const VSAPI *vsapi) {
    Map taken{vsapi->createMap(), vsapi};
    vsapi->copyMap(vsapi->getFramePropertiesRO(made), taken.get());
    const auto isTaken = [&](const std::string &key) {
        return key.rfind(kReportPrefix, 0) == 0 ||
               (isOtherFormat && std::find(std::begin(kFormatProps), std::end(kFormatProps), key) != std::end(kFormatProps));
    };
    for (int k = vsapi->mapNumKeys(taken.get()) - 1; k >= 0; k--) {
        const std::string key = vsapi->mapGetKey(taken.get(), k);
        if (!isTaken(key))
            vsapi->mapDeleteKey(taken.get(), key.c_str());
    }
    VSMap *props = vsapi->getFramePropertiesRW(out);
    if (isOtherFormat)
        for (const char *key : kFormatProps)
            vsapi->mapDeleteKey(props, key);
    vsapi->copyMap(taken.get(), props);
}

const VSFrame *outputFrame(int n, int reason, Instance *d, void **frameData, VSFrameContext *ctx, VSCore *core,
                           const VSAPI *vsapi) {
    std::unique_ptr<Finish> finish(static_cast<Finish *>(std::exchange(*frameData, nullptr)));
    if (reason == arInitial)
        vsapi->requestFrameFilter(n, d->source.get(), ctx);
    if (reason != arAllFramesReady)
        return nullptr;
    Frame source{vsapi->getFrameFilter(n, d->source.get(), ctx), vsapi};
    if (!finish) {
        throwIfUnreadable(source.get(), vsapi);
        finish = askFinish(n, source.get(), d, core, vsapi);
        vsapi->requestFrameFilter(n, finish->resized.get(), ctx);
        *frameData = finish.release();
        return nullptr;
    }
    Frame made{vsapi->getFrameFilter(n, finish->resized.get(), ctx), vsapi};
    NewFrame out = withPlanesOf(made.get(), source.get(), d, core, vsapi);
    takeProps(out.get(), made.get(), finish->isOtherFormat, vsapi);
    VSMap *props = vsapi->getFramePropertiesRW(out.get());
    finish->props.write(props, props, vsapi);
    vsapi->mapDeleteKey(props, kAlphaProp); // of the source's size; the graph attaches the new one
    return out.release();
}

struct Host {
    VSCore *core;
    const VSAPI *vsapi;
};

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
    const int value = PyObject_IsTrue(checked(PyObject_GetAttrString(python, name)).get());
    if (value < 0)
        raisePython();
    return value == 1;
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
Node build(PyObject *graph, VSNode *source, VSNode *matte, VSCore *core, const VSAPI *vsapi) {
    struct Step {
        Held python;
        VSVideoInfo vi;
        bool readsOthers;
    };
    std::vector<Step> steps;
    {
        Gil gil;
        Ref stages = checked(PyObject_GetAttrString(graph, "stages"));
        const auto add = [&](PyObject *python) {
            steps.push_back({Held(Ref(Py_NewRef(python))), infoOf(python, source, core, vsapi),
                             flag(python, "reads_others")});
        };
        for (Py_ssize_t i = 0, count = PyTuple_Size(stages.get()); i < count; i++)
            add(PyTuple_GetItem(stages.get(), i));
        if (PyErr_Occurred())
            raisePython();
        add(graph);
    }
    const bool readsOthers = std::any_of(steps.begin(), steps.end(), [](const Step &step) { return step.readsOthers; });
    const Node clip = readsOthers ? readerOf(source, core, vsapi) : another(source, vsapi);
    Node at = another(source, vsapi);
    for (Step &step : steps) {
        const bool isFirst = &step == &steps.front(), isOutput = &step == &steps.back();
        Node from = another(isFirst || isOutput ? clip.get() : at.get(), vsapi), beside;
        if (isFirst && matte)
            beside = step.readsOthers ? readerOf(matte, core, vsapi) : another(matte, vsapi);
        const int pattern = step.readsOthers ? rpGeneral : rpStrictSpatial;
        std::vector<VSFilterDependency> dependencies = {{from.get(), pattern}};
        for (VSNode *other : {beside.get(), at.get() == from.get() ? nullptr : at.get()})
            if (other)
                dependencies.push_back({other, pattern});
        std::unique_ptr<Instance> data(new Instance{std::move(step.python), Resizers(another(at.get(), vsapi)),
                                                    std::move(from), std::move(beside), step.vi, step.readsOthers});
        at = created(isOutput ? "UpscaleOutput" : "Upscale", isOutput ? getFrame<outputFrame> : getFrame<stageFrame>,
                     freeInstance, dependencies, std::move(data), core, vsapi);
    }
    return at;
}

// The alpha clip: the argument, else what the first frame carries; null where there is none.
// VapourSynth brings the frames of arguments into main memory itself (R80), but not those in props.
Node findMatte(const VSMap *in, VSNode *source, const VSFrame *first, VSCore *core, const VSAPI *vsapi) {
    int error = 0;
    Node given{vsapi->mapGetNode(in, "alpha_clip", 0, &error), vsapi};
    if (given || !first || vsapi->mapGetType(vsapi->getFramePropertiesRO(first), kAlphaProp) != ptVideoFrame)
        return given;
    Map args{vsapi->createMap(), vsapi};
    vsapi->mapSetNode(args.get(), "clip", source, maReplace);
    vsapi->mapSetData(args.get(), "prop", kAlphaProp, -1, dtUtf8, maReplace);
    Node attached = invoke(VSH_STD_PLUGIN_ID, "PropToClip", args, core, vsapi);
    if (!vsapi->getPluginFunctionByName("GPUDownload", vsapi->getPluginByID(VSH_STD_PLUGIN_ID, core)))
        return attached;
    Map download{vsapi->createMap(), vsapi};
    vsapi->mapSetNode(download.get(), "clip", attached.get(), maReplace);
    return invoke(VSH_STD_PLUGIN_ID, "GPUDownload", download, core, vsapi); // passes on what is in main memory
}

void create(const VSMap *in, VSMap *out, VSNode *source, VSCore *core, const VSAPI *vsapi) {
    if (!Py_IsInitialized())
        throw std::runtime_error(std::string(kPrefix) + "the host must run Python, got none; use python or vspipe");
    // The first frame tells an interlaced clip before any weight file is opened, and whether there is alpha.
    Frame first;
    if (vsh::isConstantVideoFormat(vsapi->getVideoInfo(source))) {
        char error[1024] = "";
        first = Frame{vsapi->getFrame(0, source, error, sizeof error), vsapi};
        if (!first)
            throw std::runtime_error(kPrefix + std::string("the clip must give its first frame, got: ") + error);
    }
    Node matte = findMatte(in, source, first.get(), core, vsapi);
    Held graph, matteGraph;
    Calls toGray;
    {
        Gil gil;
        Ref host = capsule(std::unique_ptr<Host>(new Host{core, vsapi}));
        Ref log = checked(PyCFunction_New(&kLogMethod, host.get()));
        Ref module = checked(PyImport_ImportModule("vscugan.clip.filter"));
        Ref arguments = argumentsToDict(in, vsapi);
        Ref props = first ? propsToDict(first.get(), vsapi) : checked(PyDict_New());
        Ref video = describe(source, vsapi), alpha(matte ? describe(matte.get(), vsapi).release() : nullptr);
        graph = Held(checked(PyObject_CallMethod(module.get(), "create", "OOOOO", arguments.get(), video.get(),
                                                 alpha ? alpha.get() : Py_None, props.get(), log.get())));
        if (matte) {
            matteGraph = Held(checked(PyObject_GetAttrString(graph.get(), "matte")));
            toGray = Resize::listFrom(checked(PyObject_GetAttrString(graph.get(), "matte_calls")).get());
        }
    }
    if (!matte) {
        vsapi->mapConsumeNode(out, "clip", build(graph.get(), source, nullptr, core, vsapi).release(), maReplace);
        return;
    }
    Resizers input(std::move(matte));
    VSNode *gray = input.node(toGray, core, vsapi);
    Node colour = build(graph.get(), source, gray, core, vsapi);
    Node enlarged = build(matteGraph.get(), gray, nullptr, core, vsapi);
    Map args{vsapi->createMap(), vsapi};
    vsapi->mapSetNode(args.get(), "clip", colour.get(), maReplace);
    vsapi->mapSetNode(args.get(), "mclip", enlarged.get(), maReplace);
    vsapi->mapSetData(args.get(), "prop", kAlphaProp, -1, dtUtf8, maReplace);
    Node attached = invoke(VSH_STD_PLUGIN_ID, "ClipToProp", args, core, vsapi);
    vsapi->mapConsumeNode(out, "clip", attached.release(), maReplace);
}

void VS_CC upscale(const VSMap *in, VSMap *out, void *, VSCore *core, const VSAPI *vsapi) {
    Node source{vsapi->mapGetNode(in, "clip", 0, nullptr), vsapi};
    try {
        create(in, out, source.get(), core, vsapi);
    } catch (const std::exception &e) {
        vsapi->mapSetError(out, e.what());
    }
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

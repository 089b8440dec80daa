// cugan.Upscale for VapourSynth: registers the function, hands planes to Python, and builds the graph
// that Python asks for. Policy, messages and pixels are Python's; see vscugan/clip/filter.py.
//
//   clip -> [resize to RGBS] -> Upscale -> [resize to the output format] -> UpscaleOutput
//
// The resize nodes depend on the frame's colour props, so they are made when a frame needs them, one for
// each set of arguments, and kept. Two rules keep threads apart: our mutex is only taken without the GIL
// and held while no Python runs, and the GIL is never held across a call that may wait for a frame.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <VSHelper4.h>
#include <VapourSynth4.h>

#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tuple>

namespace {

constexpr const char *kPrefix = "cugan.Upscale: ";
// what the policy in Python decides by
constexpr const char *kColourProps[] = {"_Matrix",   "_Range",          "_ColorRange", "_Transfer",
                                        "_Primaries", "_ChromaLocation", "_FieldBased"};
// what the resizer knows better when the output's format is not the input's
constexpr const char *kFormatProps[] = {"_Matrix", "_Range", "_ColorRange", "_ChromaLocation"};

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

// Arguments of the VapourSynth function as a dict; the clip is left out.
Ref argumentsToDict(const VSMap *in, const VSAPI *vsapi) {
    Ref dict = checked(PyDict_New());
    for (int k = 0; k < vsapi->mapNumKeys(in); k++) {
        const char *key = vsapi->mapGetKey(in, k);
        const int count = vsapi->mapNumElements(in, key);
        switch (count > 0 ? vsapi->mapGetType(in, key) : ptUnset) {
        case ptInt:
            if (count > 1 || std::string(key) == "tile")
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
            setItem(dict.get(), key,
                    PyUnicode_FromStringAndSize(vsapi->mapGetData(in, key, 0, nullptr),
                                                vsapi->mapGetDataSize(in, key, 0, nullptr)));
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
    for (const char *key : kColourProps) {
        int error = 0;
        const int64_t value = vsapi->mapGetInt(props, key, 0, &error);
        if (!error)
            setItem(dict.get(), key, PyLong_FromLongLong(value));
    }
    return dict;
}

// Planes as a list of (memoryview, height, stride in bytes).
Ref planesToList(const VSFrame *frame, VSFrame *writable, const VSAPI *vsapi) {
    return listOf(vsapi->getVideoFrameFormat(frame)->numPlanes, [&](int p) -> PyObject * {
        const Py_ssize_t stride = vsapi->getStride(frame, p), height = vsapi->getFrameHeight(frame, p);
        auto *data = writable ? vsapi->getWritePtr(writable, p) : const_cast<uint8_t *>(vsapi->getReadPtr(frame, p));
        Ref view = checked(PyMemoryView_FromMemory(reinterpret_cast<char *>(data), stride * height,
                                                   writable ? PyBUF_WRITE : PyBUF_READ));
        return Py_BuildValue("(Onn)", view.get(), height, stride);
    });
}

// A call of the resizer as Python words it: (function, {argument: int or str}), or None for no call.
// Arguments that begin with _ are frame props, set on the clip first.
struct Resize {
    std::string function;
    std::map<std::string, int64_t> numbers;
    std::map<std::string, std::string> texts;
    bool operator<(const Resize &o) const {
        return std::tie(function, numbers, texts) < std::tie(o.function, o.numbers, o.texts);
    }

    static Resize from(PyObject *call) {
        Resize r;
        if (call == Py_None)
            return r;
        const char *function = nullptr;
        PyObject *arguments = nullptr, *key = nullptr, *value = nullptr;
        if (!PyArg_ParseTuple(call, "sO", &function, &arguments))
            raisePython();
        r.function = function;
        for (Py_ssize_t at = 0; PyDict_Next(arguments, &at, &key, &value);) {
            const char *name = PyUnicode_AsUTF8AndSize(key, nullptr);
            if (!name)
                raisePython();
            if (PyLong_Check(value)) {
                r.numbers[name] = PyLong_AsLongLong(value);
            } else {
                const char *text = PyUnicode_AsUTF8AndSize(value, nullptr);
                if (!text)
                    raisePython();
                r.texts[name] = text;
            }
        }
        return r;
    }
};

// One input and its resize nodes, made on demand.
class Resizers {
    VSNode *input_;
    std::mutex mutex_;
    std::map<Resize, VSNode *> nodes_;
    std::string error_;

    // The node that a function makes of `clip`, or null with error_ set.
    VSNode *invoke(const char *plugin, const char *function, VSMap *args, VSNode *clip, VSCore *core,
                   const VSAPI *vsapi) {
        vsapi->mapSetNode(args, "clip", clip, maReplace);
        VSMap *out = vsapi->invoke(vsapi->getPluginByID(plugin, core), function, args);
        const char *error = vsapi->mapGetError(out);
        if (error)
            error_ = kPrefix + std::string(error);
        VSNode *made = error ? nullptr : vsapi->mapGetNode(out, "clip", 0, nullptr);
        vsapi->freeMap(out);
        return made;
    }

public:
    explicit Resizers(VSNode *input) : input_(input) {}
    VSNode *input() const { return input_; }

    void free(const VSAPI *vsapi) {
        for (auto &entry : nodes_)
            vsapi->freeNode(entry.second);
        vsapi->freeNode(input_);
    }

    VSNode *node(const Resize &call, VSCore *core, const VSAPI *vsapi) {
        if (call.function.empty())
            return input_;
        std::lock_guard<std::mutex> lock(mutex_);
        auto found = nodes_.find(call);
        if (found != nodes_.end())
            return found->second;
        VSMap *props = vsapi->createMap(), *args = vsapi->createMap();
        for (auto &a : call.numbers)
            vsapi->mapSetInt(a.first[0] == '_' ? props : args, a.first.c_str(), a.second, maReplace);
        for (auto &a : call.texts)
            vsapi->mapSetData(args, a.first.c_str(), a.second.c_str(), -1, dtUtf8, maReplace);
        VSNode *from = vsapi->mapNumKeys(props) ? invoke(VSH_STD_PLUGIN_ID, "SetFrameProps", props, input_, core, vsapi)
                                                : vsapi->addNodeRef(input_);
        VSNode *made = from ? invoke(VSH_RESIZE_PLUGIN_ID, call.function.c_str(), args, from, core, vsapi) : nullptr;
        vsapi->freeNode(from);
        vsapi->freeMap(props);
        vsapi->freeMap(args);
        if (!made)
            throw std::runtime_error(error_);
        return nodes_[call] = made;
    }
};

// State of one of the two filters: both hold the Python filter, each has its own input.
struct Instance {
    PyObject *python; // owned; given up under the GIL
    Resizers resizers;
    VSNode *source; // owned; where the props come from
    VSVideoInfo vi;
};

void VS_CC freeInstance(void *data, VSCore *, const VSAPI *vsapi) {
    auto *d = static_cast<Instance *>(data);
    d->resizers.free(vsapi);
    vsapi->freeNode(d->source);
    if (Py_IsInitialized()) { // else the interpreter is gone, and the object with it
        Gil gil;
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

const VSFrame *upscaleFrame(int n, int reason, Instance *d, void **frameData, VSFrameContext *ctx, VSCore *core,
                            const VSAPI *vsapi) {
    if (reason == arInitial)
        vsapi->requestFrameFilter(n, d->source, ctx);
    if (reason != arAllFramesReady)
        return nullptr;
    if (!*frameData) { // the source frame is here: what colour is it?
        FrameRef source{vsapi->getFrameFilter(n, d->source, ctx), vsapi};
        Resize call;
        {
            Gil gil;
            Ref props = propsToDict(source.frame, vsapi);
            call = Resize::from(checked(PyObject_CallMethod(d->python, "to_rgb", "iO", n, props.get())).get());
        }
        VSNode *node = d->resizers.node(call, core, vsapi);
        *frameData = node;
        if (node != d->source) {
            vsapi->requestFrameFilter(n, node, ctx);
            return nullptr;
        }
    }
    FrameRef rgb{vsapi->getFrameFilter(n, static_cast<VSNode *>(*frameData), ctx), vsapi};
    VSFrame *out = vsapi->newVideoFrame(&d->vi.format, d->vi.width, d->vi.height, rgb.frame, core);
    if (vsapi->getVideoFrameFormat(rgb.frame)->colorFamily == cfGray)
        vsapi->mapSetInt(vsapi->getFramePropertiesRW(out), "_Matrix", 0, maReplace);
    try {
        Gil gil;
        Ref from = planesToList(rgb.frame, nullptr, vsapi), to = planesToList(out, out, vsapi);
        checked(PyObject_CallMethod(d->python, "upscale", "iiOO", n, vsapi->getFrameWidth(rgb.frame, 0), from.get(),
                                    to.get()));
    } catch (...) {
        vsapi->freeFrame(out);
        throw;
    }
    return out;
}

const VSFrame *outputFrame(int n, int reason, Instance *d, void **frameData, VSFrameContext *ctx, VSCore *core,
                           const VSAPI *vsapi) {
    if (reason == arInitial)
        vsapi->requestFrameFilter(n, d->source, ctx);
    if (reason != arAllFramesReady)
        return nullptr;
    FrameRef source{vsapi->getFrameFilter(n, d->source, ctx), vsapi};
    Resize call;
    int64_t matrix = -1;
    int newFormat = 0;
    {
        Gil gil;
        Ref props = propsToDict(source.frame, vsapi);
        Ref answer = checked(PyObject_CallMethod(d->python, "from_rgb", "iO", n, props.get()));
        PyObject *resize = nullptr;
        long long value = -1;
        if (!PyArg_ParseTuple(answer.get(), "OLp", &resize, &value, &newFormat))
            raisePython();
        call = Resize::from(resize);
        matrix = value;
    }
    if (!*frameData) {
        *frameData = d->resizers.node(call, core, vsapi);
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
    if (matrix >= 0)
        vsapi->mapSetInt(props, "_Matrix", matrix, maReplace);
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

struct Created {
    PyObject *python;
    int scale, format;
};

Created createPython(const VSMap *in, const VSVideoInfo *vi, const VSFrame *first, VSCore *core, const VSAPI *vsapi) {
    Gil gil;
    Ref capsule = checked(PyCapsule_New(new Host{core, vsapi}, nullptr, freeHost));
    Ref log = checked(PyCFunction_New(&kLogMethod, capsule.get()));
    Ref module = checked(PyImport_ImportModule("vscugan.clip.filter"));
    Ref arguments = argumentsToDict(in, vsapi);
    Ref props = first ? propsToDict(first, vsapi) : checked(PyDict_New());
    const VSVideoFormat &f = vi->format;
    Ref filter = checked(PyObject_CallMethod(module.get(), "create", "O(iiiiiii)OO", arguments.get(), vi->width,
                                             vi->height, f.colorFamily, f.sampleType, f.bitsPerSample, f.subSamplingW,
                                             f.subSamplingH, props.get(), log.get()));
    Created made{};
    Ref scale = checked(PyObject_GetAttrString(filter.get(), "scale"));
    Ref format = checked(PyObject_GetAttrString(filter.get(), "format_id"));
    made.scale = static_cast<int>(PyLong_AsLong(scale.get()));
    made.format = static_cast<int>(PyLong_AsLong(format.get()));
    if (PyErr_Occurred())
        raisePython();
    made.python = filter.release();
    return made;
}

void create(const VSMap *in, VSMap *out, VSNode *source, VSCore *core, const VSAPI *vsapi) {
    if (!Py_IsInitialized())
        throw std::runtime_error(std::string(kPrefix) + "the host must run Python, got none; use python or vspipe");
    const VSVideoInfo *vi = vsapi->getVideoInfo(source);
    // The first frame tells an interlaced clip before any weight file is opened.
    const VSFrame *first = nullptr;
    if (vsh::isConstantVideoFormat(vi)) {
        char error[1024] = "";
        first = vsapi->getFrame(0, source, error, sizeof error);
        if (!first)
            throw std::runtime_error(kPrefix + std::string("the clip must give its first frame, got: ") + error);
    }
    std::unique_ptr<const VSFrame, void (*)(const VSFrame *)> owned(first, vsapi->freeFrame);
    const Created made = createPython(in, vi, first, core, vsapi);

    VSVideoInfo rgb = *vi, final = *vi;
    rgb.width = final.width = vi->width * made.scale;
    rgb.height = final.height = vi->height * made.scale;
    vsapi->getVideoFormatByID(&rgb.format, pfRGBS, core);
    const bool known = vsapi->getVideoFormatByID(&final.format, made.format, core) != 0;

    auto *first_data = new Instance{made.python, Resizers(vsapi->addNodeRef(source)), vsapi->addNodeRef(source), rgb};
    const VSFilterDependency sourceOnly[] = {{source, rpStrictSpatial}};
    VSNode *upscaled = vsapi->createVideoFilter2("Upscale", &rgb, getFrame<upscaleFrame>, freeInstance, fmParallel,
                                                 sourceOnly, 1, first_data, core);
    if (!upscaled || !known)
        throw std::runtime_error(std::string(kPrefix) + "VapourSynth refused the filter or the output format");
    {
        Gil gil;
        Py_INCREF(made.python);
    }
    auto *second_data = new Instance{made.python, Resizers(upscaled), vsapi->addNodeRef(source), final};
    const VSFilterDependency both[] = {{source, rpStrictSpatial}, {upscaled, rpStrictSpatial}};
    vsapi->createVideoFilter(out, "UpscaleOutput", &final, getFrame<outputFrame>, freeInstance, fmParallel, both, 2,
                             second_data, core);
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
                             "clip:vnode;scale:int:opt;noise:data:opt;model:data:opt;weights:data:opt;"
                             "alpha:float:opt;tile:int[]:opt;device:data:opt;precision:data:opt;"
                             "streams:int:opt;format:int:opt;",
                             "clip:vnode;", upscale, nullptr, plugin);
}

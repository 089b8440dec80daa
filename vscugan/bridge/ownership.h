// Owners of what VapourSynth and Python count by references: each gives its own up when its scope ends, however it ends.

#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <VapourSynth4.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

constexpr const char *kPrefix = "cugan.Upscale: ";

// One object of VapourSynth's; `Free` is the VSAPI's function for its kind.
template <typename T, auto Free> class Owner {
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
    T *release() { return std::exchange(object_, nullptr); }
    explicit operator bool() const { return object_; }
};
using Node = Owner<VSNode, &VSAPI::freeNode>;
using Frame = Owner<const VSFrame, &VSAPI::freeFrame>;
using NewFrame = Owner<VSFrame, &VSAPI::freeFrame>;
using Map = Owner<VSMap, &VSAPI::freeMap>;

inline Node another(VSNode *node, const VSAPI *vsapi) { return {node ? vsapi->addNodeRef(node) : nullptr, vsapi}; }

class Gil {
    PyGILState_STATE state_ = PyGILState_Ensure();

public:
    Gil() = default;
    Gil(const Gil &) = delete;
    ~Gil() { PyGILState_Release(state_); }
};

// A Python object within the scope of a Gil.
struct Decref {
    void operator()(PyObject *o) const { Py_XDECREF(o); }
};
using Ref = std::unique_ptr<PyObject, Decref>;

// A Python object that is given up wherever the GIL is then; after the interpreter's end it is gone already.
class Held {
    PyObject *object_ = nullptr;

public:
    Held() = default;
    explicit Held(Ref ref) : object_(ref.release()) {}
    Held(Held &&other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    Held &operator=(Held &&other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~Held() {
        if (object_ && Py_IsInitialized()) {
            Gil gil;
            Py_DECREF(object_);
        }
    }
    PyObject *get() const { return object_; }
};

// Takes Python's pending exception as a C++ one; Python has worded it for the script's author already.
[[noreturn]] inline void raisePython() {
    Ref error(PyErr_GetRaisedException());
    Ref text(error ? PyObject_Str(error.get()) : nullptr);
    const char *message = text ? PyUnicode_AsUTF8AndSize(text.get(), nullptr) : nullptr;
    std::string copy = message ? message : std::string(kPrefix) + "Python failed without a message";
    PyErr_Clear();
    throw std::runtime_error(copy);
}

inline Ref checked(PyObject *o) {
    if (!o)
        raisePython();
    return Ref(o);
}

// A capsule that owns a C++ object.
template <typename T> Ref capsule(std::unique_ptr<T> owned) {
    Ref made = checked(PyCapsule_New(owned.get(), nullptr, [](PyObject *o) {
        delete static_cast<T *>(PyCapsule_GetPointer(o, nullptr));
    }));
    owned.release();
    return made;
}

// A plane's bytes for Python: as long as a memoryview or an array over them lives, so does the frame.
struct PlaneBytes {
    PyObject_HEAD
    const VSFrame *frame;
    const VSAPI *vsapi;
    uint8_t *data;
    Py_ssize_t size;
    int readonly;

    static Ref view(const VSFrame *frame, uint8_t *data, Py_ssize_t size, bool readonly, const VSAPI *vsapi) {
        if (!data)
            throw std::runtime_error(std::string(kPrefix) + "frames must be in main memory, got one on the GPU; "
                                                            "put std.GPUDownload before cugan.Upscale");
        static PyObject *type = nullptr; // one for the process, made under the GIL
        if (!type)
            type = makeType();
        if (!type)
            raisePython();
        auto *bytes = PyObject_New(PlaneBytes, reinterpret_cast<PyTypeObject *>(type));
        Ref made = checked(reinterpret_cast<PyObject *>(bytes));
        bytes->frame = vsapi->addFrameRef(frame);
        bytes->vsapi = vsapi;
        bytes->data = data;
        bytes->size = size;
        bytes->readonly = readonly;
        return checked(PyMemoryView_FromObject(made.get()));
    }

private:
    static int getBuffer(PyObject *o, Py_buffer *buffer, int flags) {
        auto *self = reinterpret_cast<PlaneBytes *>(o);
        return PyBuffer_FillInfo(buffer, o, self->data, self->size, self->readonly, flags);
    }
    static void dealloc(PyObject *o) {
        auto *self = reinterpret_cast<PlaneBytes *>(o);
        PyTypeObject *type = Py_TYPE(o);
        self->vsapi->freeFrame(self->frame);
        PyObject_Free(o);
        Py_DECREF(type);
    }
    static PyObject *makeType() {
        PyType_Slot slots[] = {
            {Py_bf_getbuffer, reinterpret_cast<void *>(getBuffer)},
            {Py_tp_dealloc, reinterpret_cast<void *>(dealloc)},
            {0, nullptr},
        };
        PyType_Spec spec = {"vscugan.PlaneBytes", sizeof(PlaneBytes), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
        return PyType_FromSpec(&spec);
    }
};

// Takes memoryviews back at the scope's end; one that an array still reads stays, and its frame with it.
struct ReleasedAtEnd {
    Ref views = checked(PyList_New(0));
    ~ReleasedAtEnd() {
        for (Py_ssize_t i = 0; i < PyList_Size(views.get()); i++) {
            Ref released(PyObject_CallMethod(PyList_GetItem(views.get(), i), "release", nullptr));
            PyErr_Clear();
        }
    }
};

// Owners of Python's objects, and of the right to use them; Python's errors as exceptions.

#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "vs_objects.h"

#include <memory>
#include <string>
#include <utility>

namespace cugan {

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

// Takes Python's pending exception as a C++ one; its text is for the script's author already.
[[noreturn]] inline void raisePython() {
    Ref error(PyErr_GetRaisedException());
    Ref text(error ? PyObject_Str(error.get()) : nullptr);
    const char *message = text ? PyUnicode_AsUTF8AndSize(text.get(), nullptr) : nullptr;
    const auto raised = message ? std::runtime_error(message) : failure("Python failed without a message");
    PyErr_Clear();
    throw raised;
}

inline Ref checked(PyObject *o) {
    if (!o)
        raisePython();
    return Ref(o);
}

inline void setItem(const Ref &dict, const char *key, const Ref &value) {
    if (PyDict_SetItemString(dict.get(), key, value.get()) < 0)
        raisePython();
}

inline void setItem(const Ref &dict, int key, const Ref &value) {
    if (PyDict_SetItem(dict.get(), checked(PyLong_FromLong(key)).get(), value.get()) < 0)
        raisePython();
}

// A list of whatever `item` makes for 0..count-1.
template <typename F> Ref listOf(int count, F item) {
    Ref list = checked(PyList_New(0));
    for (int i = 0; i < count; i++) {
        const Ref value = item(i);
        if (PyList_Append(list.get(), value.get()) < 0)
            raisePython();
    }
    return list;
}

// A capsule that owns a C++ object.
template <typename T> Ref capsule(std::unique_ptr<T> owned) {
    Ref object = checked(PyCapsule_New(owned.get(), nullptr, [](PyObject *o) {
        delete static_cast<T *>(PyCapsule_GetPointer(o, nullptr));
    }));
    owned.release(); // the capsule's now
    return object;
}

} // namespace cugan

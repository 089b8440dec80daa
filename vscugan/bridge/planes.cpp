#include "planes.h"

namespace cugan {

namespace {

// A plane for Python: as long as a memoryview or an array over it lives, so does the frame.
struct PlaneBuffer {
    PyObject_HEAD
    const VSFrame *frame; // a reference, given up by dealloc
    const VSAPI *vsapi;
    uint8_t *data;
    Py_ssize_t shape[2], strides[2];
    bool isReadOnly;
};

int getBuffer(PyObject *o, Py_buffer *buffer, int flags) {
    static char format[] = "f";
    auto *self = reinterpret_cast<PlaneBuffer *>(o);
    buffer->obj = nullptr;
    const int inOnePiece = (PyBUF_C_CONTIGUOUS | PyBUF_F_CONTIGUOUS | PyBUF_ANY_CONTIGUOUS) & ~PyBUF_STRIDES;
    if ((flags & PyBUF_STRIDES) != PyBUF_STRIDES || (flags & inOnePiece)) { // rows are padded
        PyErr_SetString(PyExc_BufferError, "a plane must be read with its strides");
        return -1;
    }
    if ((flags & PyBUF_WRITABLE) && self->isReadOnly) {
        PyErr_SetString(PyExc_BufferError, "a source's plane must not be written to");
        return -1;
    }
    *buffer = Py_buffer{};
    buffer->buf = self->data;
    buffer->obj = Py_NewRef(o);
    buffer->itemsize = sizeof(float);
    buffer->len = self->shape[0] * self->shape[1] * buffer->itemsize;
    buffer->readonly = self->isReadOnly;
    buffer->ndim = 2;
    buffer->format = flags & PyBUF_FORMAT ? format : nullptr;
    buffer->shape = self->shape;
    buffer->strides = self->strides;
    return 0;
}

void dealloc(PyObject *o) {
    auto *self = reinterpret_cast<PlaneBuffer *>(o);
    PyTypeObject *type = Py_TYPE(o);
    self->vsapi->freeFrame(self->frame);
    PyObject_Free(o);
    Py_DECREF(type);
}

// One for the process, made under the GIL.
PyTypeObject *planeType() {
    static PyObject *type = nullptr;
    if (!type) {
        PyType_Slot slots[] = {
            {Py_bf_getbuffer, reinterpret_cast<void *>(getBuffer)},
            {Py_tp_dealloc, reinterpret_cast<void *>(dealloc)},
            {0, nullptr},
        };
        PyType_Spec spec = {"vscugan.PlaneBuffer", sizeof(PlaneBuffer), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
        type = PyType_FromSpec(&spec);
    }
    if (!type)
        raisePython();
    return reinterpret_cast<PyTypeObject *>(type);
}

} // namespace

Planes::~Planes() {
    for (Py_ssize_t i = 0; i < PyList_Size(views_.get()); i++) {
        Ref released(PyObject_CallMethod(PyList_GetItem(views_.get(), i), "release", nullptr));
        PyErr_Clear();
    }
}

Ref Planes::view(const VSFrame *frame, uint8_t *data, int plane, bool isReadOnly) {
    if (!data)
        throw failure("frames must be in main memory, got one on the GPU; put std.GPUDownload before cugan.Upscale");
    auto *buffer = PyObject_New(PlaneBuffer, planeType());
    const Ref object = checked(reinterpret_cast<PyObject *>(buffer));
    buffer->frame = vsapi_->addFrameRef(frame);
    buffer->vsapi = vsapi_;
    buffer->data = data;
    buffer->shape[0] = vsapi_->getFrameHeight(frame, plane);
    buffer->shape[1] = vsapi_->getFrameWidth(frame, plane);
    buffer->strides[0] = vsapi_->getStride(frame, plane);
    buffer->strides[1] = sizeof(float);
    buffer->isReadOnly = isReadOnly;
    Ref view = checked(PyMemoryView_FromObject(object.get()));
    if (PyList_Append(views_.get(), view.get()) < 0)
        raisePython();
    return view;
}

Ref Planes::read(const VSFrame *frame, const VSFrame *last) {
    const int own = vsapi_->getVideoFrameFormat(frame)->numPlanes;
    return listOf(own + (last ? vsapi_->getVideoFrameFormat(last)->numPlanes : 0), [&](int i) {
        const VSFrame *from = i < own ? frame : last;
        const int plane = i < own ? i : i - own;
        return view(from, const_cast<uint8_t *>(vsapi_->getReadPtr(from, plane)), plane, true);
    });
}

Ref Planes::write(VSFrame *frame) {
    return listOf(vsapi_->getVideoFrameFormat(frame)->numPlanes,
                  [&](int i) { return view(frame, vsapi_->getWritePtr(frame, i), i, false); });
}

} // namespace cugan

#include "core_log.h"

namespace cugan {

namespace {

// While they are set the core is there: it has called us.
thread_local VSCore *callingCore = nullptr;
thread_local const VSAPI *callingApi = nullptr;

PyObject *logMessage(PyObject *, PyObject *text) {
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, nullptr);
    if (!utf8)
        return nullptr;
    const std::string message = utf8;
    if (callingCore) {
        Py_BEGIN_ALLOW_THREADS // a log handler may be Python on another thread
        callingApi->logMessage(mtInformation, message.c_str(), callingCore);
        Py_END_ALLOW_THREADS
    }
    Py_RETURN_NONE;
}

PyMethodDef kLogMethod = {"log", logMessage, METH_O, "Write one line to the core's log."};

} // namespace

CoreCall::CoreCall(VSCore *core, const VSAPI *vsapi)
    : outerCore_(std::exchange(callingCore, core)), outerApi_(std::exchange(callingApi, vsapi)) {}

CoreCall::~CoreCall() {
    callingCore = outerCore_;
    callingApi = outerApi_;
}

Ref logFunction() { return checked(PyCFunction_New(&kLogMethod, nullptr)); }

} // namespace cugan

#include "resizers.h"

#include <VSHelper4.h>

#include <tuple>

namespace cugan {

namespace {

Resize resizeFrom(PyObject *call) {
    const char *function = nullptr;
    PyObject *arguments = nullptr;
    if (!PyArg_ParseTuple(call, "sO", &function, &arguments))
        raisePython();
    return {function, Entries::from(arguments)};
}

Node resized(const Resize &call, const Node &clip, VSCore *core, const VSAPI *vsapi) {
    const Map props = newMap(vsapi), args = newMap(vsapi);
    call.arguments.write(args.get(), props.get(), vsapi);
    Node from = clip.another();
    if (vsapi->mapNumKeys(props.get())) {
        setNode(props, "clip", clip, vsapi);
        from = invoke(VSH_STD_PLUGIN_ID, "SetFrameProps", props, core, vsapi);
    }
    setNode(args, "clip", from, vsapi);
    return invoke(VSH_RESIZE_PLUGIN_ID, call.function.c_str(), args, core, vsapi);
}

} // namespace

bool Resize::operator<(const Resize &other) const {
    return std::tie(function, arguments) < std::tie(other.function, other.arguments);
}

std::vector<Resize> Resize::listFrom(PyObject *calls) {
    std::vector<Resize> list;
    const Py_ssize_t count = PyList_Size(calls);
    if (count < 0)
        raisePython();
    for (Py_ssize_t i = 0; i < count; i++)
        list.push_back(resizeFrom(PyList_GetItem(calls, i)));
    return list;
}

Node Resizers::node(const Calls &calls, VSCore *core, const VSAPI *vsapi) {
    Node at = input_.another();
    for (size_t i = 0; i < calls.size(); i++) {
        const Calls key(calls.begin(), calls.begin() + i + 1);
        Node next = find(key);
        at = next ? std::move(next) : keep(key, resized(calls[i], at, core, vsapi));
    }
    return at;
}

Node Resizers::find(const Calls &key) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = nodes_.find(key);
    return found == nodes_.end() ? Node() : found->second.another();
}

// Another thread may have made it meanwhile: making takes no lock, since it may log, and that may run Python.
Node Resizers::keep(const Calls &key, Node resized) {
    std::lock_guard<std::mutex> lock(mutex_);
    return nodes_.try_emplace(key, std::move(resized)).first->second.another();
}

} // namespace cugan

#include "graph.h"

#include "nodes.h"
#include "reader.h"

#include <algorithm>

namespace cugan {

namespace {

// What Python says of a node.
struct Step {
    Held python;
    VSVideoInfo vi;
    bool readsOthers;
};

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

Step stepOf(PyObject *python, const Node &source, VSCore *core, const VSAPI *vsapi) {
    VSVideoInfo vi = *vsapi->getVideoInfo(source.get());
    vi.width = number(python, "width");
    vi.height = number(python, "height");
    if (!vsapi->getVideoFormatByID(&vi.format, number(python, "format_id"), core))
        throw failure("VapourSynth refused the output format");
    return {Held(Ref(Py_NewRef(python))), vi, flag(python, "reads_others")};
}

// The stages, and last the output.
std::vector<Step> stepsOf(PyObject *graph, const Node &source, VSCore *core, const VSAPI *vsapi) {
    CoreCall call(core, vsapi);
    std::vector<Step> steps;
    const Ref stages = checked(PyObject_GetAttrString(graph, "stages"));
    for (Py_ssize_t i = 0, count = PyTuple_Size(stages.get()); i < count; i++)
        steps.push_back(stepOf(PyTuple_GetItem(stages.get(), i), source, core, vsapi));
    if (PyErr_Occurred())
        raisePython();
    steps.push_back(stepOf(graph, source, core, vsapi));
    return steps;
}

} // namespace

Node buildGraph(const Held &graph, const Node &source, const Node &alpha, VSCore *core, const VSAPI *vsapi) {
    std::vector<Step> steps = stepsOf(graph.get(), source, core, vsapi);
    const bool readsOthers = std::any_of(steps.begin(), steps.end(), [](const Step &step) { return step.readsOthers; });
    const Node clip = readsOthers ? readerOf(source, core, vsapi) : source.another();
    Node at = source.another();
    for (Step &step : steps) {
        const bool isFirst = &step == &steps.front(), isOutput = &step == &steps.back();
        Node from = (isFirst || isOutput ? clip : at).another(), beside;
        if (isFirst && alpha)
            beside = step.readsOthers ? readerOf(alpha, core, vsapi) : alpha.another();
        const int pattern = step.readsOthers ? rpGeneral : rpStrictSpatial;
        std::vector<VSFilterDependency> dependencies = {{from.get(), pattern}};
        for (VSNode *other : {beside.get(), at.get() == from.get() ? nullptr : at.get()})
            if (other)
                dependencies.push_back({other, pattern});
        std::unique_ptr<NodeState> state(new NodeState{std::move(step.python), Resizers(at.another()),
                                                       std::move(from), std::move(beside), step.vi, step.readsOthers,
                                                       core, vsapi});
        at = createNode(isOutput ? "UpscaleOutput" : "Upscale", isOutput ? getFrame<outputFrame> : getFrame<stageFrame>,
                        dependencies, std::move(state), core, vsapi);
    }
    return at;
}

} // namespace cugan

// The end of the graph: the source frame's props, and the last stage's planes as the resizer makes the output of them.

#include "nodes.h"
#include "reader.h"

namespace cugan {

namespace {

// What Python has said of an output frame, which waits for the resizer.
struct Finish {
    Node resized; // the node that makes its planes
    Entries props;
    bool isOtherFormat;
};

std::unique_ptr<Finish> askHowToFinish(const Frame &source, const Request &request) {
    Calls calls;
    Entries entries;
    int isOtherFormat = 0;
    {
        CoreCall call(request.core, request.vsapi);
        const Ref props = propsToDict(source.get(), request.vsapi);
        const Ref answer =
            checked(PyObject_CallMethod(request.node.python.get(), "finish", "iO", request.n, props.get()));
        PyObject *list = nullptr, *dict = nullptr; // the answer's
        if (!PyArg_ParseTuple(answer.get(), "OOp", &list, &dict, &isOtherFormat))
            raisePython();
        calls = Resize::listFrom(list);
        entries = Entries::from(dict);
    }
    Node resized = request.node.resizers.node(calls, request.core, request.vsapi);
    return std::unique_ptr<Finish>(new Finish{std::move(resized), std::move(entries), isOtherFormat != 0});
}

} // namespace

NewFrame outputFrame(const Request &request) {
    auto finish = request.takeKept<Finish>();
    if (request.reason == arInitial)
        request.ask(request.n, request.node.source);
    if (request.reason != arAllFramesReady)
        return {};
    const Frame source = request.get(request.n, request.node.source);
    if (!finish) {
        throwIfUnreadable(source, request.vsapi);
        finish = askHowToFinish(source, request);
        request.ask(request.n, finish->resized);
        request.keep(std::move(finish));
        return {};
    }
    const Frame processed = request.get(request.n, finish->resized);
    NewFrame out = request.combined(source.get(), processed.get());
    takeProps(out.get(), processed.get(), finish->isOtherFormat, request.vsapi);
    finish->props.writeProps(out.get(), request.vsapi);
    // of the source's size; the graph attaches the new one
    request.vsapi->mapDeleteKey(request.vsapi->getFramePropertiesRW(out.get()), kAlphaProp);
    return out;
}

} // namespace cugan

// A stage of the graph: its frames are Python's, made of the source frames that it asks for.
//
// A stage may need other source frames than its own: it answers with their numbers until it has all of them. It reads
// through a reader, so that a frame that can't be read fails its own output frame alone.

#include "nodes.h"
#include "planes.h"
#include "reader.h"

namespace cugan {

namespace {

// An output frame that is on its way: the source frames it has asked for since the last call of Python.
struct Pending {
    std::map<int, Node> frames;            // number -> the node that makes it for the stage; none: its props come first
    Node own;                              // the node that makes the frame of the output frame's number
    std::map<int, std::string> unreadable; // number -> why a frame, not that of the own number, can't be had
};

// What Python has answered: the frames to read first; or the props, and the frame whose planes they go with, none where
// it has written the target.
struct Answer {
    std::vector<int> further;
    Entries props;
    Frame same;

    static Answer from(PyObject *answer) {
        Answer a;
        if (PyList_Check(answer)) {
            for (Py_ssize_t i = 0; i < PyList_Size(answer); i++)
                a.further.push_back(static_cast<int>(PyLong_AsLong(PyList_GetItem(answer, i))));
            if (PyErr_Occurred())
                raisePython();
            if (a.further.empty())
                throw failure("a stage must name the frames that it needs, got none");
            return a;
        }
        PyObject *same = nullptr, *props = nullptr;
        if (!PyArg_ParseTuple(answer, "OO", &same, &props))
            raisePython();
        a.props = Entries::from(props);
        if (same != Py_None) {
            auto *held = static_cast<Frame *>(PyCapsule_GetPointer(same, nullptr));
            if (!held)
                raisePython();
            a.same = held->another();
        }
        return a;
    }
};

void askSource(int k, const Request &request) {
    for (const Node *input : {&request.node.source, &request.node.alpha})
        if (*input)
            request.ask(k, *input);
}

Calls prepare(int k, const VSFrame *source, const Request &request) {
    CoreCall call(request.core, request.vsapi);
    const Ref props = propsToDict(source, request.vsapi);
    const Ref calls = checked(PyObject_CallMethod(request.node.python.get(), "prepare", "iO", k, props.get()));
    return Resize::listFrom(calls.get());
}

// Asks for the frames that come out of the resizer, for those whose props are here; returns whether any was asked for.
bool askConverted(Pending &pending, const Request &request) {
    const NodeState &state = request.node;
    bool asked = false;
    for (auto &[k, node] : pending.frames) {
        if (node || pending.unreadable.count(k))
            continue;
        const Frame source = request.get(k, state.source), alpha = request.get(k, state.alpha);
        Calls calls;
        try {
            throwIfUnreadable(source, request.vsapi);
            if (alpha)
                throwIfUnreadable(alpha, request.vsapi);
            calls = prepare(k, source.get(), request);
        } catch (const std::exception &e) {
            if (k == request.n)
                throw;
            pending.unreadable[k] = e.what();
            continue;
        }
        if (calls.empty()) {
            node = state.source.another();
        } else {
            node = request.node.resizers.node(calls, request.core, request.vsapi);
            request.ask(k, node);
            asked = true;
        }
        if (k == request.n)
            pending.own = node.another();
    }
    return asked;
}

// The pending frames for Python, {number: (planes, props)}; those of the alpha clip come last among the planes.
Ref framesToDict(const Pending &pending, Planes &planes, const Request &request) {
    Ref dict = checked(PyDict_New());
    for (auto &[k, node] : pending.frames) {
        if (!node)
            continue;
        const Frame in = request.get(k, node), alpha = request.get(k, request.node.alpha);
        const Ref read = planes.read(in.get(), alpha.get()), props = propsToDict(in.get(), request.vsapi);
        setItem(dict, k, checked(PyTuple_Pack(2, read.get(), props.get())));
    }
    return dict;
}

// {number: why the frame can't be had}.
Ref unreadableToDict(const Pending &pending) {
    Ref dict = checked(PyDict_New());
    for (auto &[k, why] : pending.unreadable) // it may have been cut short
        setItem(dict, k, checked(PyUnicode_DecodeUTF8(why.data(), why.size(), "replace")));
    return dict;
}

// Calls Python with what is pending.
Answer compute(const Pending &pending, const NewFrame &out, const Request &request) {
    CoreCall call(request.core, request.vsapi);
    Planes planes(request.vsapi);
    const Ref frames = framesToDict(pending, planes, request), unreadable = unreadableToDict(pending);
    const Ref target = planes.write(out.get());
    // it holds a reference: Python may keep it, to name it as the result of another frame
    const Ref self = capsule(std::make_unique<Frame>(request.vsapi->addFrameRef(out.get()), request.vsapi));
    const Ref answer = checked(PyObject_CallMethod(request.node.python.get(), "compute", "iOOOO", request.n,
                                                   frames.get(), unreadable.get(), target.get(), self.get()));
    return Answer::from(answer.get());
}

// Lets go of the frames that were read, since Python has copied what it needs and there may be many; asks for others.
void askFurther(const std::vector<int> &further, Pending &pending, const Request &request) {
    const NodeState &state = request.node;
    for (auto &[k, node] : pending.frames) {
        if (k == request.n)
            continue; // its props are needed at the end
        const bool isConverted = node && node.get() != state.source.get();
        for (VSNode *from : {isConverted ? node.get() : nullptr, state.source.get(), state.alpha.get()})
            if (from)
                request.vsapi->releaseFrameEarly(from, k, request.ctx);
    }
    pending.frames.clear();
    pending.unreadable.clear();
    for (int k : further) {
        pending.frames[k] = Node();
        askSource(k, request);
    }
}

// The output frame, or none when Python needs further frames, which are then asked for.
NewFrame advance(Pending &pending, const Request &request) {
    if (askConverted(pending, request))
        return {};
    const VSVideoInfo &vi = request.node.vi;
    const VSAPI *vsapi = request.vsapi;
    const Frame in = request.get(request.n, pending.own);
    NewFrame out{vsapi->newVideoFrame(&vi.format, vi.width, vi.height, in.get(), request.core), vsapi};
    if (vi.format.colorFamily == cfRGB)
        vsapi->mapSetInt(vsapi->getFramePropertiesRW(out.get()), "_Matrix", 0, maReplace);
    const Answer answer = compute(pending, out, request);
    if (!answer.further.empty()) {
        askFurther(answer.further, pending, request);
        return {};
    }
    answer.props.writeProps(out.get(), vsapi);
    return answer.same ? request.combined(out.get(), answer.same.get()) : std::move(out);
}

// Says to Python that a frame will be asked for ("begin"), or is there or was given up ("end").
void announce(const char *what, const Request &request) {
    if (!request.node.readsOthers)
        return;
    CoreCall call(request.core, request.vsapi);
    checked(PyObject_CallMethod(request.node.python.get(), what, "i", request.n));
}

} // namespace

NewFrame stageFrame(const Request &request) {
    if (request.reason == arInitial) {
        auto pending = std::make_unique<Pending>();
        pending->frames[request.n] = Node();
        announce("begin", request);
        askSource(request.n, request);
        request.keep(std::move(pending));
        return {};
    }
    auto pending = request.takeKept<Pending>();
    NewFrame out;
    try {
        if (request.reason == arAllFramesReady) {
            out = advance(*pending, request);
            if (!out) {
                request.keep(std::move(pending));
                return {};
            }
        }
    } catch (...) {
        try {
            announce("end", request);
        } catch (const std::exception &) { // the script's author reads what came first
        }
        throw;
    }
    announce("end", request); // the frame is there, or one that it needs has failed
    return out;
}

} // namespace cugan

#include "nodes.h" // Python.h must come before standard headers
#include "reader.h"

namespace cugan {

namespace {

constexpr const char *kUnreadableProp = "_CuganUnreadable";

struct Reader {
    Node clip;
    VSVideoInfo vi;
};

const VSFrame *VS_CC readFrame(int n, int, void *data, void **, VSFrameContext *, VSCore *core, const VSAPI *vsapi) {
    auto *reader = static_cast<Reader *>(data);
    char error[8192] = "";
    // VapourSynth lets another thread work while this one waits
    Frame frame{vsapi->getFrame(n, reader->clip.get(), error, sizeof error), vsapi};
    if (frame)
        return frame.handOver();
    const VSVideoInfo &vi = reader->vi;
    NewFrame marked{vsapi->newVideoFrame(&vi.format, vi.width, vi.height, nullptr, core), vsapi};
    const char *why = *error ? error : "the frame can't be read";
    setText(vsapi->getFramePropertiesRW(marked.get()), kUnreadableProp, why, vsapi);
    return marked.handOver();
}

} // namespace

Node readerOf(const Node &clip, VSCore *core, const VSAPI *vsapi) {
    std::unique_ptr<Reader> data(new Reader{clip.another(), *vsapi->getVideoInfo(clip.get())});
    Node node = createNode("UpscaleReader", readFrame, {{clip.get(), rpGeneral}}, std::move(data), core, vsapi);
    vsapi->setCacheMode(node.get(), cmForceDisable); // the clip's own cache is enough
    return node;
}

void throwIfUnreadable(const Frame &frame, const VSAPI *vsapi) {
    int error = 0;
    const char *why = vsapi->mapGetData(vsapi->getFramePropertiesRO(frame.get()), kUnreadableProp, 0, &error);
    if (!error)
        throw std::runtime_error(why);
}

} // namespace cugan

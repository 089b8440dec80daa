// What the plugin registers, cugan.Upscale, and how a call of it becomes nodes. Policy, messages and pixels are
// Python's; see vscugan/clip/filter.py.
//
//   clip -> [resize] -> Upscale (one node per stage) -> ... -> [resize to the output] -> UpscaleOutput
//   alpha -> [resize to gray] -> Upscale -> ... -> [resize] -> UpscaleOutput -> attached to the clip's output
//
// Two rules keep threads apart: our mutex (see resizers.h) is only taken without the GIL and held while nobody else's
// code runs, and the GIL is never held across a call that may wait for a frame.
//
// Read on in graph.cpp (which nodes there are), then in stage_node.cpp and output_node.cpp (how a frame is made).

#include "arguments.h"
#include "core_log.h"
#include "graph.h"
#include "resizers.h"
#include "upscale_arguments.h" // made by setup.py

#include <VSHelper4.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace cugan {

namespace {

// Objects of ours that Python holds, such as planes and the log function, may live longer than the core, which unloads
// its plugins at its end.
void stayLoaded() {
#ifdef _WIN32
    HMODULE module;
    GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                       reinterpret_cast<LPCWSTR>(&stayLoaded), &module);
#else
    Dl_info self;
    if (dladdr(reinterpret_cast<void *>(&stayLoaded), &self))
        dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
#endif
}

// The first frame shows whether the clip is interlaced, before any weight file is opened, and whether there is alpha.
// There is none where the format varies, which Python refuses.
Frame firstFrame(const Node &source, const VSAPI *vsapi) {
    if (!vsh::isConstantVideoFormat(vsapi->getVideoInfo(source.get())))
        return {};
    char error[1024] = "";
    Frame first{vsapi->getFrame(0, source.get(), error, sizeof error), vsapi};
    if (!first)
        throw failure("the clip must give its first frame, got: " + std::string(error));
    return first;
}

// The alpha clip: the argument, else what the first frame carries; none where there is none.
// VapourSynth brings the frames of arguments into main memory itself (R80), but not those in props.
Node findAlpha(const VSMap *in, const Node &source, const Frame &first, VSCore *core, const VSAPI *vsapi) {
    int error = 0;
    Node given{vsapi->mapGetNode(in, "alpha_clip", 0, &error), vsapi};
    if (given || !first || !hasAlpha(first.get(), vsapi))
        return given;
    const Map args = newMap(vsapi);
    setNode(args, "clip", source, vsapi);
    setText(args.get(), "prop", kAlphaProp, vsapi);
    Node attached = invoke(VSH_STD_PLUGIN_ID, "PropToClip", args, core, vsapi);
    if (!vsapi->getPluginFunctionByName("GPUDownload", vsapi->getPluginByID(VSH_STD_PLUGIN_ID, core)))
        return attached;
    const Map download = newMap(vsapi);
    setNode(download, "clip", attached, vsapi);
    return invoke(VSH_STD_PLUGIN_ID, "GPUDownload", download, core, vsapi); // passes on what is in main memory
}

// What Python makes of a call: the graph of the clip, and where it has alpha that of the alpha clip too.
struct Graphs {
    Held colour, alpha;
    Calls alphaCalls; // from the alpha clip to what its graph takes
};

Graphs describeGraphs(const VSMap *in, const Node &source, const Node &alpha, const Frame &first, VSCore *core,
                 const VSAPI *vsapi) {
    CoreCall call(core, vsapi);
    const Ref module = checked(PyImport_ImportModule("vscugan.clip.filter"));
    const Ref arguments = argumentsToDict(in, vsapi), log = logFunction(), video = videoOf(source, vsapi);
    const Ref props = first ? propsToDict(first.get(), vsapi) : checked(PyDict_New());
    const Ref alphaVideo = alpha ? videoOf(alpha, vsapi) : Ref(Py_NewRef(Py_None));
    Ref graph = checked(PyObject_CallMethod(module.get(), "create", "OOOOO", arguments.get(), video.get(),
                                            alphaVideo.get(), props.get(), log.get()));
    Graphs graphs;
    if (alpha) {
        graphs.alpha = Held(checked(PyObject_GetAttrString(graph.get(), "alpha")));
        graphs.alphaCalls = Resize::listFrom(checked(PyObject_GetAttrString(graph.get(), "alpha_calls")).get());
    }
    graphs.colour = Held(std::move(graph));
    return graphs;
}

Node create(const VSMap *in, VSCore *core, const VSAPI *vsapi) {
    if (!Py_IsInitialized())
        throw failure("the host must run Python, got none; use python or vspipe");
    stayLoaded();
    const Node source{vsapi->mapGetNode(in, "clip", 0, nullptr), vsapi};
    const Frame first = firstFrame(source, vsapi);
    Node alpha = findAlpha(in, source, first, core, vsapi);
    const Graphs graphs = describeGraphs(in, source, alpha, first, core, vsapi);
    if (!alpha)
        return buildGraph(graphs.colour, source, alpha, core, vsapi);
    Resizers alphaResizers(std::move(alpha));
    const Node gray = alphaResizers.node(graphs.alphaCalls, core, vsapi);
    const Node colour = buildGraph(graphs.colour, source, gray, core, vsapi);
    const Node enlarged = buildGraph(graphs.alpha, gray, Node(), core, vsapi);
    const Map args = newMap(vsapi);
    setNode(args, "clip", colour, vsapi);
    setNode(args, "mclip", enlarged, vsapi);
    setText(args.get(), "prop", kAlphaProp, vsapi);
    return invoke(VSH_STD_PLUGIN_ID, "ClipToProp", args, core, vsapi);
}

void VS_CC upscale(const VSMap *in, VSMap *out, void *, VSCore *core, const VSAPI *vsapi) {
    try {
        vsapi->mapConsumeNode(out, "clip", create(in, core, vsapi).handOver(), maReplace);
    } catch (const std::exception &e) {
        vsapi->mapSetError(out, e.what());
    }
}

} // namespace

} // namespace cugan

VS_EXTERNAL_API(void) VapourSynthPluginInit2(VSPlugin *plugin, const VSPLUGINAPI *vspapi) {
    vspapi->configPlugin("io.github.vscugan", "cugan", "Real-CUGAN upscaling for anime",
                         VS_MAKE_VERSION(kMajorVersion, kMinorVersion), VAPOURSYNTH_API_VERSION, 0, plugin);
    vspapi->registerFunction("Upscale", kArguments, "clip:vnode;", cugan::upscale, nullptr, plugin);
}

// A host without Python, for Windows: it loads the plugin by VapourSynth's own library and prints what comes of it.
//
//   plugin_host libvapoursynth.dll vscugan.dll

#include <VSHelper4.h>

#include <stdio.h>
#include <windows.h>

typedef const VSAPI *(VS_CC *GetApi)(int version);

// Prints the error of a call, or that there is none.
static int failed(const VSMap *result, const char *what, const VSAPI *vsapi) {
    const char *error = vsapi->mapGetError(result);
    printf("%s: %s\n", what, error ? error : "ok");
    return error != NULL;
}

int main(int count, char **names) {
    if (count != 3)
        return 2;
    HMODULE library = LoadLibraryA(names[1]);
    if (!library)
        return printf("%s: error %lu\n", names[1], GetLastError()), 2;
    const VSAPI *vsapi = ((GetApi)(void *)GetProcAddress(library, "getVapourSynthAPI"))(VAPOURSYNTH_API_VERSION);
    VSCore *core = vsapi->createCore(ccfDisableAutoLoading);
    VSCoreInfo info;
    vsapi->getCoreInfo(core, &info);
    printf("VapourSynth: R%d\n", info.core);

    char path[MAX_PATH];
    GetFullPathNameA(names[2], sizeof path, path, NULL);
    VSPlugin *standard = vsapi->getPluginByID(VSH_STD_PLUGIN_ID, core);
    VSMap *arguments = vsapi->createMap();
    vsapi->mapSetData(arguments, "path", path, -1, dtUtf8, maReplace);
    if (failed(vsapi->invoke(standard, "LoadPlugin", arguments), "LoadPlugin", vsapi))
        return 1;
    VSPlugin *plugin = vsapi->getPluginByNamespace("cugan", core);
    VSPluginFunction *function = plugin ? vsapi->getPluginFunctionByName("Upscale", plugin) : NULL;
    printf("cugan.Upscale: %s\n", function ? vsapi->getPluginFunctionArguments(function) : "missing");

    vsapi->clearMap(arguments);
    VSMap *clip = vsapi->invoke(standard, "BlankClip", arguments);
    vsapi->mapSetNode(arguments, "clip", vsapi->mapGetNode(clip, "clip", 0, NULL), maReplace);
    failed(vsapi->invoke(plugin, "Upscale", arguments), "Upscale", vsapi);
    fflush(stdout);
    ExitProcess(0);
}

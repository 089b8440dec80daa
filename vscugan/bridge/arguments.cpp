#include "arguments.h"

#include "upscale_arguments.h" // made by setup.py

#include <algorithm>
#include <iterator>

namespace cugan {

namespace {

Ref valueOf(const VSMap *in, const char *key, int i, const VSAPI *vsapi) {
    switch (vsapi->mapGetType(in, key)) {
    case ptInt:
        return checked(PyLong_FromLongLong(vsapi->mapGetInt(in, key, i, nullptr)));
    case ptFloat:
        return checked(PyFloat_FromDouble(vsapi->mapGetFloat(in, key, i, nullptr)));
    default:
        return checked(PyUnicode_FromStringAndSize(vsapi->mapGetData(in, key, i, nullptr),
                                                   vsapi->mapGetDataSize(in, key, i, nullptr)));
    }
}

} // namespace

Ref argumentsToDict(const VSMap *in, const VSAPI *vsapi) {
    Ref dict = checked(PyDict_New());
    for (int k = 0; k < vsapi->mapNumKeys(in); k++) {
        const char *key = vsapi->mapGetKey(in, k);
        const int count = vsapi->mapNumElements(in, key), type = vsapi->mapGetType(in, key);
        if (count <= 0 || (type != ptInt && type != ptFloat && type != ptData))
            continue;
        const bool isList = std::count(std::begin(kListArguments), std::end(kListArguments), key) > 0;
        const auto item = [&](int i) { return valueOf(in, key, i, vsapi); };
        setItem(dict, key, isList ? listOf(count, item) : item(0));
    }
    return dict;
}

Ref videoOf(const Node &clip, const VSAPI *vsapi) {
    const VSVideoInfo *vi = vsapi->getVideoInfo(clip.get());
    const VSVideoFormat &f = vi->format;
    return checked(Py_BuildValue("(iiiiiiii)", vi->width, vi->height, f.colorFamily, f.sampleType, f.bitsPerSample,
                                 f.subSamplingW, f.subSamplingH, vi->numFrames));
}

} // namespace cugan

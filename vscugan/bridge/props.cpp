#include "props.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace cugan {

namespace {

// what the policy in Python decides by
constexpr const char *kReadProps[] = {"_Matrix",         "_Range",      "_ColorRange", "_Transfer", "_Primaries",
                                      "_ChromaLocation", "_FieldBased", "_SARNum",     "_SARDen",   "_SceneChangePrev"};
// what the resizer knows better when the output's format is not the input's
constexpr const char *kFormatProps[] = {"_Matrix", "_Range", "_ColorRange", "_ChromaLocation"};
// what a stage reports begins with it
constexpr const char *kReportPrefix = "Cugan";

} // namespace

bool hasAlpha(const VSFrame *frame, const VSAPI *vsapi) {
    return vsapi->mapGetType(vsapi->getFramePropertiesRO(frame), kAlphaProp) == ptVideoFrame;
}

Ref propsToDict(const VSFrame *frame, const VSAPI *vsapi) {
    Ref dict = checked(PyDict_New());
    const VSMap *props = vsapi->getFramePropertiesRO(frame);
    for (const char *key : kReadProps) {
        int error = 0;
        const int64_t value = vsapi->mapGetInt(props, key, 0, &error);
        if (!error)
            setItem(dict, key, checked(PyLong_FromLongLong(value)));
    }
    if (hasAlpha(frame, vsapi))
        setItem(dict, kAlphaProp, checked(PyLong_FromLong(1)));
    return dict;
}

Entries Entries::from(PyObject *dict) {
    if (!PyDict_Check(dict))
        throw failure("props and arguments must be a dict");
    Entries e;
    PyObject *key = nullptr, *value = nullptr;
    for (Py_ssize_t at = 0; PyDict_Next(dict, &at, &key, &value);) {
        const char *name = PyUnicode_AsUTF8AndSize(key, nullptr);
        const bool isText = !PyLong_Check(value) && !PyFloat_Check(value);
        const char *text = isText ? PyUnicode_AsUTF8AndSize(value, nullptr) : "";
        if (!name || !text)
            raisePython();
        if (PyLong_Check(value))
            e.integers_[name] = PyLong_AsLongLong(value);
        else if (PyFloat_Check(value))
            e.floats_[name] = PyFloat_AsDouble(value);
        else
            e.texts_[name] = text;
        if (PyErr_Occurred()) // a number that is too large
            raisePython();
    }
    return e;
}

bool Entries::operator<(const Entries &other) const {
    return std::tie(integers_, floats_, texts_) < std::tie(other.integers_, other.floats_, other.texts_);
}

void Entries::write(VSMap *arguments, VSMap *props, const VSAPI *vsapi) const {
    const auto map = [&](const std::string &name) { return name[0] == '_' ? props : arguments; };
    for (auto &[name, value] : integers_)
        vsapi->mapSetInt(map(name), name.c_str(), value, maReplace);
    for (auto &[name, value] : floats_)
        vsapi->mapSetFloat(map(name), name.c_str(), value, maReplace);
    for (auto &[name, value] : texts_)
        setText(map(name), name.c_str(), value.c_str(), vsapi);
}

void Entries::writeProps(VSFrame *frame, const VSAPI *vsapi) const {
    VSMap *props = vsapi->getFramePropertiesRW(frame);
    write(props, props, vsapi);
}

void takeProps(VSFrame *out, const VSFrame *processed, bool isOtherFormat, const VSAPI *vsapi) {
    const auto isTaken = [&](const std::string &key) {
        const auto isKey = [&](const char *name) { return key == name; };
        return key.rfind(kReportPrefix, 0) == 0 ||
               (isOtherFormat && std::any_of(std::begin(kFormatProps), std::end(kFormatProps), isKey));
    };
    const Map taken = newMap(vsapi); // of entries of any type
    vsapi->copyMap(vsapi->getFramePropertiesRO(processed), taken.get());
    for (int k = vsapi->mapNumKeys(taken.get()) - 1; k >= 0; k--) {
        const std::string key = vsapi->mapGetKey(taken.get(), k);
        if (!isTaken(key))
            vsapi->mapDeleteKey(taken.get(), key.c_str());
    }
    VSMap *props = vsapi->getFramePropertiesRW(out);
    if (isOtherFormat)
        for (const char *key : kFormatProps)
            vsapi->mapDeleteKey(props, key);
    vsapi->copyMap(taken.get(), props);
}

} // namespace cugan

// The nodes of a graph that Python describes.

#pragma once

#include "py_objects.h"

namespace cugan {

// The nodes of Python's `ClipGraph` over `source`, one for each stage and one for the output; `alpha`, if any, goes to
// the first stage.
Node buildGraph(const Held &graph, const Node &source, const Node &alpha, VSCore *core, const VSAPI *vsapi);

} // namespace cugan

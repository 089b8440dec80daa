"""Runtimes: what runs one stage of the network."""

#: the module of each runtime that can be named; importing this loads none of them
BACKENDS: dict[str, str] = {
    "torch": "vscugan.runtime.torch_runtime",
    "openvino": "vscugan.runtime.openvino_runtime",
    "onnxruntime": "vscugan.runtime.onnx_runtime",
    "tensorrt": "vscugan.runtime.onnx_runtime",
    "directml": "vscugan.runtime.onnx_runtime",
}

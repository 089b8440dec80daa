"""What computes: a file for each runtime, with a row for each backend that it offers."""

#: The backends by name, and the module whose ``ROWS`` has each; none of them is imported before it is asked for.
BACKENDS: dict[str, str] = {
    "torch": "vscugan.runtime.torch_backend",
    "openvino": "vscugan.runtime.openvino_runtime",
    "onnxruntime": "vscugan.runtime.onnx_runtime",
    "ncnn": "vscugan.runtime.ncnn_runtime",
    "tensorrt": "vscugan.runtime.onnx_runtime",
    "directml": "vscugan.runtime.onnx_runtime",
    "webgpu": "vscugan.runtime.webgpu_runtime",
}

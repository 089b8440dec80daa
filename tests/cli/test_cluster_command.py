"""The lines that make machines a cluster."""

from __future__ import annotations

import pytest

from vscugan.__main__ import main


@pytest.mark.parametrize(("argv", "head", "reachable"), [([], "127.0.0.1", 0), (["--head", "10.0.0.7"], "10.0.0.7", 1)])
def test_only_a_head_with_an_address_is_reached(
    argv: list[str], head: str, reachable: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["cluster", *argv]) == 0
    out = capfd.readouterr().out
    assert f"export RAY_AUTH_MODE=token RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER={reachable}\n" in out
    assert f"ray start --head --node-ip-address {head} --port 6379" in out
    assert f"ray start --address {head}:6379 --resources '{{\"vscugan\": 1}}'\n" in out
    assert "in PowerShell write '{\\\"vscugan\\\": 1}'" in out


def test_a_file_to_be_checked_must_be_here(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "--check", "auto", "--file", "typo.mkv"]) == 2
    assert "cluster: file must be seen here, got no " in capfd.readouterr().err

"""What a person sees at the terminal when something is wrong: one sentence, and an exit code."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def siptg(state: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SIPTG_")}
    return subprocess.run(
        [sys.executable, "-c", "from gateway.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**environment, "SIPTG_STATE": str(state), "SIPTG_LOG__LEVEL": "error", **settings},
    )


def test_status_without_a_gateway_says_so(tmp_path: Path) -> None:
    told = siptg(tmp_path, "status")
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == f"Error: No gateway runs on {tmp_path}: siptg serve\n"


def test_an_occupied_port_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = str(other.getsockname()[1])
        told = siptg(
            tmp_path,
            "serve",
            SIPTG_TELEGRAM__API_ID="1",
            SIPTG_TELEGRAM__API_HASH="0" * 32,
            SIPTG_ASTERISK__BIND="127.0.0.1",
            SIPTG_ASTERISK__UDP_PORT=port,
        )
    assert told.returncode == 1
    assert told.stderr.startswith("Error: ")
    assert port in told.stderr
    assert "Traceback" not in told.stdout + told.stderr


@pytest.mark.parametrize(("name", "value"), [("SIPTG_NONSENSE", "1"), ("SIPTG_ASTERISK__UDP_PORT", "many")])
def test_a_wrong_setting_is_named(tmp_path: Path, name: str, value: str) -> None:
    told = siptg(tmp_path, "serve", **{name: value})
    assert told.returncode == 1
    assert name in told.stderr
    assert "Traceback" not in told.stderr


def test_subscriptions_are_granted_shown_and_taken_back(tmp_path: Path) -> None:
    assert siptg(tmp_path, "plan", "grant", "12", "--calls", "3", "--expires", "2027-01-01").returncode == 0
    assert siptg(tmp_path, "plan", "grant", "everybody", "--sessions", "1").returncode == 0
    rows = [line.split() for line in siptg(tmp_path, "plan", "list").stdout.splitlines()[1:]]
    assert rows == [["everybody", "1"], ["12", "3", "2027-01-01", "00:00", "0", "min"]]
    assert siptg(tmp_path, "plan", "revoke", "everybody").returncode == 0
    told = siptg(tmp_path, "plan", "revoke", "13")
    assert (told.returncode, told.stderr) == (1, "Error: Administrator 13 has no subscription of his own.\n")

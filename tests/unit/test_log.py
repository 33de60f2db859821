from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import structlog
from gateway import log

log.configure("info", sys.argv[1])

def check(password):
    copies = {"of": [password]}
    raise ValueError("it failed")

try:
    check("tea at " + str(5))
except ValueError:
    structlog.get_logger("x").exception("check failed", password="tea at 5", dialled="+4915112345678")
"""


@pytest.mark.parametrize("style", ["console", "json"])
def test_a_traceback_tells_the_lines_and_no_secret(style: str) -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM, style], capture_output=True, text=True, check=True).stderr
    assert "it failed" in told
    assert "check failed" in told
    assert "check" in told
    assert "tea at 5" not in told
    assert "4915112345678" not in told

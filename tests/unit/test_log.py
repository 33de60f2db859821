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


WRITTEN = [
    "a\n2026-01-01T00:00:00Z [error    ] forged",
    "\r\nx",
    "\x1b[31mred",
    "\u2028\u2029\x85\x0b\x0c",
    "a\0b",
    '"}{"event":"',
]
WRITER = """
import ast, sys
import structlog
from gateway import log

log.configure("info", sys.argv[1])
for text in ast.literal_eval(sys.argv[2]):
    structlog.get_logger("x").info("line changed", detail=text)
"""


@pytest.mark.parametrize("style", ["console", "json"])
def test_whatever_a_person_wrote_is_a_part_of_one_line_of_the_log(style: str) -> None:
    done = subprocess.run([sys.executable, "-c", WRITER, style, repr(WRITTEN)], capture_output=True, check=True)
    told = done.stderr.decode()
    lines = told.splitlines()  # at everything that any reader takes for the end of a line
    assert len(lines) == len(WRITTEN)
    assert all("line changed" in line and "\x1b" not in line for line in lines)

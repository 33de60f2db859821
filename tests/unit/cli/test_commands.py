"""Commands are found by name, and bring along only what they use."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from gateway import cli
from gateway.cli.commands import COMMANDS

#: Libraries that each take longer to import than a small command takes in all.
HEAVY = {
    "aiogram",
    "alembic",
    "aiohttp",
    "asyncpg",
    "matplotlib",
    "ntgcalls",
    "numpy",
    "panoramisk",
    "sqlalchemy",
    "telethon",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_what_the_list_says_of_a_command_is_how_its_own_help_begins(name: str) -> None:
    command: click.Command = importlib.import_module(f"gateway.cli.{name}").command
    assert command.name == name
    assert (command.help or "").startswith(COMMANDS[name].removesuffix("."))


def test_every_command_is_listed() -> None:
    modules = {path.stem for path in Path(cli.__file__).parent.glob("*.py") if "\ndef command(" in path.read_text()}
    assert modules == set(COMMANDS)


def run(*words: str, **environment: str) -> tuple[str, set[str]]:
    """What a command prints, and the heavy libraries that it imported."""
    watch = "import atexit, sys; atexit.register(lambda: print('loaded', *sys.modules)); from gateway.cli import main; "
    done = subprocess.run(
        [sys.executable, "-c", watch + "main(prog_name='siptg')", *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **environment},
    )
    told, _, loaded = (done.stderr + done.stdout).partition("loaded ")
    return told, HEAVY & set(loaded.split())


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["serv"]])
def test_a_list_of_commands_imports_none_of_them(words: list[str]) -> None:
    assert run(*words)[1] == set()


def test_a_mistyped_command_is_told_the_one_that_was_meant() -> None:
    told, _ = run("sesion", "list")
    assert "Did you mean 'session'?" in told


def test_a_shell_completes_commands_without_importing_them() -> None:
    told, loaded = run(_SIPTG_COMPLETE="bash_complete", COMP_WORDS="siptg s", COMP_CWORD="1")
    assert told.split() == ["plain,sandbox", "plain,serve", "plain,session", "plain,status"]
    assert loaded == set()


@pytest.mark.parametrize("name", ["calls", "line", "plan", "session", "status"])
def test_what_asks_the_running_gateway_needs_none_of_its_libraries(name: str) -> None:
    told, loaded = run(name, "--help")
    assert told.startswith(f"Usage: siptg {name}")
    assert loaded == set()


def test_a_shell_completes_what_a_command_has() -> None:
    told, _ = run(_SIPTG_COMPLETE="bash_complete", COMP_WORDS="siptg line --", COMP_CWORD="2")
    assert "plain,--help" in told.split()
    told, _ = run(_SIPTG_COMPLETE="bash_complete", COMP_WORDS="siptg line r", COMP_CWORD="2")
    assert told.split() == ["plain,remove", "plain,route"]

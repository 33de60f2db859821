"""The command line: `siptg …`. Each command is the module of its name, and imported when that command is run."""

from gateway.cli.commands import main

__all__ = ["main"]

"""All commands by name. What a person sees of an error is a sentence, and the exit code is not zero."""

from __future__ import annotations

import importlib
from typing import Any, Final

import click

from gateway.errors import GatewayError

#: What the list of commands says of each, so that `siptg --help` and a shell's completion need to import none.
COMMANDS: Final = {
    "calls": "Show calls: when, who, how long, and why they ended.",
    "check": "Tell what is missing for the gateway to run.",
    "demo": "Make a call each way between a local Telegram and a local phone.",
    "line": "Lines: the connections to PBXs.",
    "plan": "Subscriptions: what administrators may use.",
    "sandbox": "Run a local Telegram, to try things on.",
    "serve": "Run the gateway.",
    "session": "Session accounts: the Telegram users that take and make the calls.",
    "status": "Tell how the running gateway is; fails when none runs.",
}


class _Commands(click.Group):
    """Foreseen errors are sentences; a fault of ours keeps its traceback."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """What is listed stands for the command itself, which is `command` in the module of that name."""
        name, listed, rest = super().resolve_command(ctx, args)
        if listed is None:
            return name, None, rest
        command: click.Command = importlib.import_module(f"gateway.cli.{listed.name}").command
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            raise click.ClickException(str(error)) from error
        except ExceptionGroup as group:  # the open parts of the house own task groups, and those wrap what passes
            if (foreseen := _foreseen(group)) is None:
                raise
            raise click.ClickException(foreseen) from group


def _foreseen(group: ExceptionGroup[Exception]) -> str | None:
    """What a group says, if it holds nothing but foreseen errors."""
    said = [_foreseen(one) if isinstance(one, ExceptionGroup) else _sentence(one) for one in group.exceptions]
    return None if None in said else "\n".join(dict.fromkeys(filter(None, said)))


def _sentence(error: Exception) -> str | None:
    return str(error) if isinstance(error, GatewayError) else None


@click.group(
    cls=_Commands,
    commands=[click.Command(name, short_help=told) for name, told in COMMANDS.items()],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="siptg")
def main() -> None:
    """Gateway between Telegram voice calls and telephone exchanges.

    Settings come from the environment (SIPTG_…) and from the file .env.
    """

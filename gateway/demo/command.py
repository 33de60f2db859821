"""What `siptg demo` does and prints."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.demo.picture import draw
from gateway.demo.story import CallStory, Narrator, Storyteller
from gateway.demo.world import BUSINESS_PHONE, OPERATOR, World, open_world_by_bot
from gateway.errors import GatewayError

CALLEE: Final = "+15550101"
CALLER: Final = "+15550102"
#: Apart in wideband and companding, so that the demo shows both rates of the engine.
CODECS: Final = ("ulaw", "g722")
#: Of what is printed to a file or a pipe.
WIDTH: Final = 120


async def run(folder: Path, stop: asyncio.Event, *, as_json: bool, stay: bool) -> bool:
    """Make a call each way, and tell of it. Answers whether all was heard.

    Args:
        folder: Where recordings, picture and everybody's state go; what an earlier demo left there is removed.
        stop: Ends a demo that stays.
    """
    _clear(folder)
    console = Console(stderr=as_json, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    narrator = Narrator(lambda at, who, what: console.print(f"[dim]{at:8.3f} s[/]  [bold]{who:>8}[/]  {what}"))

    def show(conversation: str) -> None:
        console.print(Panel(Text(conversation), title="An administrator and the bot", width=WIDTH))

    async with open_world_by_bot(folder / "state", show) as world:
        narrator.note("gateway", f"is up: local Telegram at {world.sandbox.server}, SIP at {_sip_address(world)}")
        narrator.note("phone", f"is registered as {world.line.endpoint}")
        stories = await _calls(world, folder, narrator)
        picture = folder / "audio.png"
        await asyncio.to_thread(
            draw, picture, [way.strip for story in stories for way in (story.to_telegram, story.to_sip)]
        )
        ok = all(story.ok for story in stories)
        console.print(_table(stories))
        console.print(f"Recordings and picture: {folder}/*.wav, {picture}")
        if as_json:
            sys.stdout.write(json.dumps({"ok": ok, "calls": [story.as_json() for story in stories]}) + "\n")
            sys.stdout.flush()
        if stay:
            console.print(_how_to_use(world))
            await stop.wait()
    return ok


async def _calls(world: World, folder: Path, narrator: Narrator) -> list[CallStory]:
    sandbox = world.sandbox
    callee = await sandbox.robots.add(sandbox.create_user(CALLEE, "Anna", username="anna"))
    caller = await sandbox.robots.add(sandbox.create_user(CALLER, "Boris", username="boris"))
    narrator.note("Telegram", "Anna and Boris are online")
    teller = Storyteller(world, folder, narrator)
    return [
        await teller.sip_to_telegram(callee, CODECS[0]),
        await teller.telegram_to_sip(caller, CODECS[1]),
    ]


def _clear(folder: Path) -> None:
    """Make the folder, without what an earlier demo left in it; nothing else is removed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / "state", ignore_errors=True)
        for old in (*folder.glob("*--heard-by-*.wav"), folder / "audio.png"):
            old.unlink(missing_ok=True)
    except OSError as error:
        raise GatewayError(f"The demo can't write to {folder}: {error.strerror}.") from error


def _table(stories: Sequence[CallStory]) -> Table:
    table = Table(title="What was heard")
    for column in ("call", "codec", "rang after", "way", "heard", "likeness", "level", "delay", "ended"):
        table.add_column(column, justify="right" if column in ("rang after", "likeness", "level", "delay") else "left")
    for story in stories:
        for name, way in (("to Telegram", story.to_telegram), ("to SIP", story.to_sip)):
            first = way is story.to_telegram
            table.add_row(
                story.direction.value if first else "",
                story.codec if first else "",
                f"{story.setup_ms:.0f} ms" if first else "",
                name,
                "[green]yes[/]" if way.heard else "[red]no[/]",
                f"{way.likeness:.2f}",
                f"{way.level_dbfs:.0f} dBFS",
                f"{way.delay_ms:.0f} ms",
                story.ended if first else "",
            )
    return table


def _sip_address(world: World) -> str:
    return f"127.0.0.1:{world.gateway.asterisk.ports.udp}"


def _how_to_use(world: World) -> str:
    given = world.gateway.lines.credentials(OPERATOR, world.line.id)
    return f"""
Everything stays up; Ctrl-C ends it.
  Register a softphone:   user {given.login}, password {given.password}, server {_sip_address(world)} (UDP)
  Call Anna from it:      {CALLEE}, or anna; she answers and speaks
  Let Boris call you:     curl -d '{{"to": "{BUSINESS_PHONE}"}}' {world.sandbox.control_url}/robots/2/call
  The local Telegram:     {world.sandbox.control_url}/
"""

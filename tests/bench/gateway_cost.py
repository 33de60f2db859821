"""What a call costs the whole gateway: processor time and memory, told apart by process.

Speech both ways. The telephones are in this process and Telegram's users in another, so that only the gateway's own
processes count: its Asterisk, its node, its workers.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.sandbox.audio import speech
from gateway.sandbox.phone import PhoneCall
from gateway.sandbox.phone.sound import rate_of
from gateway.sandbox.world import User

from ._gateway_users import cheap_users
from ._gateway_world import PARTS, Footprint, Row, Served, load, serving
from ._gateway_yardstick import Yardstick

#: A moment of its own for each call in the 20 ms of a packet.
_APART_S: Final = 0.033
_SETTLED_S: Final = 2.0
_PACKETS_PER_S: Final = 50
_FRAME_US: Final = 20_000


@dataclass(frozen=True, slots=True)
class Climb:
    """With one engine and codec, more and more calls: the figures of each number are of the same processes."""

    engine: str
    codec: str
    numbers: Sequence[int]
    seconds: float = 6.0


#: ntgcalls can't carry fifty beside their peers on two cores.
_CLIMBS: Final = (
    Climb("tgcall", "ulaw", (1, 10, 30, 50)),
    Climb("tgcall", "g722", (1, 30)),
    Climb("ntgcalls", "ulaw", (1, 30)),
)
_QUICK: Final = (Climb("tgcall", "ulaw", (1, 10), 4.0),)


async def _climb(climb: Climb) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), climb.engine) as gateway:
            people = [gateway.person() for _ in range(max(climb.numbers))]
            async with cheap_users(gateway.sandbox, people):
                return await _measured(gateway, climb, people)


async def _measured(gateway: Served, climb: Climb, people: Sequence[User]) -> list[Row]:
    rows: list[Row] = []
    calls: list[PhoneCall] = []
    first: dict[str, Footprint] | None = None
    for number in climb.numbers:
        for person in people[len(calls) : number]:
            calls.append(await gateway.call(person, climb.codec, speech("telephone", rate_of(climb.codec))))
            await asyncio.sleep(_APART_S)
        await asyncio.sleep(_SETTLED_S)
        with_: Row = {"engine": climb.engine, "codec": climb.codec, "calls": number}
        heard = [len(call.sound.heard) for call in calls]
        async with Yardstick.held() as yardstick:
            share = await gateway.processor_share(climb.seconds)
        came = sum(len(call.sound.heard) - before for call, before in zip(calls, heard, strict=True))
        if ended := [call for call in calls if call.ended_at]:
            raise RuntimeError(f"{len(ended)} calls of {number} ended by themselves: {list(gateway.said)[-20:]}")
        share["all"] = sum(share[part] for part in PARTS)
        rows += [
            {"name": "cpu a call", "value": share[of] / number, "unit": "% of a core", "of": of, **with_}
            for of in share
        ]
        rows[-1]["load"] = load()
        frames = share["all"] / number / 100 * _FRAME_US / yardstick.us
        rows.append({"name": "cpu a call, in codings of its speech to Opus", "value": frames, "unit": "times", **with_})
        rows.append({"name": "yardstick: 20 ms of speech to Opus", "value": yardstick.us, "unit": "µs", **with_})
        delivered = 100 * came / (_PACKETS_PER_S * climb.seconds * number)
        rows.append({"name": "packets that came to the telephones", "value": delivered, "unit": "%", **with_})
        held = gateway.footprint()
        if first is None:
            first = held  # the pool has grown to its size with the first call
        else:
            grown = {part: (held[part].own - first[part].own) / (number - climb.numbers[0]) for part in PARTS}
            grown["all"] = sum(grown.values())
            rows += [
                {"name": "memory a call", "value": value, "unit": "MB", "of": of, **with_}
                for of, value in grown.items()
            ]
    await asyncio.gather(*(call.hang_up() for call in calls))
    return rows


def _ratios(rows: list[Row]) -> list[Row]:
    """What holds on any machine."""
    cost: dict[tuple[Any, ...], float] = {
        (row["engine"], row["codec"], row["calls"]): row["value"]
        for row in rows
        if row["name"] == "cpu a call" and row["of"] == "all"
    }
    found: list[Row] = []
    for (engine, codec, number), many in cost.items():
        if number == 30 and (few := cost.get((engine, codec, 10))):
            row = {"name": "cpu a call, 30 calls / 10 calls", "value": many / few, "unit": "times"}
            found.append({**row, "engine": engine, "codec": codec})
    for (engine, codec, number), dear in cost.items():
        if engine == "ntgcalls" and (cheap := cost.get(("tgcall", codec, number))):
            row = {"name": "cpu a call, ntgcalls / tgcall", "value": dear / cheap, "unit": "times"}
            found.append({**row, "codec": codec, "calls": number})
    return found


def run(quick: bool = False) -> list[Row]:
    rows = [row for climb in (_QUICK if quick else _CLIMBS) for row in asyncio.run(_climb(climb))]
    return rows + _ratios(rows)

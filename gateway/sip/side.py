"""The PBX's side of the house: calls that come in become offers, routes become legs, and what is nobody's is ended."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Final, Self

import structlog

from gateway.call.model import Direction, Party, Route
from gateway.call.ports import Leg, Media, Offer, Switch
from gateway.errors import CallError, Ending, HangupCause
from gateway.sip.ari import Ari, AriError, Channel, Event
from gateway.sip.causes import SAID
from gateway.sip.embedded import Asterisk
from gateway.sip.leg import NAME_BYTES, FarLeg, Hear, NearLeg, SipLeg, safe_text

log = structlog.get_logger(__name__)

#: Between seeing a channel that nobody owns and ending it: its StasisStart may still be on the way.
GRACE_S: Final = 1.0

_ASTERISK_DIED: Final = Ending(HangupCause.INTERNAL, "Asterisk died")
_MISSED: Final = Ending(HangupCause.NORMAL, "hung up while the connection to Asterisk was down")


class SipSide:
    """Calls from and to PBXs, through one Asterisk.

    Attributes:
        unknown_events: Events of channels that no leg owns, since the start.
    """

    def __init__(self, asterisk: Asterisk, switch: Switch) -> None:
        self._asterisk = asterisk
        self._switch = switch
        self._ears: dict[str, Hear] = {}
        self._legs: dict[str, SipLeg] = {}
        self._group = asyncio.TaskGroup()
        self._work: set[asyncio.Future[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self.ari = Ari(lambda: asterisk.ari, self._heard, self._look_around)
        self.unknown_events = 0

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        await self.ari.__aenter__()
        self._asterisk.on_death.append(self._asterisk_died)
        await self.ari.wait_up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._asterisk.on_death.remove(self._asterisk_died)
        if self._sweeper is not None:
            self._sweeper.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self.ari.__aexit__(None, None, None)
        # Its tasks never raise; what the block raised is not theirs, and stays as it is.
        await self._group.__aexit__(None, None, None)

    def far_leg(self, route: Route, media: Media) -> Leg:
        return FarLeg(self, media, route.line.endpoint)

    # --- what legs ask of us (leg.Exchange) ----------------------------------------------------------------------

    def join(self, stem: str, leg: SipLeg) -> None:
        self._legs[stem] = leg

    def part(self, stem: str) -> None:
        self._legs.pop(stem, None)

    def listen(self, id_: str, hear: Hear) -> None:
        self._ears[id_] = hear

    def ignore(self, id_: str) -> None:
        self._ears.pop(id_, None)

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._work.add(done)
        done.add_done_callback(self._work.discard)
        self._group.create_task(_settle(done, work))
        return done

    # --- events --------------------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        if event.type == "StasisStart" and event.args[:1] == ("in",):
            self._offer(event)
            return
        named = event.args[1] if event.type == "StasisStart" and len(event.args) > 1 else event.channel
        if hear := self._ears.get(named):
            hear(event)
            return
        self.unknown_events += 1
        if event.type == "StasisStart":
            # Answered in the moment that we let go, or from before a restart: nobody's.
            self.run(self.ari.hang_up(event.channel, SAID[HangupCause.NORMAL].q850))

    def _offer(self, event: Event) -> None:
        _, endpoint, native, *dialled = event.args
        call_id = secrets.token_hex(10)
        leg = NearLeg(self, call_id, endpoint, event.channel, native)
        self._switch.offered(
            Offer(
                call_id=call_id,
                direction=Direction.SIP_TO_TELEGRAM,
                via=endpoint,
                dialled=safe_text(",".join(dialled), NAME_BYTES),
                caller=Party(safe_text(event.caller_number, NAME_BYTES), safe_text(event.caller_name, NAME_BYTES)),
                accept=leg.carry,
                refuse=leg.release,
            )
        )

    # --- after a start, a drop, a death --------------------------------------------------------------------------

    async def _look_around(self) -> None:
        """Find out what happened while nobody listened. Raises `AriError`; the connection is then made anew."""
        expected = {stem: leg.channel for stem, leg in self._legs.items() if leg.channel}
        channels = await self.ari.channels()
        there = {channel.id for channel in channels}
        for stem, channel in expected.items():
            if channel not in there and (leg := self._legs.get(stem)):
                leg.lost(_MISSED)
        for found in channels:
            # The dialplan handed over what a leg still waits for.
            if found.args[:1] in {("out",), ("failed",)} and found.id not in self._ears:
                hear = self._ears.get(found.args[1])
                if hear is not None:
                    hear(Event("StasisStart", found.id, found.args))
        strange = [found.id for found in channels if self._is_nobodys(found)]
        bridges = [bridge for bridge in await self.ari.bridges() if self._is_nobodys_bridge(bridge)]
        if strange or bridges:
            self._sweeper = self._group.create_task(self._sweep(strange, bridges))

    def _is_nobodys(self, channel: Channel) -> bool:
        """Whether a channel is of our making, and no leg's. An engineer's own calls are none of ours."""
        stem, _, part = channel.id.rpartition(".")
        if part in {"media", "dial", "plan"}:
            return stem not in self._legs
        return bool(channel.args) and channel.id not in self._ears

    def _is_nobodys_bridge(self, bridge: str) -> bool:
        stem, _, part = bridge.rpartition(".")
        return part == "bridge" and stem not in self._legs

    async def _sweep(self, channels: list[str], bridges: list[str]) -> None:
        """End what is still nobody's after a while."""
        await asyncio.sleep(GRACE_S)
        try:
            for found in await self.ari.channels():
                if found.id in channels and self._is_nobodys(found):
                    await self.ari.hang_up(found.id, SAID[HangupCause.INTERNAL].told)
                    log.info("stray channel ended", channel=found.name)
            for bridge in filter(self._is_nobodys_bridge, bridges):
                await self.ari.drop_bridge(bridge)
                log.info("stray bridge ended", bridge=bridge)
        except AriError as error:
            log.info("stray channels were not ended", reason=str(error))  # the next connection looks again

    def _asterisk_died(self) -> None:
        for leg in list(self._legs.values()):
            leg.lost(_ASTERISK_DIED)


async def _settle(done: asyncio.Future[None], work: Coroutine[Any, Any, None]) -> None:
    """Do the work, and let the future say how it went; never raises but for cancellation."""
    try:
        await work
        done.set_result(None)
    except (CallError, AriError) as error:
        done.set_exception(error)
        done.exception()  # whoever waits may have gone
    except Exception as error:
        log.exception("work on a leg failed by a fault of ours")
        done.set_exception(error)
        done.exception()
    finally:
        done.cancel()

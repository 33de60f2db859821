"""What the media engine says to its peer, on the way to Telegram: in order, and again after a lost connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from telethon.errors import RPCError
from telethon.tl import functions, types

from gateway.telegram.account import SessionAccount
from gateway.telegram.causes import error_name

log = structlog.get_logger(__name__)

#: What Telegram answers about a call that is over.
OVER: Final = frozenset({"CALL_ALREADY_DECLINED", "CALL_PEER_INVALID"})
#: Too short to be a signalling message of any version, each of which begins with a key of 16 bytes: engines drop it.
NOTHING: Final = b"\0"


class Signalling:
    """The way out of one call.

    Args:
        over: Is called with Telegram's words when it says that the call is over.
    """

    def __init__(self, account: SessionAccount, peer: types.InputPhoneCall, over: Callable[[str], None]) -> None:
        self._account = account
        self._peer = peer
        self._over = over
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()
        self._sender = account.spawn(self._send(), f"signals of {peer.id}")

    def say(self, blob: bytes) -> None:
        self._waiting.put_nowait(blob)

    def check(self) -> None:
        """Find out whether the call lives: to one that is over nothing can be sent; of another the peer drops this."""
        self.say(NOTHING)

    def close(self) -> None:
        self._sender.cancel()

    async def _send(self) -> None:
        """All that waits goes at once, in one container; the next when that is answered."""
        while True:
            batch = [await self._waiting.get()]
            while not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            while batch:
                batch = await self._send_batch(batch)

    async def _send_batch(self, batch: list[bytes]) -> list[bytes]:
        """Send, and answer what was lost, once there is a connection again."""
        requests = [functions.phone.SendSignalingDataRequest(self._peer, blob) for blob in batch]
        answers = await asyncio.gather(*map(self._account.ask, requests), return_exceptions=True)
        lost = []
        for blob, answer in zip(batch, answers, strict=True):
            match answer:
                case OSError() | TimeoutError():
                    lost.append(blob)
                case RPCError() if (name := error_name(answer)) in OVER:
                    self._over(name)
                case RPCError():
                    log.warning("signalling was refused", telegram_call=self._peer.id, error=error_name(answer))
                case BaseException():
                    raise answer
        if lost:
            try:
                await self._account.online()
            except OSError:
                return []  # the account is gone, and the call with it
        return lost

"""The engine: what all calls of a process share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from .call import Call
from .dtls import Certificate
from .model import Pcm, Server
from .opus import load_libopus
from .ticker import Ticker
from .turns import Turns


class CallEngine:
    """Carries Telegram calls on the running loop: one certificate, one clock, one UDP socket a call and family.

    Args:
        allow_loopback: Use loopback addresses, as a sandbox on one host needs; never on a real network.

    Raises (on entering):
        EngineError: libopus is not to be found.
    """

    def __init__(self, allow_loopback: bool = False) -> None:
        self._allow_loopback = allow_loopback
        self._calls: set[Call] = set()
        self._certificate: Certificate | None = None
        self._ticker: Ticker | None = None
        self._turns: Turns | None = None

    async def __aenter__(self) -> Self:
        load_libopus()
        self._certificate = await asyncio.get_running_loop().run_in_executor(None, Certificate)
        self._ticker = Ticker()
        self._turns = Turns()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for call in list(self._calls):
            await call.close()

    @property
    def calls(self) -> int:
        """How many are under way."""
        return len(self._calls)

    @property
    def late_ticks(self) -> int:
        """How often the audio of some calls came more than 10 ms late: this process has too much to do."""
        return self._ticker.late if self._ticker is not None else 0

    def call(
        self,
        *,
        key: bytes,
        outgoing: bool,
        versions: Sequence[str],
        servers: Sequence[Server] = (),
        p2p_allowed: bool = True,
        rate_hz: int = 16_000,
        custom_parameters: str | None = None,
        send_signal: Callable[[bytes], None],
        on_audio: Callable[[Pcm], None],
        on_peer_muted: Callable[[bool], None] | None = None,
        dtx: bool = False,
    ) -> Call:
        """Begin a call whose key both ends hold.

        Args:
            key: 256 bytes.
            outgoing: Whether we are the caller.
            versions: `library_versions` of the established call.
            servers: Its connections.
            p2p_allowed: Whether the peer may learn this host's addresses; else only relays are used.
            rate_hz: Of the audio, both ways: 8000 or 16000 (12000, 24000 and 48000 work as well).
            custom_parameters: Of the established call.
            send_signal: Takes each blob for `phone.sendSignalingData`, in order, the first before this returns; must
                not wait.
            on_audio: Takes a frame of 20 ms, every 20 ms, from the connection on; must not wait, nor change it. When
                the peer begins to send, the moment moves once within those 20 ms.
            on_peer_muted: Told when the peer mutes or unmutes itself.
            dtx: Send next to nothing while nothing is said.

        Raises:
            UnsupportedError: No common version, or parameters that ask for a transport we don't speak.
            OSError: This host has no network.
        """
        if self._certificate is None or self._ticker is None or self._turns is None:
            raise RuntimeError("the engine is not open")
        call = Call(
            self._certificate,
            self._ticker,
            self._turns,
            key=key,
            outgoing=outgoing,
            versions=versions,
            servers=servers,
            p2p_allowed=p2p_allowed,
            rate_hz=rate_hz,
            custom_parameters=custom_parameters,
            send_signal=send_signal,
            on_audio=on_audio,
            on_peer_muted=on_peer_muted,
            allow_loopback=self._allow_loopback,
            dtx=dtx,
            on_close=self._calls.discard,
        )
        call.start()
        self._calls.add(call)
        return call

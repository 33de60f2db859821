"""One call: signalling, path, secure channel and audio, joined."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

import structlog

from .audio import Receiver, Reporter, Sender
from .candidate import Candidate
from .crypto import BlobError, SignallingCipher
from .datachannel import DataChannel
from .dtls import Certificate, Dtls, DtlsState
from .ice import Credentials, Pair
from .limits import TokenBucket
from .messages import Candidates, InitialSetup, MediaState, Message, MessageError, NegotiateChannels, parse
from .model import CallState, CallStats, ConnectError, Failure, Pcm, Server
from .negotiation import Negotiation
from .rtp import is_rtcp
from .signalling import choose_version, open_signalling, parse_parameters
from .srtp import Srtp
from .ticker import Ticker
from .transport import Transport
from .turns import Turns

log = structlog.get_logger(__name__)

#: From both ends holding the key to audio: past it nobody waits any more.
CONNECT_S: Final = 15.0
#: With the path lost for so long, the caller begins ICE anew, and again as often.
RESTART_AFTER_S: Final = 6.0
#: Packets of the handshake that come before what is needed to answer them.
MOST_EARLY: Final = 8
#: A peer has no reason to say more; what is more is dropped.
SIGNALS_PER_S: Final = 50.0
SIGNALS_AT_ONCE: Final = 300.0
#: Of parameters, and of letters in their names: for the log.
MOST_NAMED: Final = 40


class Call:
    """One call. Made by `CallEngine.call`; used once; closed by its owner (`async with`, or `close`).

    Everything happens on the loop that made it. Nothing waits but `connected` and `failed`.
    """

    def __init__(
        self,
        certificate: Certificate,
        ticker: Ticker,
        turns: Turns,
        *,
        key: bytes,
        outgoing: bool,
        versions: Sequence[str],
        servers: Sequence[Server],
        p2p_allowed: bool,
        rate_hz: int,
        custom_parameters: str | None,
        send_signal: Callable[[bytes], None],
        on_audio: Callable[[Pcm], None],
        on_peer_muted: Callable[[bool], None] | None,
        allow_loopback: bool,
        dtx: bool,
        on_close: Callable[[Call], None],
    ) -> None:
        self._clock = asyncio.get_running_loop().time
        now = self._clock()
        self.version = choose_version(list(versions))
        self._certificate = certificate
        self._ticker = ticker
        self._turns = turns
        self._outgoing = outgoing
        self._on_audio = on_audio
        self._on_peer_muted = on_peer_muted
        self._on_close = on_close
        self._send_signal = send_signal
        self._signals_sent = self._signals_received = self._ignored = 0
        self._signal_limit = TokenBucket(SIGNALS_PER_S, SIGNALS_AT_ONCE)
        self._signalling = open_signalling(
            self.version, custom_parameters, SignallingCipher(key, outgoing), self._signal
        )
        if custom_parameters:
            # Telegram changes transports by these: what is unknown today may explain a failure tomorrow.
            names = sorted(name[:MOST_NAMED] for name in parse_parameters(custom_parameters))
            log.info("call has parameters", names=names[:MOST_NAMED])
        self._sender = Sender(rate_hz, dtx)
        self._receiver = Receiver(rate_hz, lambda at: ticker.align(self, at))
        self._pull = self._receiver.buffer.pull
        self._reporter = Reporter(self._sender, self._receiver, time.time(), now)
        self._negotiation = Negotiation(outgoing, self._sender.ssrc)
        self._transport = Transport(
            outgoing, allow_loopback, self._found, self._path_chosen, self._heard_dtls, self._heard_media
        )
        self._servers, self._p2p_allowed = servers, p2p_allowed
        self._remote: InitialSetup | None = None
        self._introduced = False
        self._restart_asked = False
        self._untold: list[Candidate] = []
        self._early: list[bytes] = []
        self._dtls: Dtls | None = None
        self._srtp: Srtp | None = None
        self._data: DataChannel | None = None
        self._muted = False
        self._peer_muted: bool | None = None
        self._told_state = False
        self._began = now
        self._connected_after_s: float | None = None
        self._silent_since: float | None = None
        self._state = CallState.CONNECTING
        self._failure: Failure | None = None
        self._settled = asyncio.Event()  # connected, failed or closed
        self._over = asyncio.Event()  # failed or closed
        self._due = now

    # -- what the owner does -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the network and begin. Called by the engine. Raises `OSError` without a network."""
        try:
            self._transport.open(self._servers, self._p2p_allowed)
        except OSError:
            self._let_go()
            raise
        self._ticker.add(self, self._tick)
        if self._outgoing:
            self._introduce()
            for offer in self._negotiation.begin():
                self._signalling.send(offer.encode())
        self._signalling.poll(self._clock())

    async def connected(self) -> None:
        """Wait until audio can flow.

        Raises:
            ConnectError: It never will; or the call was closed.
        """
        await self._settled.wait()
        if self._state in (CallState.FAILED, CallState.CLOSED):
            raise ConnectError(self._failure)

    async def failed(self) -> Failure | None:
        """Wait until the call can't go on; None if it was closed by us."""
        await self._over.wait()
        return self._failure

    def hear_signal(self, blob: bytes) -> None:
        """Take a blob of the peer's signalling. What is not the peer's is dropped."""
        if not self._signal_limit.take(self._clock()):
            self._ignored += 1
            return
        self._turns.take(lambda: self._take_signal(blob))

    def _take_signal(self, blob: bytes) -> None:
        if self._over.is_set():
            return
        now = self._clock()
        self._signals_received += 1
        try:
            for message in self._signalling.receive(blob, now):
                self._hear_message(message, now)
        except BlobError as error:
            self._ignored += 1
            log.info("a signalling blob was dropped", reason=str(error))
        self._signalling.poll(now)
        self._due = now

    def feed(self, pcm: Pcm | bytes) -> None:
        """Say something: mono at the call's rate, any multiple of 10 ms, sent on arrival in packets of 20 ms.

        What drives the RTP clock is what is fed; a pause of more than 200 ms is passed over. Before the call is
        connected it is dropped.
        """
        srtp, stream = self._srtp, self._negotiation.sending
        if srtp is None or stream is None:
            return
        data = pcm if isinstance(pcm, bytes) else pcm.tobytes()
        for packet in self._sender.pack(data, stream.payload_type, self._clock()):
            self._transport.send(srtp.protect(packet))

    def mute(self, muted: bool) -> None:
        """Tell the peer whether we are muted. What is fed is sent all the same."""
        if muted != self._muted:
            self._muted = muted
            if self._told_state:
                self._tell_state()

    def restart_ice(self) -> None:
        """Look for paths anew, with new credentials. The present one carries the call meanwhile."""
        if self._over.is_set():
            return
        candidates = self._transport.restart_ice()
        self._restart_asked = True
        self._introduce()
        self._found(candidates)
        self._signalling.poll(self._clock())
        self._due = self._clock()

    def stats(self) -> CallStats:
        stats = CallStats(self._state, self.version)
        stats.ignored = self._ignored + self._transport.ignored + self._transport.ice.ignored
        pair = self._transport.selected
        if pair is not None:
            stats.path = pair.path.kind
            stats.local_candidate, stats.remote_candidate = pair.path.candidate_kind, pair.remote.kind
            stats.rtt_ms = None if pair.round_trip_s is None else 1000 * pair.round_trip_s
        if self._dtls is not None and self._dtls.keys is not None:
            stats.srtp_profile = self._dtls.keys.profile.name
        if self._connected_after_s is not None:
            stats.connect_ms = 1000 * self._connected_after_s
            if self._receiver.first_heard_at is not None:
                waited_s = self._receiver.first_heard_at - self._began - self._connected_after_s
                stats.first_heard_ms = max(0, round(1000 * waited_s))
        stats.path_changes = self._transport.ice.changes
        stats.signals_sent, stats.signals_received = self._signals_sent, self._signals_received
        stats.peer_muted = self._peer_muted
        self._reporter.fill(stats)
        return stats

    async def close(self) -> None:
        """Free everything; the peer is told. Safe in any state, any number of times."""
        if self._state is not CallState.CLOSED:
            if self._state is not CallState.FAILED:
                self._let_go()
            self._state = CallState.CLOSED
            self._settled.set()
            self._over.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- signalling ----------------------------------------------------------------------------------------------

    def _signal(self, blob: bytes) -> None:
        if not self._over.is_set():
            self._signals_sent += 1
            self._send_signal(blob)

    def _introduce(self) -> None:
        """Say who we are on the network, and what was found so far."""
        local = self._transport.ice.local
        setup = "actpass" if self._outgoing else "passive"
        self._signalling.send(InitialSetup(local.ufrag, local.pwd, setup, self._certificate.fingerprint).encode())
        self._introduced = True
        untold, self._untold = self._untold, []
        self._found(untold)

    def _found(self, candidates: list[Candidate]) -> None:
        if not self._introduced:
            self._untold += candidates
        elif candidates:
            ufrag = self._transport.ice.local.ufrag
            self._signalling.send(Candidates(tuple(c.line(ufrag) for c in candidates)).encode())
            self._due = 0.0

    def _hear_message(self, data: bytes, now: float) -> None:
        try:
            message = parse(data)
        except MessageError as error:
            self._ignored += 1
            log.info("a message was dropped", reason=str(error))
            return
        if message is not None:
            self._take_message(message, now)

    def _take_message(self, message: Message, now: float) -> None:
        match message:
            case InitialSetup():
                self._take_setup(message)
            case Candidates(lines):
                for line in lines:
                    self._transport.add_remote(line)
            case NegotiateChannels():
                self._negotiated(self._negotiation.hear(message, now))
            case MediaState(muted):
                self._take_state(muted)

    def _negotiated(self, replies: list[NegotiateChannels]) -> None:
        for reply in replies:
            self._signalling.send(reply.encode())
        if self._negotiation.receiving is not None:
            self._receiver.listen_to(self._negotiation.receiving)
        self._notice_connected()

    def _take_setup(self, setup: InitialSetup) -> None:
        if self._remote is not None and setup.fingerprint != self._remote.fingerprint:
            self._ignored += 1
            log.warning("a changed certificate was refused")
            return
        self._remote = setup
        restarted = self._transport.set_remote(Credentials(setup.ufrag, setup.pwd))
        if restarted:
            log.info("the peer restarted ICE", answering=self._restart_asked)
            if not self._restart_asked:
                self.restart_ice()
        elif not self._introduced:
            self._introduce()
        self._restart_asked = False
        self._open_dtls()

    def _take_state(self, muted: bool) -> None:
        self._receiver.buffer.muted = muted
        if muted != self._peer_muted:
            self._peer_muted = muted
            if self._on_peer_muted is not None:
                self._on_peer_muted(muted)

    def _tell_state(self) -> None:
        """Over the data channel, if there is one: Telegram's own library expects it there."""
        self._told_state = True
        state = MediaState(self._muted).encode()
        if self._data is not None and self._data.is_open:
            self._data.send(state)
        else:
            self._signalling.send(state)
        self._due = 0.0

    # -- path and secure channel ---------------------------------------------------------------------------------

    def _path_chosen(self) -> None:
        pair = self._transport.selected
        if pair is None:
            return
        log.debug("a path was chosen", kind=pair.path.kind.value, remote=pair.remote.kind)
        self._open_dtls()

    def _open_dtls(self) -> None:
        """Begin the handshake once there is a path to send it by, and a certificate to expect."""
        if self._dtls is not None or self._remote is None or self._transport.selected is None:
            return
        client = self._remote.setup == "passive" or (self._remote.setup == "actpass" and self._outgoing)
        self._dtls = Dtls(self._certificate, client, self._remote.fingerprint, self._transport.send)
        self._dtls.start()
        early, self._early = self._early, []
        for packet in early:
            self._take_dtls(packet)
        self._due = 0.0

    def _heard_dtls(self, packet: bytes) -> None:
        if self._srtp is None:
            self._turns.take(lambda: self._take_dtls(packet))  # a step of the handshake
        else:
            self._take_dtls(packet)

    def _take_dtls(self, packet: bytes) -> None:
        if self._over.is_set():
            return
        dtls = self._dtls
        if dtls is None:
            if len(self._early) < MOST_EARLY:
                self._early.append(packet)
            return
        now = self._clock()
        messages = dtls.receive(packet)
        if dtls.state is DtlsState.OPEN and self._srtp is None and dtls.keys is not None:
            self._srtp = Srtp(dtls.keys)
            self._data = DataChannel(self._outgoing, dtls.send, now)
            self._notice_connected()
        if self._data is not None:
            for message in messages:
                self._hear_data(self._data, message, now)
            self._data.poll(now)
        if dtls.failure is not None:
            self._fail(dtls.failure)

    def _hear_data(self, data: DataChannel, packet: bytes, now: float) -> None:
        was_open = data.is_open
        for text in data.receive(packet, now):
            self._hear_message(text, now)
        if data.is_open and not was_open and self._told_state:
            self._tell_state()

    def _notice_connected(self) -> None:
        if self._state is not CallState.CONNECTING or self._srtp is None or self._negotiation.sending is None:
            return
        self._state = CallState.CONNECTED
        self._connected_after_s = self._clock() - self._began
        self._settled.set()
        self._tell_state()
        pair = self._transport.selected
        path = pair.path.kind.value if pair is not None else None
        log.info("call connected", version=self.version, path=path, after_ms=round(1000 * self._connected_after_s))

    # -- audio and time ------------------------------------------------------------------------------------------

    def _heard_media(self, packet: bytes, pair: Pair) -> None:
        srtp = self._srtp
        if srtp is None:
            return
        now = self._clock()
        if is_rtcp(packet):
            plain = srtp.unprotect_rtcp(packet)
            if plain is not None:
                self._reporter.hear(plain, now)
        else:
            plain = srtp.unprotect(packet)
            if plain is not None:
                self._receiver.hear(plain, now)
        if plain is None:
            self._ignored += 1
        else:
            pair.heard_at = now

    def _tick(self, due: float) -> None:
        if self._state in (CallState.CONNECTED, CallState.RECONNECTING):
            self._on_audio(self._pull(due))
        now = self._clock()
        if now >= self._due:
            self._due = self._poll(now)

    def _poll(self, now: float) -> float:
        if now >= self._negotiation.due:
            self._negotiated(self._negotiation.poll(now))
        due = min(self._signalling.poll(now), self._transport.poll(now), self._negotiation.due)
        if self._dtls is not None:
            due = min(due, self._dtls.poll(now))
        if self._data is not None:
            due = min(due, self._data.poll(now))
        if self._srtp is not None:
            report = self._reporter.poll(now)
            if report is not None:
                self._transport.send(self._srtp.protect_rtcp(report))
            due = min(due, self._reporter.due)
        return min(due, self._watch(now))

    def _watch(self, now: float) -> float:
        """Notice what is late: the connection, or the peer."""
        if self._state is CallState.CONNECTING:
            if now - self._began > CONNECT_S:
                self._fail(self._what_is_missing())
            return self._began + CONNECT_S
        ice = self._transport.ice
        if ice.is_lost(now):
            self._fail(Failure.PATH_LOST)
        elif ice.is_silent(now):
            self._reconnect(now)
        elif self._state is CallState.RECONNECTING:
            log.info("the path came back")
            self._state = CallState.CONNECTED
            self._silent_since = None
        return now + 0.5

    def _reconnect(self, now: float) -> None:
        if self._silent_since is None:
            log.info("the path fell silent")
            self._state = CallState.RECONNECTING
            self._silent_since = now
        elif self._outgoing and now - self._silent_since > RESTART_AFTER_S:
            self._silent_since = now
            self.restart_ice()

    def _what_is_missing(self) -> Failure:
        if self._transport.selected is None:
            return Failure.NO_PATH
        return Failure.NO_HANDSHAKE if self._srtp is None else Failure.NO_AUDIO_AGREED

    def _fail(self, failure: Failure) -> None:
        if self._over.is_set():
            return
        log.info("call failed", reason=failure.value, version=self.version)
        self._state = CallState.FAILED
        self._failure = failure
        self._let_go()
        self._settled.set()
        self._over.set()

    def _let_go(self) -> None:
        self._ticker.remove(self)
        if self._dtls is not None:
            self._dtls.close()
        self._transport.close()
        self._sender.close()
        self._receiver.close()
        self._srtp = None
        self._on_close(self)

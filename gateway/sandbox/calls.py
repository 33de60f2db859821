"""Phone calls: who may do what when, and who is told.

Source: https://core.telegram.org/api/calls, https://core.telegram.org/method/phone.requestCall and its kin.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from telethon.tl import types

from gateway.sandbox.cloud import Cloud, Link
from gateway.sandbox.mailbox import Mailbox
from gateway.sandbox.mtproto import DH_PRIME, TL
from gateway.sandbox.rpcerror import RpcError

log = structlog.get_logger(__name__)

#: The layer of the call protocol that is asked for since 2020. Source: the apps' phoneCallProtocol.
LAYER: Final = 92
MIN_LAYER: Final = 65

#: Calls that ended are remembered for whoever inspects the sandbox.
REMEMBERED: Final = 5000


class CallState(enum.StrEnum):
    REQUESTED = "requested"  # no device of the callee has said that it rings
    RINGING = "ringing"
    ACCEPTED = "accepted"  # the caller still has to confirm
    ESTABLISHED = "established"
    DISCARDED = "discarded"


REASONS: Final[dict[str, Callable[[], TL]]] = {
    "missed": types.PhoneCallDiscardReasonMissed,
    "disconnect": types.PhoneCallDiscardReasonDisconnect,
    "hangup": types.PhoneCallDiscardReasonHangup,
    "busy": types.PhoneCallDiscardReasonBusy,
}


@dataclass(slots=True)
class PhoneCall:
    """One call.

    Attributes:
        caller_key, callee_key: The device at either end; the callee's is known once one accepts.
        date, receive_date, start_date: By the world's clock.
        reason: Why it was discarded: missed, disconnect, hangup, busy.
        ended_by: "caller", "callee", or "server" when a timer ran out.
        events: What happened, with the monotonic time.
    """

    id: int
    caller: int
    callee: int
    caller_key: int
    g_a_hash: bytes = field(repr=False)
    caller_protocol: TL = field(repr=False)
    date: float
    video: bool = False
    callee_key: int | None = None
    g_a: bytes = field(default=b"", repr=False)
    g_b: bytes = field(default=b"", repr=False)
    key_fingerprint: int = 0
    callee_protocol: TL = field(default=None, repr=False)
    protocol: TL = field(default=None, repr=False)
    receive_date: float | None = None
    start_date: float | None = None
    state: CallState = CallState.REQUESTED
    reason: str | None = None
    duration: int = 0
    ended_by: str | None = None
    signals: dict[str, int] = field(default_factory=lambda: {"caller": 0, "callee": 0})
    rating: int | None = None
    events: list[tuple[float, str]] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None

    def move(self, state: CallState) -> None:
        self.state = state
        self.events.append((time.monotonic(), state.value))

    def other(self, user_id: int) -> int:
        return self.callee if user_id == self.caller else self.caller


class PhoneCalls:
    """All calls. Methods are named after those of the API, and raise `RpcError` with its errors."""

    def __init__(self, cloud: Cloud, mailbox: Mailbox) -> None:
        self._cloud = cloud
        self._world = cloud.world
        self._mailbox = mailbox
        self._calls: dict[int, PhoneCall] = {}
        self._live: dict[int, PhoneCall] = {}
        self._random_ids: set[tuple[int, int]] = set()
        #: Calls whose end a device, by its key, could not be told.
        self._untold: defaultdict[int, list[PhoneCall]] = defaultdict(list)

    def all(self) -> list[PhoneCall]:
        return list(self._calls.values())

    def close(self) -> None:
        for call in self._live.values():
            self._stop_timer(call)

    # What a caller asks

    def request(self, link: Link, caller: int, callee: int, random_id: int, g_a_hash: bytes, protocol: TL) -> TL:
        self._admit(caller, callee, g_a_hash, protocol)
        if (caller, random_id) in self._random_ids:
            raise RpcError(500, "RANDOM_ID_DUPLICATE")
        self._random_ids.add((caller, random_id))
        call = PhoneCall(secrets.randbits(63), caller, callee, link.key_id, g_a_hash, protocol, self._cloud.now())
        call.events.append((time.monotonic(), call.state.value))
        waiting = self._waiting(call, caller)
        self._remember(call)
        if any(live.callee == callee and live.receive_date for live in self._live.values()):
            # A device of the callee said, by receivedCall, that he is in a call.
            self._end(call, "busy", 0, "server")
        else:
            self._live[call.id] = call
            self._ring(call)
            self._start_timer(call, self._cloud.settings.call_receive_timeout_ms, "missed")
        return waiting

    def confirm(self, link: Link, caller: int, peer: TL, g_a: bytes, key_fingerprint: int) -> TL:
        call = self._find(peer, caller)
        if call.state is CallState.DISCARDED:
            raise RpcError(400, "CALL_ALREADY_DECLINED")
        if call.state is CallState.ESTABLISHED and call.g_a == g_a:
            return self._established(call, caller)
        if link.key_id != call.caller_key or call.state is not CallState.ACCEPTED:
            raise RpcError(400, "CALL_PEER_INVALID")
        if hashlib.sha256(g_a).digest() != call.g_a_hash:
            raise RpcError(400, "DH_G_A_INVALID")
        self._stop_timer(call)
        call.g_a, call.key_fingerprint, call.start_date = g_a, key_fingerprint, self._cloud.now()
        call.move(CallState.ESTABLISHED)
        self._tell(call, call.callee, self._established(call, call.callee))
        return self._established(call, caller)

    # What a callee asks

    def received(self, link: Link, callee: int, peer: TL) -> None:
        call = self._find(peer, callee)
        if call.callee != callee:
            raise RpcError(400, "CALL_PEER_INVALID")
        if call.state is CallState.DISCARDED:
            raise RpcError(400, "CALL_ALREADY_DECLINED")
        if call.state is not CallState.REQUESTED:
            return
        call.receive_date = self._cloud.now()
        call.move(CallState.RINGING)
        self._start_timer(call, self._cloud.settings.call_ring_timeout_ms, "missed")
        self._tell(call, call.caller, self._waiting(call, call.caller), but=link)

    def accept(self, link: Link, callee: int, peer: TL, g_b: bytes, protocol: TL) -> TL:
        call = self._find(peer, callee)
        if call.callee != callee or not _is_good(g_b):
            raise RpcError(400, "CALL_PEER_INVALID")
        if call.state is CallState.DISCARDED:
            raise RpcError(400, "CALL_ALREADY_DECLINED")
        if call.state not in (CallState.REQUESTED, CallState.RINGING):
            raise RpcError(400, "CALL_ALREADY_ACCEPTED")
        _check_protocol(protocol)
        call.protocol = _common(call.caller_protocol, protocol)
        call.callee_key, call.g_b, call.callee_protocol = link.key_id, g_b, protocol
        call.move(CallState.ACCEPTED)
        self._start_timer(call, self._cloud.settings.call_connect_timeout_ms, "disconnect")
        self._tell(call, call.caller, self._accepted(call))
        self._cloud.tell(
            callee,
            [types.UpdatePhoneCall(types.PhoneCallDiscarded(call.id))],
            [call.caller, callee],
            devices=lambda device: device.key != link.key_id and not device.calls_disabled,
        )
        return self._waiting(call, callee)

    # What both ask

    def discard(self, link: Link, user_id: int, peer: TL, duration: int, reason: TL) -> TL:
        call = self._find(peer, user_id)
        if call.state is not CallState.DISCARDED:
            device = call.caller_key if user_id == call.caller else call.callee_key
            if device is not None and device != link.key_id:
                raise RpcError(400, "CALL_ALREADY_ACCEPTED")
            word = next((word for word, kind in REASONS.items() if isinstance(reason, kind)), "hangup")  # type: ignore[arg-type]
            self._end(call, word, duration, "caller" if user_id == call.caller else "callee", but=link)
        return self._cloud.updates(user_id, [types.UpdatePhoneCall(self._discarded(call))], [call.caller, call.callee])

    def signal(self, link: Link, user_id: int, peer: TL, data: bytes) -> None:
        call = self._find(peer, user_id)
        if call.state not in (CallState.ACCEPTED, CallState.ESTABLISHED):
            raise RpcError(400, "CALL_PEER_INVALID")
        call.signals["caller" if user_id == call.caller else "callee"] += 1
        other = call.other(user_id)
        key = call.caller_key if other == call.caller else call.callee_key
        self._cloud.tell(
            other,
            [types.UpdatePhoneCallSignalingData(call.id, data)],
            [],
            but=link,
            devices=lambda device: device.key == key,
        )

    def rate(self, user_id: int, peer: TL, rating: int) -> None:
        self._find(peer, user_id).rating = rating

    def catch_up(self, user_id: int, link: Link) -> None:
        """A device connected: tell it how its calls stand.

        That the real Telegram does so is believed, not known; a client may hear of the same thing twice.
        """
        for call in self._live.values():
            if call.callee == user_id and call.state in (CallState.REQUESTED, CallState.RINGING):
                self._ring(call, only=link.key_id)
            elif link.key_id == call.caller_key and call.state is CallState.RINGING:
                self._tell(call, call.caller, self._waiting(call, call.caller))
            elif link.key_id == call.caller_key and call.state is CallState.ACCEPTED:
                self._tell(call, call.caller, self._accepted(call))
            elif link.key_id == call.callee_key and call.state is CallState.ESTABLISHED:
                self._tell(call, call.callee, self._established(call, call.callee))
        for call in self._untold.pop(link.key_id, ()):
            self._tell(call, user_id, self._discarded(call))

    def end(self, call_id: int, reason: str = "disconnect") -> None:
        """End a call by the server's will."""
        self._end(self._live[call_id], reason, 0, "server")

    # How a call looks, and to whom

    def _admit(self, caller: int, callee: int, g_a_hash: bytes, protocol: TL) -> None:
        _check_protocol(protocol)
        if callee == caller or self._world.user(callee).is_bot:
            raise RpcError(400, "USER_ID_INVALID")
        if len(g_a_hash) != hashlib.sha256().digest_size:
            raise RpcError(400, "DH_G_A_INVALID")
        if self._world.is_blocked(callee, caller):
            raise RpcError(403, "USER_IS_BLOCKED")
        if not self._world.allows(callee, "PhoneCall", caller):
            raise RpcError(403, "USER_PRIVACY_RESTRICTED")

    def _find(self, peer: TL, user_id: int) -> PhoneCall:
        call = self._calls.get(peer.id)
        if (
            call is None
            or user_id not in (call.caller, call.callee)
            or peer.access_hash != self._world.access_hash(user_id, f"call {call.id}")
        ):
            raise RpcError(400, "CALL_PEER_INVALID")
        return call

    def _ring(self, call: PhoneCall, only: int | None = None) -> None:
        requested = types.PhoneCallRequested(
            **self._head(call, call.callee), g_a_hash=call.g_a_hash, protocol=call.caller_protocol
        )
        self._cloud.tell(
            call.callee,
            [types.UpdatePhoneCall(requested)],
            [call.caller, call.callee],
            devices=lambda device: not device.calls_disabled and only in (None, device.key),
        )

    def _tell(self, call: PhoneCall, user_id: int, said: TL, but: Link | None = None) -> None:
        """Tell the device at one end; all that may ring, while the callee has not chosen one."""
        key = call.caller_key if user_id == call.caller else call.callee_key
        self._cloud.tell(
            user_id,
            [types.UpdatePhoneCall(said)],
            [call.caller, call.callee],
            but=but,
            devices=lambda device: device.key == key if key is not None else not device.calls_disabled,
        )

    def _end(self, call: PhoneCall, reason: str, duration: int, by: str, but: Link | None = None) -> None:
        self._stop_timer(call)
        self._live.pop(call.id, None)
        was_requested_of_callee = reason != "busy" or by != "server"
        call.reason, call.ended_by = reason, by
        call.duration = duration if call.start_date else 0
        call.move(CallState.DISCARDED)
        self._tell(call, call.caller, self._discarded(call), but=but)
        if was_requested_of_callee:
            self._tell(call, call.callee, self._discarded(call), but=but)
        for key in (call.caller_key, call.callee_key):
            if key is not None and not self._cloud.links(key):
                self._untold[key].append(call)
        action = types.MessageActionPhoneCall(
            call.id, reason=REASONS[reason](), duration=call.duration or None, video=call.video or None
        )
        self._mailbox.post(call.caller, call.callee, action=action)

    def _head(self, call: PhoneCall, viewer: int) -> dict[str, Any]:
        return {
            "id": call.id,
            "access_hash": self._world.access_hash(viewer, f"call {call.id}"),
            "date": self._cloud.date(call.date),
            "admin_id": call.caller,
            "participant_id": call.callee,
        }

    def _waiting(self, call: PhoneCall, viewer: int) -> TL:
        receive_date = self._cloud.date(call.receive_date) if call.receive_date else None
        protocol = call.protocol or call.caller_protocol
        return types.PhoneCallWaiting(**self._head(call, viewer), protocol=protocol, receive_date=receive_date)

    def _accepted(self, call: PhoneCall) -> TL:
        return types.PhoneCallAccepted(**self._head(call, call.caller), g_b=call.g_b, protocol=call.callee_protocol)

    def _discarded(self, call: PhoneCall) -> TL:
        reason = REASONS[call.reason]() if call.reason else None
        return types.PhoneCallDiscarded(call.id, reason=reason, duration=call.duration or None)

    def _established(self, call: PhoneCall, viewer: int) -> TL:
        settings = self._cloud.settings
        p2p = settings.p2p_allowed
        if p2p is None:
            p2p = self._world.allows(call.caller, "PhoneP2P", call.callee) and self._world.allows(
                call.callee, "PhoneP2P", call.caller
            )
        return types.PhoneCall(
            **self._head(call, viewer),
            g_a_or_b=call.g_b if viewer == call.caller else call.g_a,
            key_fingerprint=call.key_fingerprint,
            protocol=call.protocol,
            connections=[_connection(number, server) for number, server in enumerate(settings.connections, 1)],
            start_date=self._cloud.date(call.start_date),
            p2p_allowed=p2p or None,
            custom_parameters=types.DataJSON(settings.custom_parameters) if settings.custom_parameters else None,
        )

    # Time

    def _start_timer(self, call: PhoneCall, timeout_ms: int, reason: str) -> None:
        self._stop_timer(call)
        loop = asyncio.get_running_loop()
        call.timer = loop.call_later(timeout_ms / 1000, self._time_out, call, reason)

    def _stop_timer(self, call: PhoneCall) -> None:
        if call.timer:
            call.timer.cancel()
            call.timer = None

    def _time_out(self, call: PhoneCall, reason: str) -> None:
        try:
            with self._cloud.change():
                self._end(call, reason, 0, "server")
        except Exception as fault:
            log.exception("timeout of a call failed by a fault of ours")
            self._cloud.failures.append(fault)
        self._cloud.flush()

    def _remember(self, call: PhoneCall) -> None:
        self._calls[call.id] = call
        if len(self._calls) > REMEMBERED:
            oldest = next(call_id for call_id in self._calls if call_id not in self._live)
            del self._calls[oldest]


def _check_protocol(protocol: TL) -> None:
    if not (protocol.udp_p2p or protocol.udp_reflector):
        raise RpcError(400, "CALL_PROTOCOL_FLAGS_INVALID")
    if protocol.min_layer > protocol.max_layer or protocol.min_layer > LAYER or protocol.max_layer < MIN_LAYER:
        raise RpcError(400, "CALL_PROTOCOL_LAYER_INVALID")


def _common(caller: TL, callee: TL) -> TL:
    """What both can speak. Raises `RpcError` when that is nothing."""
    versions = [version for version in caller.library_versions if version in callee.library_versions]
    lowest, highest = max(caller.min_layer, callee.min_layer), min(caller.max_layer, callee.max_layer)
    if not versions or lowest > highest:
        raise RpcError(406, "CALL_PROTOCOL_COMPAT_LAYER_INVALID")
    return types.PhoneCallProtocol(
        lowest,
        highest,
        versions,
        udp_p2p=(caller.udp_p2p and callee.udp_p2p) or None,
        udp_reflector=(caller.udp_reflector and callee.udp_reflector) or None,
    )


def _is_good(g_b: bytes) -> bool:
    return 1 < int.from_bytes(g_b, "big") < int.from_bytes(DH_PRIME, "big") - 1


def _connection(number: int, server: dict[str, Any]) -> TL:
    fields = {"id": number, "ipv6": "", **server}
    if "peer_tag" in fields:
        return types.PhoneConnection(**fields | {"peer_tag": bytes.fromhex(fields["peer_tag"])})
    return types.PhoneConnectionWebrtc(**fields)

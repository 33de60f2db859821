"""Those whom the Telegram side meets in these tests: a Telegram user's app, a switchboard, a store, audio."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from telethon import TelegramClient, events
from telethon.sessions import StringSession
from telethon.tl import functions, types

from gateway.call.model import Account, Line, LineKind, Party, Route
from gateway.call.ports import Leg, Media, Offer
from gateway.errors import CallError, Ending
from gateway.media.model import EngineSetup
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from gateway.telegram.model import AccountState, AccountStatus
from gateway.telegram.ports import KnownNumber, Peer, PendingCall, TelegramStore
from gateway.telegram.session import KeptSession
from gateway.telegram.settings import TelegramSettings
from gateway.telegram.side import TelegramSide
from tests.scripted import ScriptedMedia

VERSIONS = ("9.0.0", "8.0.0")
PATIENCE_S = 5.0


class MemoryStore:
    """What a store keeps over restarts of the gateway, and nothing else."""

    def __init__(self) -> None:
        self.sessions: dict[int, bytes] = {}
        self.peers: dict[int, dict[int, Peer]] = {}
        self.floods: dict[tuple[int, str], dt.datetime] = {}
        self.numbers: dict[tuple[int, str], KnownNumber] = {}
        self.pending: dict[int, dict[int, PendingCall]] = {}
        self.saves = 0

    async def load_session(self, account_id: int) -> bytes | None:
        return self.sessions.get(account_id)

    async def save_session(self, account_id: int, secret: bytes) -> None:
        self.saves += 1
        self.sessions[account_id] = secret

    async def forget_session(self, account_id: int) -> None:
        self.sessions.pop(account_id, None)

    async def load_peers(self, account_id: int) -> Sequence[Peer]:
        return tuple(self.peers.get(account_id, {}).values())

    async def save_peers(self, account_id: int, peers: Sequence[Peer]) -> None:
        self.peers.setdefault(account_id, {}).update({peer.id: peer for peer in peers})

    async def load_floods(self, account_id: int) -> Mapping[str, dt.datetime]:
        return {method: until for (owner, method), until in self.floods.items() if owner == account_id}

    async def save_flood(self, account_id: int, method: str, until: dt.datetime) -> None:
        self.floods[account_id, method] = until

    async def load_number(self, account_id: int, number: str) -> KnownNumber | None:
        return self.numbers.get((account_id, number))

    async def save_number(self, account_id: int, number: str, known: KnownNumber) -> None:
        self.numbers[account_id, number] = known

    async def save_pending(self, account_id: int, call: PendingCall) -> None:
        self.pending.setdefault(account_id, {})[call.id] = call

    async def drop_pending(self, account_id: int, call_ids: Iterable[int]) -> None:
        for call_id in call_ids:
            self.pending.get(account_id, {}).pop(call_id, None)

    async def load_pending(self, account_id: int) -> Sequence[PendingCall]:
        return tuple(self.pending.get(account_id, {}).values())


@dataclass
class Audio(ScriptedMedia):
    """Audio that connects at once, says what it is told to, and remembers what it heard."""

    setup: EngineSetup | None = None
    heard: list[bytes] = field(default_factory=list)
    says: Callable[[bytes], None] | None = None
    refuses: CallError | None = None
    hangs: bool = False

    async def connect(self, setup: EngineSetup, send_signal: Callable[[bytes], None]) -> None:
        self.setup, self.says = setup, send_signal
        if self.hangs:
            await asyncio.sleep(3600)
        if self.refuses is not None:
            raise self.refuses

    def hear_signal(self, blob: bytes) -> None:
        self.heard.append(blob)


class Desk:
    """A switchboard that only takes note of offers."""

    def __init__(self) -> None:
        self.offers: asyncio.Queue[Offer] = asyncio.Queue()

    def offered(self, offer: Offer) -> None:
        self.offers.put_nowait(offer)

    async def next(self) -> Offer:
        async with asyncio.timeout(PATIENCE_S):
            return await self.offers.get()


class Phone:
    """A Telegram user's app: Telethon, and a key exchange that shares nothing with the gateway's."""

    def __init__(self, client: TelegramClient, user: User) -> None:
        self.client = client
        self.user = user
        self.news: list[Any] = []
        self.signals: list[bytes] = []
        self._more = asyncio.Event()
        client.add_event_handler(self._hear, events.Raw((types.UpdatePhoneCall, types.UpdatePhoneCallSignalingData)))

    async def _hear(self, update: Any) -> None:
        if isinstance(update, types.UpdatePhoneCall):
            self.news.append(update.phone_call)
        else:
            self.signals.append(update.data)
        self._more.set()

    async def until(self, kind: type[Any], call_id: int | None = None, *, rings: bool = False) -> Any:
        """Wait for news of a kind; of one call, or of any."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for call in self.news:
                    if (
                        isinstance(call, kind)
                        and call_id in (None, call.id)
                        and (not rings or call.receive_date is not None)
                    ):
                        return call
                self._more.clear()
                await self._more.wait()

    async def rung(self) -> Any:
        """The call that somebody makes to us; each is answered with once."""
        call = await self.until(types.PhoneCallRequested)
        self.news.remove(call)
        return call

    async def receive(self, call: Any) -> None:
        await self.client(functions.phone.ReceivedCallRequest(as_input(call)))

    async def accept(self, call: Any) -> tuple[Any, int]:
        """Answer; what the established call is, and its key."""
        p, exponent = await self._group()
        g_b = pow(3, exponent, p).to_bytes(256, "big")
        await self.client(functions.phone.AcceptCallRequest(as_input(call), g_b, protocol()))
        established = await self.until(types.PhoneCall, call.id)
        assert hashlib.sha256(established.g_a_or_b).digest() == call.g_a_hash
        key = pow(int.from_bytes(established.g_a_or_b, "big"), exponent, p)
        assert established.key_fingerprint == fingerprint(key)
        return established, key

    async def dial(self, user_id: int) -> tuple[Any, int]:
        """Call somebody; the waiting call, and our secret."""
        p, exponent = await self._group()
        g_a = pow(3, exponent, p).to_bytes(256, "big")
        who = await self.client.get_input_entity(user_id)
        request = functions.phone.RequestCallRequest(who, hashlib.sha256(g_a).digest(), protocol())
        return (await self.client(request)).phone_call, exponent

    async def confirm(self, call: Any, exponent: int) -> tuple[Any, int]:
        accepted = await self.until(types.PhoneCallAccepted, call.id)
        p, _ = await self._group()
        g_a = pow(3, exponent, p).to_bytes(256, "big")
        key = pow(int.from_bytes(accepted.g_b, "big"), exponent, p)
        request = functions.phone.ConfirmCallRequest(as_input(call), g_a, fingerprint(key), protocol())
        return (await self.client(request)).phone_call, key

    async def discard(self, call: Any, reason: type[Any] = types.PhoneCallDiscardReasonHangup) -> None:
        request = functions.phone.DiscardCallRequest(as_input(call), 0, reason(), 0)
        await self.client(request)

    async def say(self, call: Any, blob: bytes) -> None:
        await self.client(functions.phone.SendSignalingDataRequest(as_input(call), blob))

    async def _group(self) -> tuple[int, int]:
        config = await self.client(functions.messages.GetDhConfigRequest(0, 0))
        assert config.g == 3
        return int.from_bytes(config.p, "big"), secrets.randbits(256)


def protocol() -> types.PhoneCallProtocol:
    return types.PhoneCallProtocol(92, 92, list(VERSIONS), udp_p2p=True, udp_reflector=True)


def fingerprint(key: int) -> int:
    return int.from_bytes(hashlib.sha1(key.to_bytes(256, "big")).digest()[-8:], "little", signed=True)


def as_input(call: Any) -> types.InputPhoneCall:
    return types.InputPhoneCall(call.id, call.access_hash)


class Gateway:
    """The Telegram side of a gateway, with one session account and all that it needs."""

    def __init__(
        self,
        sandbox: Sandbox,
        account: Account,
        store: TelegramStore,
        settings: TelegramSettings,
        versions: Callable[[], Sequence[str]] = lambda: VERSIONS,
    ) -> None:
        self.sandbox = sandbox
        self.account = account
        self.store = store
        self.settings = settings
        self.desk = Desk()
        self.statuses: list[AccountStatus] = []
        self._changed = asyncio.Event()
        self.side = TelegramSide(settings, store, self.desk, versions, self._watch)

    def _watch(self, account_id: int, status: AccountStatus) -> None:
        self.statuses.append(status)
        self._changed.set()

    async def until(self, *states: AccountState) -> AccountStatus:
        """Wait until the account is in one of these states."""
        async with asyncio.timeout(PATIENCE_S):
            while (status := self.side.status(self.account.id)).state not in states:
                self._changed.clear()
                await self._changed.wait()
        return status

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Gateway]:
        """Open, with the account online."""
        async with self.side:
            self.side.add(self.account)
            await self.until(AccountState.ONLINE, AccountState.FLOOD_LIMITED)
            yield self

    def leg(self, audio: Media) -> Leg:
        line = Line(1, self.account.id, "line", LineKind.TRUNK)
        return self.side.far_leg(Route(self.account, line, "", Party()), audio)


class Dialling:
    """A far leg on its way, and what came of it."""

    def __init__(self, gateway: Gateway, to: str) -> None:
        self.audio = Audio()
        self.leg = gateway.leg(self.audio)
        self.rings = asyncio.Event()
        self.rang = 0
        self.task = asyncio.create_task(self.leg.dial(to, Party(), self._alerting))

    async def _alerting(self) -> None:
        self.rang += 1
        self.rings.set()

    async def answered(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.task

    async def refused(self) -> Ending:
        """Wait until the dial is refused, and let go as a session would."""
        try:
            await self.answered()
        except CallError as error:
            await self.leg.release(error.ending)
            return error.ending
        raise AssertionError("the call was answered")

    async def gone(self) -> Ending:
        async with asyncio.timeout(PATIENCE_S):
            return await self.leg.released()

    async def ringing(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.rings.wait()


async def in_call(gateway: Gateway, anna: Phone) -> tuple[Dialling, Any]:
    """Call @anna, who answers; the call as she saw it come."""
    dialling = Dialling(gateway, "@anna")
    call = await anna.rung()
    await anna.accept(call)
    await dialling.answered()
    return dialling, call


async def eventually(check: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not check():  # noqa: ASYNC110 - of other people's state, which has no event
            await asyncio.sleep(0.01)


async def gone(leg: Leg) -> Ending:
    async with asyncio.timeout(PATIENCE_S):
        return await leg.released()


def kept_session(sandbox: Sandbox, user: User, *, age_s: float = 0) -> bytes:
    """A login of this user, in the form in which the gateway keeps it."""
    text = StringSession(sandbox.session(user, age_s=age_s, device_model="gateway"))
    session = KeptSession()
    session.set_dc(text.dc_id, text.server_address, text.port)
    session.auth_key = text.auth_key
    return session.secret()


class Town:
    """A sandbox with a gateway account and people in it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.store = MemoryStore()
        self._numbers = 0

    def settings(self, **changes: Any) -> TelegramSettings:
        quick = {
            "request_timeout_s": 2.0,
            "reconnect_min_s": 0.05,
            "reconnect_max_s": 0.2,
            "poll_s": 0.3,
            "save_after_s": 0.05,
            "establish_timeout_s": 3.0,
            "reconnect_wait_s": 3.0,
        }
        return TelegramSettings.model_validate(
            {
                "api_id": 1,
                "api_hash": "0" * 32,
                "server": self.sandbox.server,
                "key_file": self.sandbox.key_file,
                **quick,
                **changes,
            }
        )

    def person(self, first_name: str = "Ann", **more: Any) -> User:
        self._numbers += 1
        return self.sandbox.create_user(f"+1555{self._numbers:04}", first_name, **more)

    def account(self, *, call_limit: int = 10, age_s: float = 0) -> Account:
        """A session account that is logged in."""
        user = self.person("Shop")
        account_id = self._numbers
        self.store.sessions[account_id] = kept_session(self.sandbox, user, age_s=age_s)
        return Account(account_id, user.phone or "", user.id, name="Shop", call_limit=call_limit)

    @asynccontextmanager
    async def gateway(self, account: Account | None = None, **settings: Any) -> AsyncIterator[Gateway]:
        """A gateway whose account is online."""
        gateway = Gateway(self.sandbox, account or self.account(), self.store, self.settings(**settings))
        async with gateway.open():
            yield gateway

    @asynccontextmanager
    async def phone(self, first_name: str = "Ann", knows: Account | None = None, **more: Any) -> AsyncIterator[Phone]:
        """Somebody with the app open, who knows the gateway's account."""
        user = self.person(first_name, **more)
        if knows is not None:
            self.sandbox.add_contact(user, self.sandbox.telegram.world.user(knows.user_id))
        phone = Phone(self.sandbox.client(user, sequential_updates=True), user)
        await phone.client.connect()
        try:
            await phone.client.get_me()
            await phone.client(functions.contacts.GetContactsRequest(0))
            yield phone
        finally:
            await phone.client.disconnect()

    def no_call_left(self) -> bool:
        """Whether every call in Telegram is over."""
        return all(call.state == "discarded" for call in self.sandbox.calls())

"""One session account, online: connected, watched, and the only one who speaks for it."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from telethon import errors, events
from telethon.errors import RPCError
from telethon.tl import TLRequest, functions, types

from gateway.call.model import Account
from gateway.errors import GatewayError
from gateway.telegram import exchange
from gateway.telegram.book import CallBook
from gateway.telegram.causes import error_name
from gateway.telegram.client import (
    CLOSE_S,
    Client,
    close,
    connection_errors,
    is_unknown_key,
    make_client,
    method_name,
)
from gateway.telegram.farewells import RING_S, Farewells
from gateway.telegram.floods import FloodWaits
from gateway.telegram.model import AccountState, AccountStatus
from gateway.telegram.ports import PendingCall, TelegramStore
from gateway.telegram.session import KeptSession, SessionKeeper
from gateway.telegram.settings import TelegramSettings

log = structlog.get_logger(__name__)

#: A key that Telegram does not know may be a hiccup of one server; three in a row are not.
UNKNOWN_KEY_LIMIT: Final = 3
#: A caller whose call nobody has received gives up after this (call_receive_timeout_ms), unless told otherwise.
RECEIVE_S: Final = 20.0
#: The waits that keep an account from calling.
CALL_METHODS: Final = ("phone.requestCall", "phone.acceptCall")
#: What may tell of a call among the updates that were missed.
CALL_NOTES: Final = (types.UpdatePhoneCall, types.UpdateNewMessage)
BANNED: Final = frozenset({"USER_DEACTIVATED", "USER_DEACTIVATED_BAN"})


class LoggedOutError(GatewayError):
    """The login is worth nothing any more."""

    def __init__(self, state: AccountState, detail: str) -> None:
        super().__init__(detail)
        self.state = state


class SessionAccount:
    """A session account and its connection, from `run` until that is cancelled.

    Args:
        book: Is given news of the account's calls.
        watch: Is told of each change of status.
    """

    def __init__(
        self,
        account: Account,
        settings: TelegramSettings,
        store: TelegramStore,
        book: CallBook,
        watch: Callable[[AccountStatus], None],
    ) -> None:
        self.account = account
        self.settings = settings
        self.store = store
        self.book = book
        self.session = KeptSession()
        self.receive_s = RECEIVE_S
        self.key_emoji: dict[str, str] = {}  # of calls that have a key, by our ids
        self.engine_failures: dict[int, str] = {}  # by user: how the media engine of first choice did not connect
        self.floods = FloodWaits(account.id, store)
        self.farewells = Farewells(account.id, self, store)
        self._watch = watch
        self._listeners: list[Callable[[Any], None]] = []
        self._status = AccountStatus(AccountState.OFFLINE, "not connected yet")
        self._told: AccountStatus | None = None
        self._client: Client | None = None
        self._early: list[tuple[Any, Mapping[int, Any]]] = []  # news that came before the account was online
        self._settled = asyncio.Event()  # online, or logged out for good
        self._doubt = asyncio.Event()
        self._ahead = dt.timedelta()
        self._group: exchange.Group | None = None
        self._server_random = b""
        self._unknown_key = 0
        self._tasks = asyncio.TaskGroup()
        self._flood_timer: asyncio.TimerHandle | None = None

    # What others ask

    @property
    def status(self) -> AccountStatus:
        if self._status.state is AccountState.ONLINE:
            if self._client is None:
                return AccountStatus(AccountState.OFFLINE, "the connection to Telegram was lost")
            waits = [(until, method) for method in CALL_METHODS if (until := self.floods.until(method))]
            if waits:
                until, method = max(waits)
                return AccountStatus(AccountState.FLOOD_LIMITED, method, until)
        return self._status

    @property
    def is_online(self) -> bool:
        return self._client is not None

    def server_now(self) -> dt.datetime:
        """Telegram's clock; ours may be wrong."""
        return dt.datetime.now(dt.UTC) + self._ahead

    async def ask(self, request: TLRequest) -> Any:
        """Ask Telegram, once. A method under a flood wait is answered here, without asking.

        Raises:
            RPCError: Telegram's refusal, `FloodWaitError` among them.
            OSError: Not online, or the connection was lost; whether it was carried out is not known.
            TimeoutError: No answer; whether it was carried out is not known.
        """
        self.check_flood(type(request))
        client = self._client
        if client is None:
            raise ConnectionError(self._status.detail)
        try:
            async with asyncio.timeout(self.settings.request_timeout_s):
                return await client.ask(request)
        except errors.FloodWaitError as flood:
            await self.floods.keep(method_name(type(request)), flood.seconds)
            self._tell()
            raise
        except (errors.UnauthorizedError, errors.AuthKeyDuplicatedError, TimeoutError):
            self._doubt.set()  # is it the session, or the connection, that is dead?
            raise
        except OSError:
            self._lose(client)
            raise

    def check_flood(self, kind: type[TLRequest]) -> None:
        """Raises `FloodWaitError` when requests of this kind may not be made yet."""
        if left_s := self.floods.left_s(method_name(kind)):
            raise errors.FloodWaitError(None, capture=left_s)

    async def ask_again(self, request: TLRequest, unless: Callable[[], bool]) -> Any:
        """Ask, and when the answer is lost, once more: what may safely be repeated. Otherwise as `ask_when_back`."""
        try:
            return await self.ask(request)
        except (OSError, TimeoutError):
            return await self.ask_when_back(request, unless)

    async def ask_when_back(self, request: TLRequest, unless: Callable[[], bool]) -> Any:
        """Ask as soon as there is a connection.

        Args:
            unless: Whether the answer is not wanted any more by then.

        Raises:
            As `ask`; OSError also when no connection came in time, or the answer is not wanted any more.
        """
        await self._back_online()
        if unless():
            raise ConnectionError("the connection to Telegram was lost")
        return await self.ask(request)

    async def _back_online(self) -> None:
        try:
            async with asyncio.timeout(self.settings.reconnect_wait_s):
                await self.online()
        except TimeoutError:
            raise ConnectionError("the connection to Telegram was lost, and did not come back in time") from None

    async def online(self) -> None:
        """Wait until the account is online. Raises `ConnectionError` when it will not be any more."""
        await self._settled.wait()
        if self._client is None:
            raise ConnectionError(self._status.detail)

    async def begin_exchange(self) -> exchange.Secret:
        """Our half of a call's key. Raises as `ask`, and `ExchangeError`."""
        if self._group is None:
            await self._learn_group(self.ask)
        assert self._group is not None
        return exchange.begin(self._group, self._server_random)

    def listen(self, hear: Callable[[Any], None]) -> None:
        """Be given each update, in order, missed ones included. `hear` returns at once and raises nothing."""
        self._listeners.append(hear)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Do something for as long as it takes, at most as long as the account is kept. A fault in it stays its own."""
        task = self._tasks.create_task(self._guarded(work, name), name=f"account {self.account.id}: {name}")
        task.add_done_callback(lambda _: work.close())  # it may have been cancelled before it began
        return task

    async def _guarded(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except Exception:
            log.exception("a task failed by a fault of ours", account=self.account.id, task=name)

    async def log_out(self) -> None:
        """End the login at Telegram. Raises as `ask`."""
        await self.ask(functions.auth.LogOutRequest())

    # Life

    async def run(self) -> None:
        """Be online, again and again, until cancelled; give up when there is no login to be online with."""
        try:
            await self._load()
        except GatewayError as unusable:
            log.error("session account can't be used", account=self.account.id, error=str(unusable))
            self._set(AccountState.LOGGED_OUT, str(unusable))
            self._settled.set()
            return
        keeper = SessionKeeper(
            self.account.id, self.session, self.store, self.settings.save_after_s, self._note_updates
        )
        try:
            async with self._tasks:
                for name, work in (
                    ("keep the session", keeper.run()),
                    ("keep pending calls", self.farewells.run()),
                    ("stay online", self._stay_online()),
                ):
                    self._tasks.create_task(work, name=f"account {self.account.id}: {name}")
        finally:
            if self._flood_timer is not None:
                self._flood_timer.cancel()
            async with asyncio.timeout(CLOSE_S):
                await keeper.save()
                await self.farewells.close()
            self._set(AccountState.OFFLINE, "switched off")

    async def _load(self) -> None:
        account_id = self.account.id
        await self.floods.load()
        secret = await self.store.load_session(account_id)
        if secret is None:
            raise LoggedOutError(AccountState.LOGGED_OUT, "there is no kept session: log the account in")
        self.session = KeptSession.restored(secret, await self.store.load_peers(account_id))

    async def _stay_online(self) -> None:
        """Connect, and connect again, until there is no login left to connect with."""
        wait_s = self.settings.reconnect_min_s
        left_over = await self.farewells.left_over()
        for call in left_over:
            self.book.close(call.id)  # whatever Telegram tells of it now
        while True:
            try:
                async with self._connection() as client:
                    await self._connect(client)
                    wait_s = self.settings.reconnect_min_s
                    for call in left_over:
                        self._discard_left_over(call)
                    left_over = ()
                    await self._watch_over(client)
            except LoggedOutError as gone:
                log.error("session account was logged out", account=self.account.id, detail=str(gone))
                self._set(gone.state, str(gone))
                self._settled.set()
                return
            except (OSError, TimeoutError, RPCError, GatewayError, exchange.ExchangeError) as lost:
                detail = error_name(lost) if isinstance(lost, RPCError) else str(lost) or type(lost).__name__
                log.warning("session account went offline", account=self.account.id, detail=detail)
                self._set(AccountState.OFFLINE, f"no connection to Telegram: {detail}")
            await asyncio.sleep(wait_s * random.uniform(0.75, 1.25))
            wait_s = min(wait_s * 2, self.settings.reconnect_max_s)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Client]:
        """A client for one connection; whatever becomes of it, it is closed."""
        client = make_client(self.settings, self.session)
        client.hear_calls(self._hear_call)
        client.add_event_handler(self._on_update, events.Raw())
        self._early.clear()
        try:
            yield client
        finally:
            self._lose(client)
            await close(client)

    async def _connect(self, client: Client) -> None:
        """Come online. Raises `LoggedOutError`, and what a connection may raise."""
        try:
            async with asyncio.timeout(self.settings.connect_timeout_s + self.settings.request_timeout_s):
                with connection_errors():
                    await client.connect()
                config = await client.ask(functions.help.GetConfigRequest())
                await self._probe(client)
                if self._group is None:
                    await self._learn_group(client.ask)
        except OSError as lost:
            if refused := client.login_refused():
                raise _logged_out(refused) from lost
            self._unknown_key += is_unknown_key(lost)
            if self._unknown_key >= UNKNOWN_KEY_LIMIT:
                raise LoggedOutError(AccountState.LOGGED_OUT, "Telegram does not know this session's key") from lost
            raise
        self._unknown_key = 0
        self._ahead = config.date - dt.datetime.now(dt.UTC)
        self.farewells.ring_s = config.call_ring_timeout_ms / 1000 or RING_S
        self.receive_s = config.call_receive_timeout_ms / 1000 or RECEIVE_S
        self._client = client
        self._doubt.clear()
        self._settled.set()
        self._set(AccountState.ONLINE)
        log.info("session account came online", account=self.account.id)
        self.book.check_all()
        early, self._early = self._early, []
        for update, users in early:
            self.book.hear(update, users)

    async def _watch_over(self, client: Client) -> None:
        """Return never; raise when the connection is lost, or the login."""
        lost = client.disconnected
        while True:
            doubt = asyncio.ensure_future(self._doubt.wait())
            try:
                await asyncio.wait({lost, doubt}, timeout=self.settings.poll_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                doubt.cancel()
            if lost.done():
                raise ConnectionError("Telegram closed the connection") from lost.exception()
            self._doubt.clear()
            async with asyncio.timeout(self.settings.request_timeout_s):
                await self._probe(client)

    async def _probe(self, client: Client) -> None:
        """Ask something small: a revoked session, or a dead connection, shows in nothing else."""
        try:
            await client.ask(functions.updates.GetStateRequest())
        except (errors.UnauthorizedError, errors.AuthKeyDuplicatedError) as refused:
            raise _logged_out(refused) from refused

    def _lose(self, client: Client) -> None:
        """This connection is no good any more: whoever asks waits for the next one."""
        if client is self._client:
            self._client = None
            self._settled.clear()
            self._doubt.set()

    async def _learn_group(self, ask: Callable[[TLRequest], Awaitable[Any]]) -> None:
        config = await ask(functions.messages.GetDhConfigRequest(version=0, random_length=exchange.KEY_BYTES))
        self._server_random = config.random
        # An unknown prime takes most of a second to prove, in steps that let the loop run in between.
        self._group = await asyncio.to_thread(exchange.Group.checked, config.p, config.g, config.version)

    def _discard_left_over(self, call: PendingCall) -> None:
        log.info("pending call of a former run was discarded", account=self.account.id, call=call.id)
        peer = types.InputPhoneCall(call.id, call.access_hash)
        self.farewells.discard(peer, 0, types.PhoneCallDiscardReasonDisconnect())

    def _hear_call(self, update: Any, users: Mapping[int, Any]) -> None:
        if self._client is None:
            # Nothing could be done about it yet, and how old it is can't be told.
            self._early.append((update, users))
        else:
            self.book.hear(update, users)

    async def _on_update(self, update: Any) -> None:
        if isinstance(update, CALL_NOTES):
            self._hear_call(update, getattr(update, "_entities", {}))
        for listener in self._listeners:
            listener(update)
        self.session.changed.set()  # at least by how far the updates were read

    async def _note_updates(self) -> None:
        if self._client is not None:
            await self._client.note_updates()

    def _set(self, state: AccountState, detail: str = "") -> None:
        self._status = AccountStatus(state, detail)
        self._tell()

    def _tell(self) -> None:
        """Say the status, if it is not what was said last; and once more when a flood wait ends."""
        status = self.status
        if status.until is not None:
            if self._flood_timer is not None:
                self._flood_timer.cancel()
            left_s = (status.until - dt.datetime.now(dt.UTC)).total_seconds()
            self._flood_timer = asyncio.get_running_loop().call_later(max(left_s, 0.0) + 0.01, self._tell)
        if status != self._told:
            self._told = status
            self._watch(status)


def _logged_out(refused: RPCError) -> LoggedOutError:
    name = error_name(refused)
    return LoggedOutError(AccountState.BANNED if name in BANNED else AccountState.LOGGED_OUT, name)

"""The one place that makes Telethon clients, and the one request path that neither sleeps nor repeats."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import structlog
from telethon import TelegramClient, errors, utils
from telethon.crypto import rsa
from telethon.errors import RPCError
from telethon.tl import TLRequest, types

from gateway.errors import SettingsError
from gateway.telegram.session import KeptSession
from gateway.telegram.settings import TelegramSettings

log = structlog.get_logger(__name__)

#: Closing is a few messages; a network that hangs must not hold up the rest.
CLOSE_S: Final = 3.0

_NONSENSE: Final = (
    errors.AuthKeyNotFound,
    errors.BadMessageError,
    errors.InvalidChecksumError,
    errors.SecurityError,
    errors.TypeNotFoundError,
)


@contextmanager
def connection_errors() -> Iterator[None]:
    """Make one error of the many ways in which Telethon says that a connection is no good: `ConnectionError`.

    Among others it cancels the futures of unanswered requests, as if the asking task itself had been cancelled.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionError("the connection to Telegram was closed") from None
    except (EOFError, BufferError) as cut:
        raise ConnectionError("Telegram closed the connection") from cut
    except _NONSENSE as nonsense:
        raise ConnectionError(f"Telegram can't be understood: {type(nonsense).__name__}") from nonsense


#: Is given news of calls, and the users that it mentions, by id.
HearCall = Callable[[Any, Mapping[int, Any]], None]

_CALL_NEWS: Final = (types.UpdatePhoneCall, types.UpdatePhoneCallSignalingData)


class _OverheardQueue(asyncio.Queue[Any]):
    """Telethon's queue of updates, with an ear for calls.

    Telethon reads it while no difference is being fetched, and drops what comes with a gap in `seq`, to fetch it; but
    news of calls is in no difference, and can't wait.
    """

    def __init__(self, hear: HearCall) -> None:
        super().__init__()
        self._hear = hear

    def put_nowait(self, item: Any) -> None:
        super().put_nowait(item)
        if not getattr(item, "_self_outgoing", False):  # those are answers to ourselves
            users = {user.id: user for user in getattr(item, "users", ())}
            for update in getattr(item, "updates", None) or (getattr(item, "update", None),):
                if isinstance(update, _CALL_NEWS):
                    self._hear(update, users)


class Client(TelegramClient):  # type: ignore[misc]
    """Telethon, as this gateway uses it. One per connection: what it remembers lives in the session."""

    def hear_calls(self, hear: HearCall) -> None:
        """Have `hear` called with all news of calls, in order, as it comes in. Before `connect`."""
        self._updates_queue = self._sender._updates_queue = _OverheardQueue(hear)

    async def ask(self, request: TLRequest) -> Any:
        """Ask once. Unlike a plain call, a 500 is raised at once (BUSY is one of them), not slept on and asked again.

        Raises:
            RPCError: Telegram's refusal.
            OSError: The connection is lost; whether the request was carried out is not known.
        """
        await request.resolve(self, utils)
        with connection_errors():
            answer = await self._sender.send(request)
        self.session.process_entities(answer)
        return answer

    def login_refused(self) -> RPCError | None:
        """Why Telethon's own reading of updates closed the connection, if because the login is gone."""
        why = self._updates_error
        return why if isinstance(why, errors.UnauthorizedError | errors.AuthKeyDuplicatedError) else None

    async def begin_session(self, user: Any) -> None:
        """Somebody has just logged in: note who, and from where on updates are to be read."""
        await self._on_login(user)

    async def move(self, dc: int) -> None:
        """Go on at another data centre, where the user's account lives."""
        await self._switch_dc(dc)

    async def note_updates(self) -> None:
        """Put how far the updates were read into the session; by itself Telethon does so once a minute."""
        await self._save_states_and_entities()


def prepare(settings: TelegramSettings) -> None:
    """See that clients can be made, and make another network's key known to Telethon, which keeps it for the process.

    Raises:
        SettingsError: The API id or hash is missing, or the key file can't be read.
    """
    settings.require_api()
    if settings.key_file is not None:
        try:
            rsa.add_key(settings.key_file.read_text(), old=False)
        except (OSError, ValueError) as broken:
            raise SettingsError(f"telegram.key_file can't be used: {broken}") from broken


def make_client(settings: TelegramSettings, session: KeptSession, *, retries: int = 0) -> Client:
    """A client that is not connected yet. It does not reconnect: who owns it makes the next one.

    Args:
        retries: How often Telethon itself repeats a request; a login needs it to change data centres.

    Raises:
        SettingsError: As `prepare`.
    """
    prepare(settings)
    if settings.address is not None:
        session.set_dc(settings.dc, *settings.address)
    return Client(
        session,
        settings.api_id,
        settings.api_hash.get_secret_value(),
        timeout=settings.connect_timeout_s,
        request_retries=retries,
        connection_retries=2,  # 1 handshake in 256 fails, by a leading zero of its key that the library drops
        retry_delay=0,
        auto_reconnect=False,
        sequential_updates=True,
        flood_sleep_threshold=0,
        raise_last_call_error=True,
        device_model=settings.device_model,
        system_version=settings.system_version,
        app_version=settings.app_version,
        catch_up=True,
        use_ipv6=":" in (session.server_address or ""),
    )


async def close(client: Client) -> None:
    """Close a client, whatever state its connection is in."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await client.disconnect()
            await asyncio.gather(client.disconnected, return_exceptions=True)  # why is known already
    except (OSError, TimeoutError, RPCError) as failed:
        log.debug("connection was not closed in order", error=repr(failed))


def is_unknown_key(lost: OSError) -> bool:
    """Whether the connection was refused because Telegram does not know its authorization key."""
    why = lost.__cause__
    return isinstance(why, errors.AuthKeyNotFound) or (isinstance(why, errors.InvalidBufferError) and why.code == 404)


def method_name(kind: type[TLRequest]) -> str:
    """Telegram's name of a kind of request, as in "phone.requestCall"."""
    name = kind.__name__.removesuffix("Request")
    module = kind.__module__.removeprefix("telethon.tl.functions").lstrip(".")
    return f"{module}.{name[0].lower()}{name[1:]}" if module else f"{name[0].lower()}{name[1:]}"

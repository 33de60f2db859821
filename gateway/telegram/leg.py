"""One leg of a call on Telegram: near when a user calls the session account, far when we call a user.

Source: https://core.telegram.org/api/end-to-end/video-calls, https://core.telegram.org/method/phone.requestCall
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

import structlog
from telethon import errors
from telethon.errors import RPCError
from telethon.tl import functions, types

from gateway.call.model import Party
from gateway.call.ports import Alerting, Media
from gateway.errors import CallError, Ending, HangupCause
from gateway.media.model import EngineServer, EngineSetup
from gateway.telegram import exchange
from gateway.telegram.account import SessionAccount
from gateway.telegram.causes import call_error, discard_reason, discarded, error_name
from gateway.telegram.resolve import forget, resolve
from gateway.telegram.signalling import OVER, Signalling

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: The only layer of the call protocol that today's apps speak.
#: Source: https://core.telegram.org/constructor/phoneCallProtocol
LAYER: Final = 92
#: A call is marked as received at this share of the time after which its caller gives up: 15 of 20 seconds.
RECEIVE_SHARE: Final = 0.75
#: A connection that ends like this may succeed with another media engine.
ENGINE_FAILED: Final = frozenset({HangupCause.MEDIA_LOST, HangupCause.INCOMPATIBLE_PEER})
#: How long a release waits for Telegram to take the discard; it goes on by itself after that.
RELEASE_S: Final = 2.0
#: When Telegram says that a call is over, its reason is on the way as an update.
REASON_S: Final = 0.5

Versions = Callable[[], Sequence[str]]


class TelegramLeg:
    """What both legs share: the story waits for what `hear` brings; the ending is guarded, and Telegram told once."""

    outgoing: bool

    def __init__(self, account: SessionAccount, versions: Versions) -> None:
        self.name = f"telegram account {account.account.id}"
        self._account = account
        self._book = account.book
        self._versions = versions
        self._media: Media | None = None
        self._peer: types.InputPhoneCall | None = None
        self._up_at: float | None = None
        self._news = asyncio.Event()
        self._ended: Ending | None = None
        self._gone: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._let_go: Ending | None = None  # by us
        self._left: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # done when we let go
        self._closed = False  # Telegram knows that the call is over, or is being told
        self._signalling: Signalling | None = None
        self._log = log.bind(account=account.account.id)

    # What the session asks

    async def ring(self) -> None:
        raise NotImplementedError("only a near leg is rung")

    async def answer(self) -> None:
        raise NotImplementedError("only a near leg is answered")

    async def dial(self, to: str, caller: Party, alerting: Alerting) -> None:
        raise NotImplementedError("only a far leg dials")

    async def released(self) -> Ending:
        return await asyncio.shield(self._gone)

    async def release(self, ending: Ending) -> None:
        if self._let_go is not None:
            return
        self._let_go = ending
        self._left.set_result(None)
        self._news.set()
        if self._media is not None:
            self._account.key_emoji.pop(self._media.call_id, None)
        if self._signalling is not None:
            self._signalling.close()
        if telling := self._discard(ending):
            # The discard belongs to the account, and goes on when we are cancelled, or tired of waiting.
            await asyncio.wait({telling}, timeout=RELEASE_S)

    def _discard(self, ending: Ending) -> asyncio.Task[None] | None:
        """Tell Telegram that the call is over, unless it knows, or there is none yet."""
        if self._closed or self._peer is None:
            return None
        self._closed = True
        self._book.close(self._peer.id)
        duration_s = round(time.monotonic() - self._up_at) if self._up_at is not None else 0
        return self._account.farewells.discard(self._peer, duration_s, discard_reason(ending.cause))

    # What the book says. Nothing here waits.

    def hear(self, call: Any) -> None:
        raise NotImplementedError

    def hear_signal(self, blob: bytes) -> None:
        if self._media is not None and self._let_go is None:
            self._media.hear_signal(blob)

    def hear_over(self, reason: Any) -> None:
        self._close()
        self._end(discarded(reason, outgoing=self.outgoing, up=self._up_at is not None))

    def check(self) -> None:
        # Telegram does not repeat what it said of calls while nobody listened.
        if self._signalling is not None:
            self._signalling.check()

    def abandon(self, detail: str) -> None:
        ending = Ending(HangupCause.OFFLINE, detail)
        self._discard(ending)
        self._end(ending)

    def _end(self, ending: Ending) -> None:
        """The story is over, and not by our will."""
        if self._ended is None:
            self._ended = ending
            self._gone.set_result(ending)
            self._news.set()

    def _close(self) -> None:
        """Telegram knows that the call is over."""
        if not self._closed and self._peer is not None:
            self._book.close(self._peer.id)
            self._account.farewells.call_over(self._peer.id)
        self._closed = True

    def _over(self, detail: str) -> None:
        """Telegram said in passing that the call is over: by an ordinary hang-up, as far as anyone knows."""
        self._close()
        self._end(Ending(HangupCause.NORMAL, detail))

    def _met(self, call: Any) -> bool:
        """Note the id that the call goes by. False when the call is not ours after all."""
        if self._peer is None:
            if not self._book.claim(call.id, self):
                return False
            self._peer = types.InputPhoneCall(call.id, call.access_hash)
            self._log = self._log.bind(telegram_call=call.id)
            self._account.farewells.call_began(self._peer)
        return bool(self._peer.id == call.id)

    # How the story waits

    def _stop(self) -> None:
        """Raises `CallError` when the call is over."""
        if self._ended is not None:
            raise CallError.of(self._ended)
        if self._let_go is not None:
            raise CallError(HangupCause.CANCELLED, "the leg was released")

    async def _until(self, found: Callable[[], T | None]) -> T:
        """Wait for something that `hear` brings. Raises `CallError` when the call ends before."""
        while True:
            self._stop()
            if (what := found()) is not None:
                return what
            self._news.clear()
            await self._news.wait()

    async def _unless_over(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something for as long as the call lives. Raises `CallError` when it ends before."""
        doing = asyncio.ensure_future(work)
        either: set[asyncio.Future[Any]] = {doing, self._gone, self._left}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                self._stop()
            return doing.result()
        finally:
            if not doing.done():
                doing.cancel()
                await asyncio.gather(doing, return_exceptions=True)

    async def _refused(self, error: Exception) -> CallError:
        """Why a request failed: if because the call is over, then why that is so."""
        name = error_name(error) if isinstance(error, RPCError) else ""
        if name in OVER and self._ended is None:
            await asyncio.wait({self._gone}, timeout=REASON_S)
            self.hear_over(None)
        if name == "CALL_ALREADY_ACCEPTED":
            self._close()  # by another device, whose call we must not discard
        if self._ended is not None:
            return CallError.of(self._ended)
        return call_error(error)

    # The steps of both stories

    def _protocol(self) -> types.PhoneCallProtocol:
        return types.PhoneCallProtocol(
            min_layer=LAYER, max_layer=LAYER, library_versions=list(self._versions()), udp_p2p=True, udp_reflector=True
        )

    async def _connect(self, call: types.PhoneCall, key: exchange.CallKey, g_a: bytes) -> None:
        """Both ends hold the key, which `g_a` began: connect the audio. Raises `CallError`."""
        assert self._media is not None
        if key.fingerprint != call.key_fingerprint:
            raise CallError(HangupCause.INTERNAL, "the two ends of the call hold different keys")
        self._stop()  # or nobody would close what is opened from here on
        self._account.key_emoji[self._media.call_id] = exchange.key_emoji(key.key, g_a)
        self._up_at = time.monotonic()
        self._log.info("call established", versions=call.protocol.library_versions, p2p=bool(call.p2p_allowed))
        self._signalling = Signalling(self._account, self._peer, self._over)
        user_id = call.participant_id if self.outgoing else call.admin_id
        setup = EngineSetup(
            key=key.key,
            outgoing=self.outgoing,
            servers=tuple(_server(connection) for connection in call.connections),
            versions=tuple(call.protocol.library_versions),
            p2p_allowed=bool(call.p2p_allowed),
            custom_parameters=call.custom_parameters.data if call.custom_parameters else None,
            spare_for=self._account.engine_failures.get(user_id, ""),
        )
        try:
            await self._unless_over(self._media.connect(setup, self._signalling.say))
        except CallError as failed:
            if failed.ending.cause in ENGINE_FAILED:
                # The next call with him is the other engine's.
                if self._account.engine_failures.pop(user_id, None) is None:
                    self._account.engine_failures[user_id] = failed.ending.cause.value
                self._log.warning("media engine failed with a user", user_id=user_id, by_spare=bool(setup.spare_for))
            raise


class NearLeg(TelegramLeg):
    """A user calls the session account."""

    outgoing = False

    def __init__(self, account: SessionAccount, versions: Versions, requested: types.PhoneCallRequested) -> None:
        super().__init__(account, versions)
        self._requested = requested
        self._established: types.PhoneCall | None = None
        self._ringing: asyncio.Task[None] | None = None
        self._met(requested)

    def accept(self, media: Media) -> NearLeg:
        """The switchboard takes the call, on this audio."""
        self._media = media
        if self._account.account.call_limit != 1:
            self._ringing = self._account.spawn(self._received_in_time(), "receive a call in time")
        return self

    def hear(self, call: Any) -> None:
        if isinstance(call, types.PhoneCall):
            self._established = call
            self._news.set()

    async def ring(self) -> None:
        """Let the caller see that it rings, at once only where the account takes one call.

        Telegram refuses the account's other callers from then on until this call ends (K3), so it is put off; but not
        for ever: a caller whose call nobody has received gives up, and a PBX may well ring longer than that.
        """
        if self._account.account.call_limit == 1:
            await self._received()

    async def _received_in_time(self) -> None:
        age = self._account.server_now() - self._requested.date
        await asyncio.sleep(max(0.0, self._account.receive_s * RECEIVE_SHARE - age.total_seconds()))
        await self._received()

    async def _received(self) -> None:
        try:
            await self._account.ask(functions.phone.ReceivedCallRequest(self._peer))
        except (RPCError, OSError, TimeoutError) as failed:
            # The caller hears nothing until the answer, which is no reason to end the call.
            self._log.warning("ringback was not given", error=str(call_error(failed)))

    async def release(self, ending: Ending) -> None:
        self._stop_ringing()
        await super().release(ending)

    def _stop_ringing(self) -> None:
        if self._ringing is not None:
            self._ringing.cancel()

    async def answer(self) -> None:
        self._stop()
        self._stop_ringing()
        try:
            secret = await self._account.begin_exchange()
            await self._accept(secret)
            call = await self._confirmed()
            exchange.check_commitment(self._requested.g_a_hash, call.g_a_or_b)
            key = exchange.agree(secret, call.g_a_or_b)
        except (RPCError, OSError, TimeoutError, exchange.ExchangeError) as failed:
            raise await self._refused(failed) from failed
        await self._connect(call, key, call.g_a_or_b)

    async def _confirmed(self) -> types.PhoneCall:
        try:
            async with asyncio.timeout(self._account.settings.establish_timeout_s):
                return await self._until(lambda: self._established)
        except TimeoutError:
            raise CallError(HangupCause.MEDIA_LOST, "the caller's app did not confirm the call") from None

    async def _accept(self, secret: exchange.Secret) -> None:
        request = functions.phone.AcceptCallRequest(self._peer, secret.public, self._protocol())
        try:
            await self._account.ask(request)
        except (OSError, TimeoutError):
            # Taken or not, we don't know. If it was, then the call is established by our first attempt.
            try:
                await self._account.ask_when_back(request, unless=lambda: self._let_go is not None)
            except errors.CallAlreadyAcceptedError:
                self._log.info("accepted call was adopted")


class FarLeg(TelegramLeg):
    """We call a user."""

    outgoing = True

    def __init__(self, account: SessionAccount, versions: Versions, media: Media) -> None:
        super().__init__(account, versions)
        self._media = media
        self._ringing = False
        self._accepted: types.PhoneCallAccepted | None = None

    def hear(self, call: Any) -> None:
        match call:
            case types.PhoneCallDiscarded():
                self.hear_over(call.reason)
            case types.PhoneCallWaiting() if self._met(call):
                self._ringing |= call.receive_date is not None
            case types.PhoneCallAccepted() if self._met(call):
                self._accepted = call
        if over := self._let_go or self._ended:
            # The request came to be a call after it was given up: nobody's phone may go on ringing.
            self._discard(over)
        self._news.set()

    async def dial(self, to: str, caller: Party, alerting: Alerting) -> None:
        if not self._account.is_online:
            raise CallError(HangupCause.OFFLINE, f"the session account is offline: {self._account.status.detail}")
        try:
            self._account.check_flood(functions.phone.RequestCallRequest)
            user = await resolve(self._account, to)
            secret = await self._account.begin_exchange()
        except (RPCError, OSError, TimeoutError, exchange.ExchangeError) as failed:
            raise call_error(failed) from failed
        self._stop()
        self._account.spawn(self._request(to, user, secret), "request a call")
        await self._until(lambda: self._ringing or self._accepted or None)
        if self._ringing:
            await alerting()
        accepted = await self._until(lambda: self._accepted)
        try:
            key = exchange.agree(secret, accepted.g_b)
            call = await self._confirm(secret, key)
        except (RPCError, OSError, TimeoutError, exchange.ExchangeError) as failed:
            raise await self._refused(failed) from failed
        await self._connect(call, key, secret.public)

    async def _request(self, to: str, user: types.InputUser, secret: exchange.Secret) -> None:
        """Ask for the call. Outlives a dial that is given up meanwhile: the call may have come to be."""
        if self._let_go is not None:
            return
        request = functions.phone.RequestCallRequest(
            user,
            exchange.commitment(secret.public),
            self._protocol(),
            random_id=secrets.randbits(31),
        )
        user_id, lost = user.user_id, False
        self._book.place(user_id, self)
        try:
            try:
                answer = await self._account.ask(request)
            except (OSError, TimeoutError):
                lost = True
                answer = await self._account.ask_when_back(request, unless=lambda: self._let_go is not None)
            self.hear(answer.phone_call)
            self._book.recall(answer.phone_call.id)
        except errors.RandomIdDuplicateError:
            # It was carried out, and the answer lost: the call is adopted with the first news of it.
            self._log.info("answer to a call request was lost")
        except (RPCError, OSError, TimeoutError) as failed:
            if isinstance(failed, errors.UserIdInvalidError):
                await forget(self._account, to)
            if self._peer is None:
                self._end(call_error(failed).ending)
        finally:
            self._book.answered(user_id, self, lost=lost and self._peer is None)

    async def _confirm(self, secret: exchange.Secret, key: exchange.CallKey) -> types.PhoneCall:
        request = functions.phone.ConfirmCallRequest(self._peer, secret.public, key.fingerprint, self._protocol())
        answer = await self._account.ask_again(request, unless=lambda: bool(self._let_go or self._ended))
        call = answer.phone_call
        if not isinstance(call, types.PhoneCall):
            raise CallError(HangupCause.CONGESTION, f"Telegram confirmed the call with {type(call).__name__}")
        return call


class OfflineLeg:
    """The leg of an account that is switched off."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def ring(self) -> None:
        self._refuse()

    async def answer(self) -> None:
        self._refuse()

    async def dial(self, to: str, caller: Party, alerting: Alerting) -> None:
        self._refuse()

    async def released(self) -> Ending:
        never: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        return await never

    async def release(self, ending: Ending) -> None:
        return

    def _refuse(self) -> None:
        raise CallError(HangupCause.OFFLINE, "the session account is switched off")


def _server(connection: Any) -> EngineServer:
    """Source: https://core.telegram.org/type/PhoneConnection"""
    if isinstance(connection, types.PhoneConnectionWebrtc):
        return EngineServer(
            id=connection.id,
            ipv4=connection.ip,
            ipv6=connection.ipv6,
            port=connection.port,
            username=connection.username,
            password=connection.password,
            turn=bool(connection.turn),
            stun=bool(connection.stun),
        )
    return EngineServer(
        id=connection.id,
        ipv4=connection.ip,
        ipv6=connection.ipv6,
        port=connection.port,
        peer_tag=connection.peer_tag,
        turn=True,
        tcp=bool(connection.tcp),
    )

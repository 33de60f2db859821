"""Links to a page where the password of two-step verification is typed (C4): in memory alone, as the logins are.

A link is a secret. It is good for one login of one administrator, for a short time, for a few attempts, and for one
success; whoever begins the login anew, or gives it up, has voided it.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import structlog

from gateway.control.asking import Administrator
from gateway.control.logins import LoggedIn, Login, Logins, Refusal, Refused, Step
from gateway.control.views import AccountView
from gateway.errors import GatewayError

log = structlog.get_logger(__name__)

#: Time to find the password, and not to forget the page.
LIVE_S: Final = 600.0
#: Telegram itself allows a few more, and then none for a day.
TRIES: Final = 5
#: 192 bits: nobody guesses it.
TOKEN_BYTES: Final = 24

#: These were no attempt at the password.
_NO_TRY: Final = frozenset({Refusal.OFFLINE})

Keep = Callable[[Administrator, LoggedIn], Awaitable[AccountView]]


class LinkState(enum.StrEnum):
    OPEN = "open"  # the password is wanted
    CONNECTING = "connecting"  # it was right
    CONNECTED = "connected"
    REFUSED = "refused"  # the password was right, and the account is not connected all the same
    SPENT = "spent"  # too many wrong ones
    EXPIRED = "expired"  # or void: the login is over


@dataclass(eq=False, slots=True)
class PasswordLink:
    """One link.

    Attributes:
        form: A second secret, that only the page itself knows.
        hint: What the account's owner set to remember the password by.
        refused: Why the last attempt failed.
    """

    token: str = field(repr=False)
    form: str = field(repr=False)
    asker: Administrator
    login: Login = field(repr=False)
    hint: str
    language: str
    state: LinkState = LinkState.OPEN
    tries_left: int = TRIES
    refused: Refused | None = None
    account: AccountView | None = None
    error: GatewayError | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    over: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def end(self, state: LinkState) -> None:
        self.state = state
        self.over.set()


class PasswordLinks:
    """Opened with `async with`.

    Args:
        public_url: Where the pages are reached from outside.
        keep: Takes a login over, for good.
    """

    def __init__(self, public_url: str, logins: Logins, keep: Keep, live_s: float = LIVE_S) -> None:
        self._public_url = public_url
        self._logins = logins
        self._keep = keep
        self._live_s = live_s
        self._links: dict[bytes, PasswordLink] = {}  # by what is no secret: the token's digest
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for digest in tuple(self._links):
            self._drop(digest)
        await self._tasks.__aexit__(None, None, None)  # a login that was just made is kept first

    def wanted_by(self, asker: Administrator) -> Login | None:
        """The login that he holds, if it is one that wants a password."""
        login = self._logins.of(asker)
        return login if login is not None and login.step in (Step.PASSWORD, Step.RECOVERY) else None

    def make(self, asker: Administrator, hint: str, language: str) -> PasswordLink | None:
        """A link for the login that he holds. None when no password is wanted there.

        The one that he had is void; unless a password is just being tried by it: then it is that one.
        """
        if (login := self.wanted_by(asker)) is None:
            return None
        for digest, old in tuple(self._links.items()):
            if old.asker == asker and old.login is login and old.turn.locked():
                return old
            if old.asker == asker:
                self._drop(digest)
        link = PasswordLink(secrets.token_urlsafe(TOKEN_BYTES), secrets.token_urlsafe(16), asker, login, hint, language)
        digest = _digest(link.token)
        self._links[digest] = link
        self._logins.prolong(asker)
        asyncio.get_running_loop().call_later(self._live_s, self._drop, digest)
        log.info("password link was made", administrator=asker.id)
        return link

    def url(self, link: PasswordLink) -> str:
        return f"{self._public_url}/password/{link.token}"

    def open_for(self, asker: Administrator) -> PasswordLink | None:
        """The link that he could use now."""
        return next((link for link in self._links.values() if link.asker == asker and self._is_open(link)), None)

    def find(self, token: str) -> PasswordLink | None:
        """The link of a token, for as long as it is remembered; its state may be any."""
        link = self._links.get(_digest(token))
        if link is None or not hmac.compare_digest(link.token.encode(), token.encode(errors="replace")):
            return None
        self._is_open(link)
        return link

    async def submit(self, link: PasswordLink, password: str) -> None:
        """Try a password; what came of it is in the link. Goes on to its end when it is cancelled."""
        await asyncio.shield(self._tasks.create_task(self._guarded(link, password), name="password from a page"))

    async def _guarded(self, link: PasswordLink, password: str) -> None:
        try:
            await self._try(link, password)
        except Exception:  # at the task's outermost edge: other links are not to blame
            log.exception("password from a page failed by a fault of ours", administrator=link.asker.id)
            link.end(LinkState.EXPIRED)

    async def _try(self, link: PasswordLink, password: str) -> None:
        async with link.turn:
            if not self._is_open(link):
                return
            outcome = await link.login.password(password)
            if isinstance(outcome, LoggedIn):
                await self._connect(link, outcome)
                return
            link.refused = outcome
            log.info("password from a page was refused", administrator=link.asker.id, why=outcome.why.value)
            if outcome.why not in _NO_TRY:
                link.tries_left -= 1
            if not link.tries_left:
                link.end(LinkState.SPENT)
            elif _digest(link.token) not in self._links:  # its time was over meanwhile
                link.end(LinkState.EXPIRED)

    async def _connect(self, link: PasswordLink, login: LoggedIn) -> None:
        """The login is ours to keep; from here on it must not get lost."""
        link.state = LinkState.CONNECTING
        await self._logins.end(link.asker)
        try:
            link.account = await self._keep(link.asker, login)
        except GatewayError as error:
            link.error = error
            link.end(LinkState.REFUSED)
        else:
            link.end(LinkState.CONNECTED)

    def _is_open(self, link: PasswordLink) -> bool:
        if link.state is LinkState.OPEN and self._logins.of(link.asker) is not link.login:
            link.end(LinkState.EXPIRED)
        return link.state is LinkState.OPEN

    def _drop(self, digest: bytes) -> None:
        link = self._links.pop(digest, None)
        if link is not None and link.state is LinkState.OPEN and not link.turn.locked():
            link.end(LinkState.EXPIRED)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()

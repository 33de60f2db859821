"""The page where the password of two-step verification is typed, for whoever has a link of the bot's (C4).

It works on a phone and without JavaScript, asks nothing of anybody else, and is never kept by a browser.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from gateway.control.logins import Refusal
from gateway.control.password_links import LinkState, PasswordLink, PasswordLinks
from gateway.web.attempts import WINDOW_S, Attempts, client_address
from gateway.web.listening import listening
from gateway.web.settings import WebSettings
from gateway.web.words import Words, spoken_by, words_of

log = structlog.get_logger(__name__)

#: A password and two secrets.
BODY_BYTES: Final = 4096
#: Telegram says nothing of a limit; nobody types more.
PASSWORD_MAX: Final = 1024

_ROOM: Final = Path(__file__).parent
_PAGE: Final = string.Template((_ROOM / "page.html").read_text(encoding="utf-8"))
_STYLE: Final = (_ROOM / "page.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

#: Source: https://www.w3.org/TR/CSP3/, https://owasp.org/www-project-secure-headers/.
HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_COOKIE: Final = "form"
_SHOWN: Final = {
    LinkState.CONNECTED: HTTPStatus.OK,
    LinkState.REFUSED: HTTPStatus.OK,
    LinkState.SPENT: HTTPStatus.GONE,
    LinkState.EXPIRED: HTTPStatus.GONE,
}


@asynccontextmanager
async def pages(settings: WebSettings, links: PasswordLinks) -> AsyncIterator[int]:
    """Serve them for as long as the block lasts; gives the port. Raises `SettingsError`."""
    app = web.Application(client_max_size=BODY_BYTES)
    page = _PasswordPage(links, settings.public_url)
    app.add_routes([web.get(_PATH, page.show), web.post(_PATH, page.take)])
    app.on_response_prepare.append(_harden)
    async with listening(app, settings.host, settings.pages_port, "PAGES_PORT") as port:
        yield port


_PATH: Final = "/password/{token}"


async def _harden(_request: web.BaseRequest, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers["Server"] = "siptg"


class _PasswordPage:
    def __init__(self, links: PasswordLinks, public_url: str) -> None:
        self._links = links
        self._public = urlsplit(public_url)
        self._attempts = Attempts()

    async def show(self, request: web.Request) -> web.Response:
        """The form, or what has become of it. Shows the same however often it is asked."""
        link, refusal = self._found(request)
        if link is None:
            return refusal
        words = words_of(link.language)
        if link.state is LinkState.CONNECTING:
            response = _told(words, "connected", HTTPStatus.OK)
        elif link.state is LinkState.OPEN:
            response = _page(words, words("title"), _form(words, link))
            self._remember(link, response)
        else:
            response = _told(words, link.state.value, _SHOWN[link.state])
        return response

    async def take(self, request: web.Request) -> web.StreamResponse:
        """A password. Whatever comes of it is shown by `show`, so that a reload sends nothing again."""
        link, refusal = self._found(request)
        if link is None:
            return refusal
        if link.state is LinkState.OPEN:
            password = await self._password(request, link)
            if password is None:
                self._failed(request)
                words = words_of(link.language)
                response = _page(words, words("title"), _form(words, link, words("refusal-form")), HTTPStatus.FORBIDDEN)
                self._remember(link, response)
                return response
            await self._links.submit(link, password)
            if link.state in (LinkState.OPEN, LinkState.SPENT):
                self._failed(request)
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": self._links.url(link)})

    def _found(self, request: web.Request) -> tuple[PasswordLink | None, web.Response]:
        """The link, or what to say instead."""
        words = spoken_by(request.headers.get("Accept-Language", ""))
        if self._attempts.too_many(_address(request), asyncio.get_running_loop().time()):
            busy = _told(words, "busy", HTTPStatus.TOO_MANY_REQUESTS)
            busy.headers["Retry-After"] = f"{WINDOW_S:.0f}"
            return None, busy
        link = self._links.find(request.match_info["token"])
        if link is None:
            self._failed(request)
        return link, _told(words, "expired", HTTPStatus.NOT_FOUND)

    def _failed(self, request: web.Request) -> None:
        self._attempts.failed(_address(request), asyncio.get_running_loop().time())

    async def _password(self, request: web.Request, link: PasswordLink) -> str | None:
        """What was typed into our own form; None if it was not that."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return None
        if request.content_type != "application/x-www-form-urlencoded":
            return None
        sent = await request.post()
        proofs = (sent.get("form"), request.cookies.get(_COOKIE))
        if not all(hmac.compare_digest(str(proof).encode(errors="replace"), link.form.encode()) for proof in proofs):
            return None
        password = str(sent.get("password", ""))
        return password if len(password) <= PASSWORD_MAX else None

    def _remember(self, link: PasswordLink, response: web.Response) -> None:
        """Let the browser that shows the form be the one that sends it."""
        path = f"{self._public.path}/password/{link.token}"
        is_safe = self._public.scheme == "https"
        response.set_cookie(_COOKIE, link.form, path=path, secure=is_safe, httponly=True, samesite="Strict")


def _address(request: web.Request) -> str:
    # Some proxies add to the header that came, others add one more.
    return client_address(request.remote or "", ",".join(request.headers.getall("X-Forwarded-For", ())))


def _told(words: Words, what: str, status: HTTPStatus) -> web.Response:
    return _page(words, words(f"{what}-title"), f"<p>{escape(words(what))}</p>", status)


def _page(words: Words, title: str, content: str, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """`content` is HTML."""
    text = _PAGE.substitute(language=words.language, title=escape(title), style=_STYLE, content=content)
    return web.Response(text=text, content_type="text/html", status=status)


def _form(words: Words, link: PasswordLink, complaint: str = "") -> str:
    complaint = complaint or _complaint(words, link)
    parts = [
        f'<p class="alarm" role="alert">{escape(complaint)}</p>' if complaint else f"<p>{escape(words('open'))}</p>",
        f'<form method="post" action="{escape(link.token)}">',
        f'<input type="hidden" name="form" value="{escape(link.form)}">',
        f'<label for="password">{escape(words("password"))}</label>',
        '<input id="password" name="password" type="password" autocomplete="current-password" required autofocus'
        f' maxlength="{PASSWORD_MAX}">',
        f'<p class="dim">{escape(words("hint", hint=link.hint))}</p>' if link.hint else "",
        f"<button>{escape(words('submit'))}</button>",
        f'<p class="dim">{escape(words("forgotten"))}</p>',
        "</form>",
    ]
    return "\n".join(filter(None, parts))


def _complaint(words: Words, link: PasswordLink) -> str:
    """Why the last attempt failed, and how many are left."""
    refused = link.refused
    if refused is None:
        return ""
    match refused.why:
        case Refusal.WRONG_PASSWORD | Refusal.OFFLINE:
            text = words(f"refusal-{refused.why.value.replace('_', '-')}")
        case Refusal.FLOOD if refused.retry_after_s:
            text = words("refusal-flood-until", minutes=-(-refused.retry_after_s // 60))
        case Refusal.FLOOD:
            text = words("refusal-flood")
        case _:
            text = words("refusal-failed", detail=refused.detail or refused.why.value)
    return f"{text} {words('tries', tries=link.tries_left)}"

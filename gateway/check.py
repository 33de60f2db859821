"""What is missing for the gateway to run, in words: `siptg check`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from gateway.errors import GatewayError
from gateway.media.pool import MediaPool
from gateway.settings import Settings
from gateway.sip.embedded import find
from gateway.sip.listen import SipPorts
from gateway.storage.store import Store
from gateway.telegram.settings import DATA_CENTRE
from gateway.web.ports import check_free
from gateway.web.settings import WebSettings


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        advice: What to do about it; empty where all is well.
        needed: Whether the gateway does not run without it.
    """

    what: str
    found: str
    advice: str = ""
    needed: bool = True

    @property
    def well(self) -> bool:
        return not self.advice


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Look at everything in the order in which the gateway needs it. Starts nothing that stays."""
    yield _told("Telegram API id", lambda: _api(settings))
    yield await _telegram(settings)
    yield await _storage(settings)
    for finding in _sip(settings):
        yield finding
    yield await _media(settings)
    for finding in _web(settings.web):
        yield finding


def _told(what: str, look: Callable[[], str]) -> Finding:
    """A look that raises says what to do itself."""
    try:
        return Finding(what, look())
    except GatewayError as error:
        return Finding(what, "no", str(error))


async def _telegram(settings: Settings) -> Finding:
    """Whether Telegram can be reached, or the network that the settings name.

    A connection is opened, and closed unused: nothing is sent, nobody is logged in.
    """
    host, port = settings.telegram.address or DATA_CENTRE
    what = f"Telegram at {host}:{port}"
    try:
        async with asyncio.timeout(settings.telegram.connect_timeout_s):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
        await writer.wait_closed()
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "strerror", None) or "no answer"
        return Finding(what, str(reason), "Telegram can't be reached from here: check the network and its firewall.")
    return Finding(what, "reached; a connection was opened and closed, nothing was sent")


async def _storage(settings: Settings) -> Finding:
    try:
        async with Store(settings.storage, settings.state) as store:
            accounts, lines = await store.accounts.all(), await store.lines.all()
    except GatewayError as error:
        return Finding("store", "no", str(error))
    found = f"{settings.state}: {len(accounts)} accounts, {len(lines)} lines"
    if not accounts:
        return Finding("store", found, "There is no session account yet: siptg session login.", needed=False)
    if not lines:
        return Finding("store", found, "There is no line to a PBX yet: siptg line add.", needed=False)
    return Finding("store", found)


def _sip(settings: Settings) -> Iterator[Finding]:
    asterisk = settings.asterisk
    if asterisk.ari_url:
        yield Finding("Asterisk", f"your own, at {asterisk.ari_url}")
        return
    yield _told("Asterisk", lambda: find(asterisk.prefix).argv[0])
    ports = SipPorts(asterisk.udp_port, asterisk.tcp_port, asterisk.tls_port)
    yield _told("SIP ports", lambda: _free(ports, asterisk.bind))


def _api(settings: Settings) -> str:
    settings.telegram.require_api()
    return "set"


def _free(ports: SipPorts, bind: str) -> str:
    ports.check_free(bind)
    return "free: " + ", ".join(f"{name} {port}" for name, port in ports.fields().items())


async def _media(settings: Settings) -> Finding:
    try:
        async with MediaPool(settings.media) as pool:
            found = f"engine {pool.engine}, versions {', '.join(pool.versions)}"
    except GatewayError as error:
        return Finding("media", "no", str(error))
    return Finding("media", found)


def _web(web: WebSettings) -> Iterator[Finding]:
    """Nothing, unless something is to be served."""
    if (port := web.metrics_port) is not None:
        yield _told("/health and /metrics", lambda: _listens(web.host, port, "METRICS_PORT"))
    if web.public_url:
        yield _told(f"pages for {web.public_url}", lambda: _listens(web.host, web.pages_port, "PAGES_PORT"))


def _listens(host: str, port: int, setting: str) -> str:
    check_free(host, port, setting)
    return f"free: {host}:{port}" if port else f"any free port of {host}"

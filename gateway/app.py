"""The house: every part made, opened in the order of dependence, and closed in reverse."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Final, Self

import structlog

from gateway.call.model import Direction, Transport
from gateway.call.switchboard import Switchboard
from gateway.control.accounts import Accounts
from gateway.control.calls import Calls
from gateway.control.handovers import Handovers
from gateway.control.lines import Lines, Offered
from gateway.control.logins import Logins
from gateway.control.notices import Notices
from gateway.control.ownership import own
from gateway.control.password_links import PasswordLinks
from gateway.control.recommendations import Recommendations
from gateway.control.roster import Roster
from gateway.control.routings import Routings
from gateway.control.serving import serving
from gateway.control.subscriptions import Subscriptions
from gateway.control.use_cases import UseCases
from gateway.control.views import LiveCall
from gateway.control.vitals import Vitals
from gateway.control.watchman import Watchman
from gateway.media.pool import MediaPool
from gateway.provisioning.provisioner import Provisioner
from gateway.settings import Settings
from gateway.sip.embedded import Asterisk
from gateway.sip.listen import SipPorts, own_address
from gateway.sip.side import SipSide
from gateway.storage.store import Store
from gateway.telegram.login import Login, log_out
from gateway.telegram.model import AccountState, AccountStatus
from gateway.telegram.side import TelegramSide

log = structlog.get_logger(__name__)

#: Hundreds of lines take a few seconds; a start does not wait longer for an Asterisk that can't be configured.
LINES_S: Final = 10.0


class Gateway:
    """A node, open for as long as the block lasts. Its parts are attributes, for faces, the demo and tests.

    On the way out, calls that still run are ended, and both sides told.
    """

    store: Store
    asterisk: Asterisk
    provisioner: Provisioner
    pool: MediaPool
    board: Switchboard
    notices: Notices
    watchman: Watchman
    subscriptions: Subscriptions
    recommendations: Recommendations
    sip: SipSide
    telegram: TelegramSide
    accounts: Accounts
    lines: Lines
    calls: Calls
    use_cases: UseCases
    metrics_port: int | None = None
    password_links: PasswordLinks | None = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._house = AsyncExitStack()
        self._status_news = asyncio.Event()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as house:
            await self._open(house)
            self._house = house.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._house.__aexit__(kind, error, trace)

    async def _open(self, house: AsyncExitStack) -> None:
        settings = self.settings
        settings.telegram.require_api()
        house.enter_context(own(settings.state))
        self.store = await house.enter_async_context(Store(settings.storage, settings.state))
        roster = Roster()
        await roster.load(self.store)
        self.pool = await house.enter_async_context(MediaPool(settings.media))
        self.board = await house.enter_async_context(
            Switchboard(roster, self.pool, self.store.records, settings.call.limits, settings.call.limit)
        )
        self.notices = await house.enter_async_context(Notices(self.store, roster))
        self.watchman = await house.enter_async_context(
            Watchman(self.store, roster, self.notices, settings.control.line_settle_s)
        )
        self.subscriptions = await house.enter_async_context(Subscriptions(self.store, roster, self.board.hang_up))
        self.board.admit_by(self.subscriptions)
        self.board.watch(self.subscriptions.moved)
        self.board.watch(self.watchman.call_moved)
        self.asterisk = await house.enter_async_context(Asterisk(settings.asterisk, settings.state / "asterisk"))
        self.provisioner = await house.enter_async_context(
            Provisioner(lambda: self.asterisk.ami, self.asterisk.log_file if self.asterisk.embedded else None)
        )
        self.provisioner.watch(self.watchman.line_changed)
        self.sip = await house.enter_async_context(SipSide(self.asterisk, self.board))
        self.telegram = await house.enter_async_context(
            TelegramSide(
                settings.telegram, self.store.telegram, self.board, lambda: self.pool.versions, self._status_changed
            )
        )
        self.recommendations = await house.enter_async_context(
            Recommendations(self.store, roster, self.telegram.account, self.notices)
        )
        self.board.connect(Direction.SIP_TO_TELEGRAM, self.telegram)
        self.board.connect(Direction.TELEGRAM_TO_SIP, self.sip)
        house.push_async_callback(self.board.drain, 0)
        self.use_cases = use_cases = _use_cases(
            settings, self.store, roster, self, self.notices, self.subscriptions, self.recommendations
        )
        self.accounts, self.lines, self.calls = use_cases.accounts, use_cases.lines, use_cases.calls
        await use_cases.routings.apply()
        await self.lines.apply()
        await self.provisioner.settled(LINES_S)  # a PBX that registers at once must not be turned away
        if settings.web.metrics_port is not None:
            await self._open_watching(house, settings.web.metrics_port)
        self.accounts.bring_online()
        await house.enter_async_context(serving(settings.state, use_cases))
        if settings.bot.token.get_secret_value():
            await self._open_bot(house)

    async def _open_bot(self, house: AsyncExitStack) -> None:
        from gateway.bot.face import AdministratorBot  # noqa: PLC0415 - with aiogram it is 27 MB and 1 s

        bot, telegram = self.settings.bot, self.settings.telegram
        logins = await house.enter_async_context(Logins(lambda: Login(telegram), bot.forget_login_s))
        self.password_links = links = await self._open_pages(house, logins)
        await house.enter_async_context(
            AdministratorBot(bot, self.settings.control.admits, self.store.conversations, self.use_cases, logins, links)
        )

    async def _open_watching(self, house: AsyncExitStack, port: int) -> None:
        from gateway.web.metrics import Metrics  # noqa: PLC0415 - costs a gateway without it nothing
        from gateway.web.watching import watching  # noqa: PLC0415

        vitals = Vitals(self.store, self.accounts, self.lines, self.board, self.pool, self.asterisk, self.sip)
        metrics = Metrics(vitals.signs)
        self.metrics_port = await house.enter_async_context(watching(self.settings.web.host, port, vitals, metrics))
        self.board.watch(metrics.call_moved)

    async def _open_pages(self, house: AsyncExitStack, logins: Logins) -> PasswordLinks | None:
        """The page for passwords, where it can be reached from outside."""
        settings = self.settings.web
        if not settings.public_url:
            return None
        from gateway.web.pages import pages  # noqa: PLC0415 - costs a gateway without it nothing

        links = await house.enter_async_context(PasswordLinks(settings.public_url, logins, self.accounts.keep))
        await house.enter_async_context(pages(settings, links))
        return links

    async def online(self, account_id: int) -> None:
        """Wait until an account is online."""
        while self.telegram.status(account_id).state is not AccountState.ONLINE:
            self._status_news.clear()
            await self._status_news.wait()

    def _status_changed(self, account_id: int, status: AccountStatus) -> None:
        self._status_news.set()
        self.watchman.status_changed(account_id, status)
        self.recommendations.status_changed(account_id, status)


async def serve(settings: Settings) -> None:
    """Run a node until it is told to stop: SIGTERM drains first, SIGINT stops now, and so does a second signal."""
    loop = asyncio.get_running_loop()
    stop, now = asyncio.Event(), asyncio.Event()

    def told_to_stop(at_once: bool) -> None:
        if at_once or stop.is_set():
            now.set()
        stop.set()

    async with Gateway(settings) as gateway:
        for sign, at_once in ((signal.SIGTERM, False), (signal.SIGINT, True)):
            loop.add_signal_handler(sign, told_to_stop, at_once)
        log.info("gateway is up", **gateway.asterisk.ports.fields())
        await stop.wait()
        log.info("gateway is draining", calls=len(gateway.board.calls), seconds=settings.call.drain_s)
        ways_out = [
            asyncio.create_task(gateway.board.drain(settings.call.drain_s), name="drain"),
            asyncio.create_task(now.wait(), name="stop now"),
        ]
        await asyncio.wait(ways_out, return_when=asyncio.FIRST_COMPLETED)
        for task in ways_out:
            task.cancel()
        await asyncio.gather(*ways_out, return_exceptions=True)
    log.info("gateway stopped")


@asynccontextmanager
async def store_alone(settings: Settings) -> AsyncIterator[UseCases]:
    """The use-cases where no gateway runs: they change the store, and its next start applies it."""
    async with Store(settings.storage, settings.state) as store:
        roster = Roster()
        await roster.load(store)
        async with (
            Notices(store, roster) as notices,
            Subscriptions(store, roster) as subscriptions,
            Recommendations(store, roster, lambda account_id: None, notices) as recommendations,
        ):
            yield _use_cases(settings, store, roster, None, notices, subscriptions, recommendations)


def _use_cases(
    settings: Settings,
    store: Store,
    roster: Roster,
    gateway: Gateway | None,
    notices: Notices,
    subscriptions: Subscriptions,
    recommendations: Recommendations,
) -> UseCases:
    lines = Lines(store, roster, gateway.provisioner if gateway else None, _offered(settings, gateway))
    accounts = Accounts(
        store,
        roster,
        lines,
        gateway.telegram if gateway else None,
        lambda secret: log_out(settings.telegram, secret),
        calls_of=gateway.board.calls_of if gateway else lambda account_id: 0,
    )
    handovers = Handovers(store, roster, accounts, notices, settings.control.admits)
    calls = Calls(
        store, roster, (lambda: _living(gateway)) if gateway else None, gateway.pool.look if gateway else None
    )
    by_administrators = settings.control.routing_by == "administrators"
    routings = Routings(store, roster, gateway.provisioner if gateway else None, by_administrators=by_administrators)
    return UseCases(accounts, lines, calls, handovers, subscriptions, recommendations, notices, routings)


def _living(gateway: Gateway) -> Iterator[LiveCall]:
    for call_id, call in gateway.board.calls.items():
        yield LiveCall(call.record, call.state, gateway.telegram.key_emoji(call_id))


def _offered(settings: Settings, gateway: Gateway | None) -> Offered:
    """Where a PBX reaches us: the address outside, or this host's own."""
    sip = settings.asterisk
    host = sip.external_address or (own_address() if sip.bind in ("", "0.0.0.0", "::") else sip.bind)

    def offered(transport: Transport) -> tuple[str, int] | None:
        ports = gateway.asterisk.ports if gateway else SipPorts(sip.udp_port, sip.tcp_port, sip.tls_port)
        port = {Transport.UDP: ports.udp, Transport.TCP: ports.tcp, Transport.TLS: ports.tls}[transport]
        return None if port is None else (host, port)

    return offered

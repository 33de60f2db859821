"""The card of a session account: how it is, its settings, handing it over, disconnecting it."""

from __future__ import annotations

from typing import Final

from aiogram import F, Router

from gateway.bot.data import CallsOf, LinesOf, SessionAct, SessionDo, SessionLimit, SessionTo
from gateway.bot.screen import Button, Screen, button, grid
from gateway.bot.sessions import light, sessions_screen, title, to_sessions
from gateway.bot.visit import Visit
from gateway.bot.words import Html, Words, joined
from gateway.control.door import AccountView, SubscriptionView, UseCases

router = Router(name="card")

LIMITS: Final = (1, 2, 5, 10, 20, 50)


def to_session(words: Words, account_id: int) -> Button:
    return button(words.label("back"), SessionTo(id=account_id))


def status_text(words: Words, view: AccountView) -> Html:
    status = view.status
    until = words("status-until", when=f"{status.until:%Y-%m-%d %H:%M} UTC") if status.until else ""
    return joined(
        words("session-status", light=light(view), status=words.word(status.state)),
        until or (words("session-detail", detail=words.said(status.detail)) if status.detail else ""),
        words("session-calls", calls=view.calls, limit=view.account.call_limit),
        by="\n",
    )


def card_screen(visit: Visit, house: UseCases, account_id: int) -> Screen:
    words = visit.words
    view = house.accounts.show(visit.asker, account_id)
    account = view.account
    subscription = house.subscriptions.mine(visit.asker)

    def act(key: str, what: SessionAct) -> Button:
        return button(words.label(key), SessionDo(id=account_id, act=what))

    return Screen(
        joined(
            words(
                "session-title",
                name=title(view),
                phone=account.phone,
                username=f"@{account.username}" if account.username else "",
            ),
            status_text(words, view),
            subscription_text(words, view, subscription),
            words("session-offered", id=str(view.handover.to_id)) if view.handover is not None else "",
        ),
        [
            [
                act("switch-on", SessionAct.OFF) if account.enabled else act("switch-off", SessionAct.ON),
                button(
                    words.label("session-limit", limit=account.call_limit),
                    SessionDo(id=account_id, act=SessionAct.LIMIT),
                ),
            ],
            [
                button(words.label("session-lines", lines=view.lines), LinesOf(session=account_id)),
                button(words.label("to-calls"), CallsOf(session=account_id)),
            ],
            [act("session-chat", SessionAct.CHAT), act("session-recommended", SessionAct.RECOMMENDED)],
            [_sharing(words, view)] if subscription is not None else [],
            [act("session-handover", SessionAct.HANDOVER), act("session-disconnect", SessionAct.DISCONNECT)],
            [to_sessions(words), button(words.label("refresh"), SessionTo(id=account_id))],
        ],
    )


def subscription_text(words: Words, view: AccountView, mine: SubscriptionView | None) -> Html | str:
    """What the subscription allows, and whether it covers this session; nothing where nothing is limited."""
    if mine is None:
        return ""
    limits = mine.subscription
    without = words.label("unlimited")
    return joined(
        words(
            "subscription",
            calls=without if limits.calls is None else str(limits.calls),
            sessions=without if limits.sessions is None else str(limits.sessions),
            used=str(round(mine.used_s / 60)),
            minutes=without if limits.minutes is None else str(limits.minutes),
            expires=f"{limits.expires_at:%Y-%m-%d}" if limits.expires_at else without,
        ),
        "" if view.coverage.allows_calls else words("subscription-trouble", trouble=words.word(view.coverage)),
        by="\n",
    )


def _sharing(words: Words, view: AccountView) -> Button:
    if view.shares_subscription:
        return button(words.label("share-on"), SessionDo(id=view.account.id, act=SessionAct.SHARE_NOT))
    return button(words.label("share-off"), SessionDo(id=view.account.id, act=SessionAct.SHARE))


def show_card(visit: Visit, house: UseCases, account_id: int) -> Screen:
    """The card, following the session's state while the person looks at it."""
    screen = card_screen(visit, house, account_id)
    visit.follow(lambda: card_screen(visit, house, account_id))
    return screen


@router.callback_query(SessionTo.filter())
async def show_session(_event: object, visit: Visit, house: UseCases, callback_data: SessionTo) -> Screen:
    return show_card(visit, house, callback_data.id)


@router.callback_query(SessionDo.filter(F.act.in_({SessionAct.ON, SessionAct.OFF})))
async def switch(_event: object, visit: Visit, house: UseCases, callback_data: SessionDo) -> Screen:
    await house.accounts.enable(visit.asker, callback_data.id, callback_data.act is SessionAct.ON)
    return show_card(visit, house, callback_data.id)


@router.callback_query(SessionDo.filter(F.act.in_({SessionAct.SHARE, SessionAct.SHARE_NOT})))
async def share(_event: object, visit: Visit, house: UseCases, callback_data: SessionDo) -> Screen:
    await house.accounts.share_subscription(visit.asker, callback_data.id, callback_data.act is SessionAct.SHARE)
    return show_card(visit, house, callback_data.id)


@router.callback_query(SessionDo.filter(F.act == SessionAct.LIMIT))
async def ask_limit(_event: object, visit: Visit, house: UseCases, callback_data: SessionDo) -> Screen:
    words = visit.words
    view = house.accounts.show(visit.asker, callback_data.id)
    options = (
        button(f"✅ {n}" if n == view.account.call_limit else str(n), SessionLimit(id=view.account.id, calls=n))
        for n in LIMITS
    )
    return Screen(
        words("session-limit-ask", name=title(view)), [*grid(options, 3), [to_session(words, view.account.id)]]
    )


@router.callback_query(SessionLimit.filter())
async def set_limit(_event: object, visit: Visit, house: UseCases, callback_data: SessionLimit) -> Screen:
    await house.accounts.limit(visit.asker, callback_data.id, callback_data.calls)
    visit.say(visit.words.label("saved"))
    return show_card(visit, house, callback_data.id)


@router.callback_query(SessionDo.filter(F.act == SessionAct.DISCONNECT))
async def ask_disconnect(_event: object, visit: Visit, house: UseCases, callback_data: SessionDo) -> Screen:
    words = visit.words
    view = house.accounts.show(visit.asker, callback_data.id)
    account_id = view.account.id
    keep = button(words.label("disconnect-keep"), SessionDo(id=account_id, act=SessionAct.DISCONNECT_KEEP))
    everything = button(
        words.label("disconnect-all", lines=view.lines), SessionDo(id=account_id, act=SessionAct.DISCONNECT_ALL)
    )
    rows = [[keep], [everything] if view.lines else [], [to_session(words, account_id)]]
    return Screen(words("disconnect-sure", name=title(view), lines=view.lines), rows)


@router.callback_query(SessionDo.filter(F.act.in_({SessionAct.DISCONNECT_KEEP, SessionAct.DISCONNECT_ALL})))
async def disconnect(_event: object, visit: Visit, house: UseCases, callback_data: SessionDo) -> Screen:
    with_lines = callback_data.act is SessionAct.DISCONNECT_ALL
    house.accounts.show(visit.asker, callback_data.id)
    await visit.acknowledge()
    await house.accounts.log_out(visit.asker, callback_data.id, with_lines=with_lines)
    screen = sessions_screen(visit, house)
    return Screen(joined(visit.words("disconnected"), screen.text), screen.rows)

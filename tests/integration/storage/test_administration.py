"""What administrators do is kept, on either database."""

from __future__ import annotations

import datetime as dt

from gateway.call.model import Account, Line, LineKind
from gateway.storage.model import Handover, Job, KeptNotice, Subscription
from gateway.storage.store import Store

NOW = dt.datetime(2026, 11, 23, 12, 30, 15, 250_000, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(hours=24)


async def account(store: Store, user_id: int = 1000) -> int:
    return (await store.accounts.keep(Account(0, "4930", user_id), b"secret")).id


async def test_what_is_kept_beside_an_account_is_its_default_until_it_is_set(store: Store) -> None:
    account_id = await account(store)
    [stored] = await store.accounts.all()
    assert (stored.kept_by, dict(stored.chat), stored.shares_subscription) == ("gateway", {}, True)
    await store.accounts.save_chat(account_id, {"redial": True, "autoreply_text": "ждите"})
    await store.accounts.save_sharing(account_id, False)
    await account(store)  # a new login of the same user leaves all that
    [stored] = await store.accounts.all()
    assert (dict(stored.chat), stored.shares_subscription) == ({"redial": True, "autoreply_text": "ждите"}, False)


async def test_a_line_s_recipe_and_whether_it_worked(store: Store) -> None:
    line = await store.lines.add(Line(0, await account(store), "x", LineKind.TRUNK, host="127.0.0.1"))
    assert (await store.lines.recipes(), await store.lines.worked()) == ({}, set())
    await store.lines.save_recipe(line.id, {"kind": "number", "number": "200"})
    await store.lines.save_worked(line.id)
    await store.lines.save(line)  # an edit leaves both
    assert await store.lines.recipes() == {line.id: {"kind": "number", "number": "200"}}
    assert await store.lines.worked() == {line.id}
    await store.lines.save_recipe(line.id, None)
    assert await store.lines.recipes() == {}
    assert await store.lines.all() == [line]


async def test_an_account_is_offered_to_one_at_a_time(store: Store) -> None:
    account_id = await account(store)
    await store.handovers.save(Handover(account_id, None, 2, NOW))
    await store.handovers.save(Handover(account_id, 1, 3, LATER))
    assert await store.handovers.all() == [Handover(account_id, 1, 3, LATER)]
    await store.handovers.delete(account_id)
    assert await store.handovers.all() == []


async def test_subscriptions_and_what_was_used_of_them(store: Store) -> None:
    await store.subscriptions.save(Subscription(0, sessions=1))
    await store.subscriptions.save(Subscription(2**40, calls=5, minutes=600, expires_at=LATER))
    await store.subscriptions.save(Subscription(2**40, calls=6, expires_at=NOW))
    assert await store.subscriptions.all() == [
        Subscription(0, sessions=1),
        Subscription(2**40, calls=6, expires_at=NOW),
    ]
    await store.subscriptions.delete(0)
    assert len(await store.subscriptions.all()) == 1
    for seconds in (10.5, 20.0):
        await store.subscriptions.add_usage(2**40, "2026-11", seconds)
    await store.subscriptions.add_usage(2**40, "2026-12", 1.0)
    assert await store.subscriptions.usage("2026-11") == {2**40: 30.5}


async def test_jobs_are_found_by_their_kind_the_first_due_first(store: Store) -> None:
    account_id = await account(store)
    late, soon = Job("k", account_id, "b", LATER, 0, ""), Job("k", account_id, "a", NOW, 1, "FRESH")
    for job in (late, soon, Job("other", account_id, "a", NOW, 0, "")):
        await store.jobs.save(job)
    assert await store.jobs.all("k") == [soon, late]
    await store.jobs.save(soon._replace(due_at=LATER + dt.timedelta(1), attempts=2))
    assert [job.attempts for job in await store.jobs.all("k")] == [0, 2]
    await store.jobs.delete(late)
    assert len(await store.jobs.all("k")) == 1


async def test_notices_are_changed_in_one_step(store: Store) -> None:
    account_id = await account(store)
    one = KeptNotice("a", "flood", account_id, "", {"until": "x"}, NOW, LATER, None, None, False)
    two = KeptNotice("b", "line_down", account_id, "17", {}, LATER, LATER, 5, 2**40, True)
    await store.notices.change([one, two], [])
    assert await store.notices.all() == [one, two]
    await store.notices.change([two._replace(told_to=7)], ["a", "unheard of"])
    assert await store.notices.all() == [two._replace(told_to=7)]


async def test_a_deleted_account_takes_all_of_it_along(store: Store) -> None:
    account_id, other = await account(store), await account(store, 1001)
    for owner in (account_id, other):
        await store.handovers.save(Handover(owner, 1, 2, NOW))
        await store.jobs.save(Job("k", owner, "a", NOW, 0, ""))
        await store.notices.change([KeptNotice(f"n{owner}", "flood", owner, "", {}, NOW, NOW, None, None, False)], [])
    await store.accounts.delete(account_id)
    assert [one.account_id for one in await store.handovers.all()] == [other]
    assert [one.account_id for one in await store.jobs.all("k")] == [other]
    assert [one.account_id for one in await store.notices.all()] == [other]

"""The tables. What a change of them needs is a migration of the next number."""

from __future__ import annotations

import datetime as dt
from typing import Final

import sqlalchemy as sa

#: SQLite counts its own ids only in a column of exactly this type.
Id: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class UtcTime(sa.TypeDecorator[dt.datetime]):
    """A moment, in UTC on the way in and out; SQLite, which knows no zones, keeps it bare."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        if value is None:
            return None
        utc = value.astimezone(dt.UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _account_key() -> sa.ForeignKey:
    return sa.ForeignKey("accounts.id", ondelete="CASCADE")


accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("phone", sa.Text, nullable=False),
    sa.Column("user_id", sa.BigInteger, nullable=False, unique=True),
    sa.Column("username", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("administrator_id", sa.BigInteger, index=True),
    sa.Column("call_limit", sa.Integer, nullable=False),
    # "gateway", or "own": the customer's broker keeps the session, and we keep none (C2).
    sa.Column("kept_by", sa.Text, nullable=False, server_default="gateway"),
    # Sealed; NULL while the account is not logged in.
    sa.Column("session", sa.LargeBinary),
    # How it behaves in its chats (T1-T3), as control reads it; NULL: nothing was set yet.
    sa.Column("chat", sa.JSON(none_as_null=True)),
    # Whether its administrator's subscription covers it (C7).
    sa.Column("shares_subscription", sa.Boolean, nullable=False, server_default=sa.true()),
    sqlite_autoincrement=True,
)

telegram_peers = sa.Table(
    "telegram_peers",
    metadata,
    sa.Column("account_id", Id, _account_key(), primary_key=True),
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("access_hash", sa.BigInteger, nullable=False),
    sa.Column("username", sa.Text, nullable=False),
    sa.Column("phone", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
)

telegram_numbers = sa.Table(
    "telegram_numbers",
    metadata,
    sa.Column("account_id", Id, _account_key(), primary_key=True),
    sa.Column("number", sa.Text, primary_key=True),
    sa.Column("user_id", sa.BigInteger),  # NULL: nobody has it
    sa.Column("found_at", UtcTime, nullable=False),
)

telegram_flood_waits = sa.Table(
    "telegram_flood_waits",
    metadata,
    sa.Column("account_id", Id, _account_key(), primary_key=True),
    sa.Column("method", sa.Text, primary_key=True),
    sa.Column("until", UtcTime, nullable=False),
)

telegram_pending_calls = sa.Table(
    "telegram_pending_calls",
    metadata,
    sa.Column("account_id", Id, _account_key(), primary_key=True),
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("access_hash", sa.BigInteger, nullable=False),
    sa.Column("began_at", UtcTime, nullable=False),
)

lines = sa.Table(
    "lines",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("account_id", Id, sa.ForeignKey("accounts.id", ondelete="RESTRICT"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("login", sa.Text, nullable=False),
    sa.Column("password", sa.LargeBinary, nullable=False),  # sealed
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("port", sa.Integer),
    sa.Column("proxy", sa.Text, nullable=False),
    sa.Column("trusted", sa.JSON, nullable=False),
    sa.Column("header", sa.Text, nullable=False),
    sa.Column("transport", sa.Text, nullable=False),
    sa.Column("srtp", sa.Boolean, nullable=False),
    sa.Column("codecs", sa.JSON, nullable=False),
    sa.Column("dtmf", sa.JSON, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("number", sa.Text, nullable=False),
    sa.Column("number_rules", sa.Text, nullable=False),
    sa.Column("caller_ids", sa.JSON, nullable=False),
    sa.Column("caller_names", sa.JSON, nullable=False),
    # Whether its PBX was ever reached: what never worked is being set up, what worked and does not is a trouble.
    sa.Column("worked", sa.Boolean, nullable=False, server_default=sa.false()),
    # The recipe by which its calls are routed in the dialplan; NULL: straight to its number.
    sa.Column("recipe", sa.JSON(none_as_null=True)),
    sqlite_autoincrement=True,
)

handovers = sa.Table(
    "handovers",
    metadata,
    sa.Column("account_id", Id, _account_key(), primary_key=True),
    sa.Column("from_id", sa.BigInteger),  # NULL: it had no administrator
    sa.Column("to_id", sa.BigInteger, nullable=False),
    sa.Column("offered_at", UtcTime, nullable=False),
)

subscriptions = sa.Table(
    "subscriptions",
    metadata,
    # 0: of everybody who has none of his own.
    sa.Column("administrator_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("calls", sa.Integer),
    sa.Column("sessions", sa.Integer),
    sa.Column("minutes", sa.Integer),
    sa.Column("expires_at", UtcTime),
)

subscription_usage = sa.Table(
    "subscription_usage",
    metadata,
    sa.Column("administrator_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("month", sa.Text, primary_key=True),  # "2026-11", in UTC
    sa.Column("seconds", sa.Float, nullable=False),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("account_id", Id, _account_key(), primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("due_at", UtcTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("account_id", Id, _account_key(), nullable=False),
    sa.Column("subject", sa.Text, nullable=False),  # which of its things: a line's id, a setting's name; or empty
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("since", UtcTime, nullable=False),
    sa.Column("tell_at", UtcTime, nullable=False),
    sa.Column("addressee", sa.BigInteger),  # NULL: whoever administers the account
    sa.Column("told_to", sa.BigInteger),  # NULL: nobody was told yet
    sa.Column("over", sa.Boolean, nullable=False),
)

# Records outlive the account and the line that they tell of: no foreign keys.
call_records = sa.Table(
    "call_records",
    metadata,
    sa.Column("call_id", sa.Text, primary_key=True),
    sa.Column("direction", sa.Text, nullable=False),
    sa.Column("account_id", sa.BigInteger),
    sa.Column("line_id", sa.BigInteger),
    sa.Column("caller", sa.Text, nullable=False),
    sa.Column("dialled", sa.Text, nullable=False),
    sa.Column("offered_at", UtcTime, nullable=False, index=True),
    sa.Column("answered_at", UtcTime),
    sa.Column("ended_at", UtcTime),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("retry_after_s", sa.Integer),
    sa.Column("ended_by", sa.Text, nullable=False),
    sa.Column("telegram_user_id", sa.BigInteger),
    sa.Column("format", sa.Text),
    sa.Column("media", sa.JSON, nullable=False),
    sa.Index("ix_call_records_account_id", "account_id", "offered_at"),
)

settings = sa.Table(
    "settings",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
)

bot_conversations = sa.Table(
    "bot_conversations",
    metadata,
    sa.Column("bot_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("chat_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("state", sa.Text),  # what the person is asked now; NULL: nothing
    sa.Column("data", sa.LargeBinary),  # sealed
    sa.Column("language", sa.Text),  # the one he chose; NULL: his app's
)

# Messages with a password, until they are deleted.
bot_secrets = sa.Table(
    "bot_secrets",
    metadata,
    sa.Column("bot_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("chat_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("message_id", sa.BigInteger, primary_key=True, autoincrement=False),
)

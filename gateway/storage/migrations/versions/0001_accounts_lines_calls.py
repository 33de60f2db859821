"""Accounts, lines, call records, and what Telegram must not be asked twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

# Frozen here: a migration keeps saying what it said, whatever the schema becomes.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def _account_id(table: str) -> sa.Column[int]:
    cascade = sa.ForeignKey("accounts.id", ondelete="CASCADE", name=f"fk_{table}_account_id")
    return sa.Column("account_id", _ID, cascade, nullable=False)


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("phone", sa.Text, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("administrator_id", sa.BigInteger),
        sa.Column("call_limit", sa.Integer, nullable=False),
        sa.Column("kept_by", sa.Text, nullable=False, server_default="gateway"),
        sa.Column("session", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("user_id", name="uq_accounts_user_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_accounts_administrator_id", "accounts", ["administrator_id"])
    _telegram_tables()
    _line_table()
    _record_table()
    op.create_table(
        "settings",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_settings"),
    )


def _telegram_tables() -> None:
    op.create_table(
        "telegram_peers",
        _account_id("telegram_peers"),
        sa.Column("id", sa.BigInteger, nullable=False),
        sa.Column("access_hash", sa.BigInteger, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("phone", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "id", name="pk_telegram_peers"),
    )
    op.create_table(
        "telegram_numbers",
        _account_id("telegram_numbers"),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("user_id", sa.BigInteger),
        sa.Column("found_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "number", name="pk_telegram_numbers"),
    )
    op.create_table(
        "telegram_flood_waits",
        _account_id("telegram_flood_waits"),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("until", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "method", name="pk_telegram_flood_waits"),
    )
    op.create_table(
        "telegram_pending_calls",
        _account_id("telegram_pending_calls"),
        sa.Column("id", sa.BigInteger, nullable=False),
        sa.Column("access_hash", sa.BigInteger, nullable=False),
        sa.Column("began_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "id", name="pk_telegram_pending_calls"),
    )


def _line_table() -> None:
    owner = sa.ForeignKey("accounts.id", ondelete="RESTRICT", name="fk_lines_account_id")
    op.create_table(
        "lines",
        sa.Column("id", _ID, nullable=False),
        sa.Column("account_id", _ID, owner, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("login", sa.Text, nullable=False),
        sa.Column("password", sa.LargeBinary, nullable=False),
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
        sa.PrimaryKeyConstraint("id", name="pk_lines"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_lines_account_id", "lines", ["account_id"])


def _record_table() -> None:
    op.create_table(
        "call_records",
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("account_id", sa.BigInteger),
        sa.Column("line_id", sa.BigInteger),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("dialled", sa.Text, nullable=False),
        sa.Column("offered_at", _MOMENT, nullable=False),
        sa.Column("answered_at", _MOMENT),
        sa.Column("ended_at", _MOMENT),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("retry_after_s", sa.Integer),
        sa.Column("ended_by", sa.Text, nullable=False),
        sa.Column("telegram_user_id", sa.BigInteger),
        sa.Column("format", sa.Text),
        sa.Column("media", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_call_records"),
    )
    op.create_index("ix_call_records_offered_at", "call_records", ["offered_at"])
    op.create_index("ix_call_records_account_id", "call_records", ["account_id", "offered_at"])

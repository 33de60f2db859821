"""What administrators do: chat settings, handovers, subscriptions, jobs, notices, routing recipes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

# Frozen here: a migration keeps saying what it said, whatever the schema becomes.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def _account_id(table: str) -> sa.Column[int]:
    cascade = sa.ForeignKey("accounts.id", ondelete="CASCADE", name=f"fk_{table}_account_id")
    return sa.Column("account_id", _ID, cascade, nullable=False)


def upgrade() -> None:
    op.add_column("accounts", sa.Column("chat", sa.JSON))
    op.add_column("accounts", sa.Column("shares_subscription", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("lines", sa.Column("worked", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("lines", sa.Column("recipe", sa.JSON))
    op.create_table(
        "handovers",
        _account_id("handovers"),
        sa.Column("from_id", sa.BigInteger),
        sa.Column("to_id", sa.BigInteger, nullable=False),
        sa.Column("offered_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_handovers"),
    )
    _subscription_tables()
    op.create_table(
        "jobs",
        sa.Column("kind", sa.Text, nullable=False),
        _account_id("jobs"),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("kind", "account_id", "subject", name="pk_jobs"),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        _account_id("notices"),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("tell_at", _MOMENT, nullable=False),
        sa.Column("addressee", sa.BigInteger),
        sa.Column("told_to", sa.BigInteger),
        sa.Column("over", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
    )


def _subscription_tables() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("administrator_id", sa.BigInteger, nullable=False),
        sa.Column("calls", sa.Integer),
        sa.Column("sessions", sa.Integer),
        sa.Column("minutes", sa.Integer),
        sa.Column("expires_at", _MOMENT),
        sa.PrimaryKeyConstraint("administrator_id", name="pk_subscriptions"),
    )
    op.create_table(
        "subscription_usage",
        sa.Column("administrator_id", sa.BigInteger, nullable=False),
        sa.Column("month", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("administrator_id", "month", name="pk_subscription_usage"),
    )

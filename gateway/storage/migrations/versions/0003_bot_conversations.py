"""Where each person's conversation with the bot stands, and which messages must not outlast their time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "bot_conversations",
        sa.Column("bot_id", sa.BigInteger, nullable=False),
        sa.Column("chat_id", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text),
        sa.Column("data", sa.LargeBinary),
        sa.Column("language", sa.Text),
        sa.PrimaryKeyConstraint("bot_id", "chat_id", name="pk_bot_conversations"),
    )
    op.create_table(
        "bot_secrets",
        sa.Column("bot_id", sa.BigInteger, nullable=False),
        sa.Column("chat_id", sa.BigInteger, nullable=False),
        sa.Column("message_id", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("bot_id", "chat_id", "message_id", name="pk_bot_secrets"),
    )

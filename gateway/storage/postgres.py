"""What is PostgreSQL's alone. Imported only where it is used: 4 MB that a gateway on SQLite does without."""

from __future__ import annotations

from typing import Final, cast

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

#: The driver's own, which SQLAlchemy does not wrap while connecting.
ERRORS: Final[tuple[type[Exception], ...]] = (asyncpg.PostgresError, asyncpg.InterfaceError)


def insert_into(table: sa.Table) -> sqlite.Insert:
    """The same methods as SQLite's has, though no common class says so."""
    return cast("sqlite.Insert", postgresql.insert(table))

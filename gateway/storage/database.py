"""One database, SQLite or PostgreSQL: transactions, and what can go wrong said in sentences."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.errors import GatewayError, SettingsError

#: Longer than any transaction of ours takes, shorter than a caller's patience.
BUSY_S = 5.0


class StorageError(GatewayError):
    """The database can't be used as it is."""


class Database:
    """An engine. Open it with `async with`; every error of the database leaves it as a `StorageError`."""

    def __init__(self, url: str, busy_s: float = BUSY_S) -> None:
        try:
            self._url = sa.make_url(url)
        except (ArgumentError, ValueError) as error:
            raise SettingsError(
                "SIPTG_STORAGE__URL is no database URL, such as 'postgresql://user:password@host/siptg'."
            ) from error
        if self._url.get_backend_name() not in ("sqlite", "postgresql"):
            raise SettingsError("SIPTG_STORAGE__URL must begin with 'postgresql://' or 'sqlite://'.")
        self._busy_s = busy_s
        self._engine: AsyncEngine | None = None
        self._unwrapped: tuple[type[Exception], ...] = (OSError,)
        if self._url.get_backend_name() == "postgresql":
            from gateway.storage import postgres  # noqa: PLC0415 - brings its driver along

            self._unwrapped = (OSError, *postgres.ERRORS)

    @property
    def name(self) -> str:
        """What it is, for a person: without the password."""
        if self._url.get_backend_name() == "sqlite":
            return str(self._url.database)
        return f"{self._url.database} on {self._url.host or 'localhost'}"

    async def __aenter__(self) -> Self:
        is_sqlite = self._url.get_backend_name() == "sqlite"
        # Both drivers' own waits for a server that does not answer are longer than a start should hang.
        arguments: dict[str, Any] = {"timeout": self._busy_s} if is_sqlite else {"timeout": 10, "command_timeout": 30}
        try:
            engine = create_async_engine(self._url, connect_args=arguments, pool_pre_ping=not is_sqlite)
        except (ArgumentError, NoSuchModuleError) as error:
            raise SettingsError(f"SIPTG_STORAGE__URL can't be used: {error}.") from error
        if is_sqlite:
            _tune_sqlite(engine, self._busy_s)
        self._engine = engine
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection that only reads."""
        with self._told():
            async with self._opened().begin() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end, undone by an exception.

        SQLite takes its write lock at once: to ask for it after reading fails when another writer came between.
        """
        with self._told():
            async with self._opened().execution_options(siptg_writes=True).begin() as connection:
                yield connection

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            raise StorageError(f"The database {self.name} is closed.")
        return self._engine

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise StorageError(_sentence(self.name, error)) from error
        except (PoolTimeoutError, TimeoutError) as error:
            raise StorageError(f"The database {self.name} does not answer in time.") from error
        except self._unwrapped as error:
            # While connecting, the driver's own errors are not wrapped.
            raise StorageError(f"The database {self.name} can't be reached: {_plain(error)}.") from error


def insert_into(connection: AsyncConnection, table: sa.Table) -> sqlite.Insert:
    """An INSERT that can mind conflicts: both databases can, each in words of its own."""
    if connection.dialect.name == "postgresql":
        from gateway.storage import postgres  # noqa: PLC0415 - as above

        return postgres.insert_into(table)
    return sqlite.insert(table)


def upsert(
    connection: AsyncConnection, table: sa.Table, values: dict[str, Any] | list[dict[str, Any]]
) -> sqlite.Insert:
    """An INSERT that replaces the row of the same primary key."""
    insert = insert_into(connection, table).values(values)
    keys = [column.name for column in table.primary_key]
    columns = values[0] if isinstance(values, list) else values
    changed = {name: insert.excluded[name] for name in columns if name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=changed)


def _tune_sqlite(engine: AsyncEngine, busy_s: float) -> None:
    @sa.event.listens_for(engine.sync_engine, "connect")
    def _tune(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not guessed by the driver
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(busy_s * 1000)}")
        # Readers never wait for the writer. FULL: what was answered survives a power cut, as a login must.
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @sa.event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("siptg_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _sentence(name: str, error: DBAPIError) -> str:
    match error.orig:
        case sqlite3.Error() as cause if getattr(cause, "sqlite_errorname", None):
            return _sqlite_sentence(name, cause.sqlite_errorname, str(cause))
        case cause:
            return f"The database {name} refuses: {_plain(cause)}."


def _sqlite_sentence(name: str, code: str, text: str) -> str:
    """Source: https://www.sqlite.org/rescode.html (the first two words of a code are its class)."""
    folder = Path(name).parent
    match "_".join(code.split("_")[:2]):
        case "SQLITE_CORRUPT" | "SQLITE_NOTADB":
            return (
                f"The database {name} is damaged, or no database at all ({text})."
                " Bring back a copy, or move it away to begin anew."
            )
        case "SQLITE_BUSY" | "SQLITE_LOCKED":
            return f"The database {name} is locked by another program. Stop that program, or try again."
        case "SQLITE_FULL":
            return f"There is no room left for the database {name}. Free some space in {folder}."
        case "SQLITE_READONLY" | "SQLITE_PERM":
            return f"The database {name} can't be written. Let the gateway's user write in {folder}, and to its files."
        case "SQLITE_CANTOPEN":
            return (
                f"The database {name} can't be opened. See that {folder} exists and the gateway's user may write there."
            )
        case "SQLITE_IOERR":
            return (
                f"The disk fails under the database {name} ({text}). See that {folder} has room and its disk is sound."
            )
        case _:
            return f"The database {name} refuses: {text}."


def _plain(error: BaseException | None) -> str:
    """The first line of what a driver says, without its class's name and its full stop."""
    return re.sub(r"^<class '[^']*'>: ", "", str(error).strip().partition("\n")[0]).rstrip(".")

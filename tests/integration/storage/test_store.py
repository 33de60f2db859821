from __future__ import annotations

import asyncio
import base64
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import alembic.autogenerate
import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from pydantic import SecretStr

from gateway.call.model import Account
from gateway.errors import GatewayError, SettingsError
from gateway.storage.database import Database, StorageError
from gateway.storage.migrate import migrate
from gateway.storage.schema import metadata
from gateway.storage.schema import settings as settings_table
from gateway.storage.settings import StorageSettings
from gateway.storage.store import Store

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.urlsafe_b64encode(bytes(range(200, 232))).decode()
ALICE = Account(id=0, phone="79990000001", user_id=1)


def keyed(settings: StorageSettings, key: str) -> StorageSettings:
    return settings.model_copy(update={"key": SecretStr(key)})


async def started(settings: StorageSettings, state: Path) -> None:
    async with Store(settings, state):
        pass


async def test_everything_is_there_after_a_restart(settings: StorageSettings, tmp_path: Path) -> None:
    async with Store(settings, tmp_path) as store:
        account = await store.accounts.keep(ALICE, b"secret")
    async with Store(settings, tmp_path) as store:
        assert await store.telegram.load_session(account.id) == b"secret"


async def test_the_migrations_make_what_the_schema_says(settings: StorageSettings, tmp_path: Path) -> None:
    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(alembic.autogenerate.compare_metadata(context, metadata))

    async with Database(settings.database_url(tmp_path)) as database:
        await migrate(database)
        async with database.read() as connection:
            assert await connection.run_sync(differences) == []


async def test_many_starts_at_once_agree_on_schema_and_key(settings: StorageSettings, tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as starts:
        for _ in range(6):
            starts.create_task(started(settings, tmp_path))
    async with Store(settings, tmp_path) as store:
        await store.accounts.keep(ALICE, b"secret")


async def test_a_database_of_a_newer_version_is_refused(settings: StorageSettings, tmp_path: Path) -> None:
    async with Database(settings.database_url(tmp_path)) as database:
        await migrate(database)
        async with database.write() as connection:
            await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(GatewayError, match=r"newer version of siptg \(schema 9999; this one knows \d{4}\)"):
        await started(settings, tmp_path)


async def test_a_wrong_key_is_told_at_the_start(settings: StorageSettings, tmp_path: Path) -> None:
    await started(keyed(settings, KEY), tmp_path)
    with pytest.raises(GatewayError, match="not the one that this database was encrypted with"):
        await started(keyed(settings, OTHER_KEY), tmp_path)
    with pytest.raises(GatewayError, match=r"key file .* is missing"):
        await started(settings, tmp_path)
    assert not (tmp_path / "key").exists()


async def test_the_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    await started(StorageSettings(), state)
    key = state / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert sorted(path.name for path in state.iterdir()) == ["key", "siptg.db"]
    key.chmod(0o640)
    with pytest.raises(GatewayError, match="chmod 600"):
        await started(StorageSettings(), state)


async def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="32 random bytes in base64"):
        await started(keyed(StorageSettings(), "swordfish"), tmp_path)
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(GatewayError, match="key file"):
        await started(StorageSettings(), tmp_path)


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_no_secret_is_readable_in_the_files(tmp_path: Path) -> None:
    async with Store(StorageSettings(), tmp_path) as store:
        await store.accounts.keep(ALICE, b"very-secret-session")
        files = content(tmp_path)
    assert b"very-secret-session" not in files
    assert b"79990000001" in files


async def test_a_secret_moved_to_another_column_does_not_open(tmp_path: Path) -> None:
    async with Store(StorageSettings(), tmp_path) as store:
        account = await store.accounts.keep(ALICE, b"secret")
        with sqlite3.connect(tmp_path / "siptg.db") as other:
            [check] = other.execute("SELECT value FROM settings WHERE name = 'storage.key_check'").fetchone()
            other.execute("UPDATE accounts SET session = ?", (base64.b64decode(check.strip('"')),))
        other.close()
        with pytest.raises(GatewayError, match="does not open"):
            await store.telegram.load_session(account.id)


@pytest.mark.parametrize("damage", ["no database", "half a database"])
async def test_a_damaged_database_is_told_in_a_sentence(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "siptg.db"
    await started(StorageSettings(), tmp_path)
    whole = path.read_bytes()
    path.write_bytes(b"rubbish " * 1000 if damage == "no database" else whole[:8192] + os.urandom(len(whole) - 8192))
    with pytest.raises(StorageError, match="is damaged"):
        await started(StorageSettings(), tmp_path)


async def test_a_locked_database_is_told_in_a_sentence(tmp_path: Path) -> None:
    await started(StorageSettings(), tmp_path)
    other = sqlite3.connect(tmp_path / "siptg.db")
    other.execute("BEGIN IMMEDIATE")
    try:
        async with Database(StorageSettings().database_url(tmp_path), busy_s=0.05) as database:
            with pytest.raises(StorageError, match="is locked by another program"):
                await migrate(database)
            async with database.read() as connection:  # readers need not wait
                assert (await connection.execute(sa.select(settings_table.c.name))).all()
    finally:
        other.close()


async def fill_the_disk(database: Database) -> None:
    """SQLite's own limit stands in for the disk's: it answers with the same error."""
    async with database.write() as connection:
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar()
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        for index in range(1000):
            await connection.execute(sa.insert(settings_table).values(name=f"{index}", value="x" * 1000))


async def test_a_full_disk_is_told_in_a_sentence_and_undoes_the_transaction(tmp_path: Path) -> None:
    await started(StorageSettings(), tmp_path)
    async with Database(StorageSettings().database_url(tmp_path)) as database:
        with pytest.raises(StorageError, match="no room left"):
            await fill_the_disk(database)
        async with database.read() as connection:
            assert len((await connection.execute(sa.select(settings_table.c.name))).all()) == 1


@contextmanager
def another_user() -> Iterator[None]:
    """Root may write anywhere, so root steps down for a moment."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def forbid_writing(folder: Path) -> None:
    folder.chmod(0o555)
    (folder / "siptg.db").chmod(0o444)


async def test_a_folder_that_may_not_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    await started(keyed(StorageSettings(), KEY), tmp_path)
    forbid_writing(tmp_path)
    with another_user(), pytest.raises(StorageError, match=r"can't be (written|opened)"):
        await started(keyed(StorageSettings(), KEY), tmp_path)
    with another_user(), pytest.raises(GatewayError, match="can't be made"):
        await started(keyed(StorageSettings(), KEY), tmp_path / "below")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://nobody@127.0.0.1:1/x", "can't be reached"),
        ("mysql://root@127.0.0.1/x", "must begin with"),
        ("not a url", "is no database URL"),
    ],
)
async def test_an_impossible_url_is_told_in_a_sentence(tmp_path: Path, url: str, sentence: str) -> None:
    with pytest.raises(GatewayError, match=sentence):
        await started(StorageSettings(url=SecretStr(url)), tmp_path)


async def test_a_missing_postgresql_database_is_told_in_a_sentence(postgres_server: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match='refuses: database "nothing" does not exist'):
        await started(StorageSettings(url=SecretStr(f"{postgres_server}/nothing")), tmp_path)

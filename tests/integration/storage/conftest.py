from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from gateway.storage.settings import StorageSettings
from gateway.storage.store import Store


def _postgres_programs() -> Path | None:
    """Where initdb is; Debian keeps it off the path, a folder a version."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A PostgreSQL of our own on a free port; it refuses to run as root, so root lends it another user."""
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    # Not in pytest's own folder: every other run of pytest closes that to all but root.
    folder = Path(tempfile.mkdtemp(prefix="siptg-postgres-"))
    user = None
    if os.geteuid() == 0:
        user = "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, user=user, timeout=50, cwd="/", stdout=subprocess.DEVNULL)

    run(f"{programs}/initdb", "-D", str(data), "-U", "siptg", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
    run(f"{programs}/pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://siptg@127.0.0.1:{port}"
    finally:
        run(f"{programs}/pg_ctl", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture
async def postgres_url(postgres_server: str) -> str:
    """An empty database of one test's own."""
    connection = await asyncpg.connect(f"{postgres_server}/postgres")
    try:
        number = await connection.fetchval("SELECT count(*) FROM pg_database")
        await connection.execute(f"CREATE DATABASE siptg_{number}")
    finally:
        await connection.close()
    return f"{postgres_server}/siptg_{number}"


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest) -> StorageSettings:
    """Settings for an empty database of either kind."""
    if request.param == "sqlite":
        return StorageSettings()
    return StorageSettings(url=SecretStr(request.getfixturevalue("postgres_url")))


@pytest.fixture
async def store(settings: StorageSettings, tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(settings, tmp_path) as opened:
        yield opened

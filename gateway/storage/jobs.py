"""What is to be done later for an account, restarts or not."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.storage.database import Database, upsert
from gateway.storage.model import Job
from gateway.storage.schema import jobs


class JobRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, kind: str) -> list[Job]:
        query = sa.select(jobs).where(jobs.c.kind == kind).order_by(jobs.c.due_at)
        async with self._database.read() as connection:
            return [Job(**row) for row in (await connection.execute(query)).mappings()]

    async def save(self, job: Job) -> None:
        async with self._database.write() as connection:
            await connection.execute(upsert(connection, jobs, job._asdict()))

    async def delete(self, job: Job) -> None:
        same = (jobs.c.kind == job.kind) & (jobs.c.account_id == job.account_id) & (jobs.c.subject == job.subject)
        async with self._database.write() as connection:
            await connection.execute(sa.delete(jobs).where(same))

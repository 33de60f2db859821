"""Lines, their passwords sealed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from gateway.call.model import DtmfMethod, Line, LineKind, Transport
from gateway.storage.database import Database, StorageError
from gateway.storage.schema import lines
from gateway.storage.seal import Seal

PASSWORD: Final = "lines.password"  # noqa: S105 - the name that passwords are sealed under


class LineRepository:
    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    async def all(self) -> list[Line]:
        """Every line, the oldest first. Raises `WrongKeyError` too."""
        async with self._database.read() as connection:
            rows = (await connection.execute(sa.select(lines).order_by(lines.c.id))).mappings().all()
        return [self._line(row) for row in rows]

    async def add(self, line: Line) -> Line:
        """Keep a new line; `line.id` is not looked at. Returns it with its id, which no line ever had before."""
        async with self._database.write() as connection:
            added = await connection.execute(sa.insert(lines).values(self._values(line)).returning(lines.c.id))
            return dataclasses.replace(line, id=added.scalar_one())

    async def save(self, line: Line) -> None:
        """Replace a line. Raises `StorageError` if it is gone."""
        async with self._database.write() as connection:
            saved = await connection.execute(sa.update(lines).where(lines.c.id == line.id).values(self._values(line)))
            if not saved.rowcount:
                raise StorageError(f"There is no line {line.id} any more.")

    async def worked(self) -> set[int]:
        """The lines whose PBX was ever reached."""
        async with self._database.read() as connection:
            return set((await connection.execute(sa.select(lines.c.id).where(lines.c.worked))).scalars())

    async def save_worked(self, line_id: int) -> None:
        await self._set(line_id, worked=True)

    async def recipes(self) -> dict[int, Mapping[str, Any]]:
        """How lines are routed in the dialplan, of those that have a recipe."""
        query = sa.select(lines.c.id, lines.c.recipe).where(lines.c.recipe.is_not(None))
        async with self._database.read() as connection:
            return {row.id: row.recipe for row in await connection.execute(query)}

    async def save_recipe(self, line_id: int, recipe: Mapping[str, Any] | None) -> None:
        await self._set(line_id, recipe=None if recipe is None else dict(recipe))

    async def _set(self, line_id: int, **values: Any) -> None:
        async with self._database.write() as connection:
            await connection.execute(sa.update(lines).where(lines.c.id == line_id).values(values))

    async def delete(self, line_id: int) -> None:
        async with self._database.write() as connection:
            await connection.execute(sa.delete(lines).where(lines.c.id == line_id))

    def _values(self, line: Line) -> dict[str, Any]:
        values = {field.name: getattr(line, field.name) for field in dataclasses.fields(line) if field.name != "id"}
        return values | {
            "password": self._seal.seal(line.password.encode(), PASSWORD),
            "kind": line.kind.value,
            "transport": line.transport.value,
            "trusted": list(line.trusted),
            "codecs": list(line.codecs),
            "dtmf": [method.value for method in line.dtmf],
            "caller_ids": list(line.caller_ids),
            "caller_names": list(line.caller_names),
        }

    def _line(self, row: sa.RowMapping) -> Line:
        values = {field.name: row[field.name] for field in dataclasses.fields(Line)} | {
            "password": self._seal.open(row["password"], PASSWORD).decode(),
            "kind": LineKind(row["kind"]),
            "transport": Transport(row["transport"]),
            "trusted": tuple(row["trusted"]),
            "codecs": tuple(row["codecs"]),
            "dtmf": tuple(DtmfMethod(method) for method in row["dtmf"]),
            "caller_ids": tuple(row["caller_ids"]),
            "caller_names": tuple(row["caller_names"]),
        }
        return Line(**values)

"""Photos and documents: kept whole, and shown as Telegram shows them.

Source: https://core.telegram.org/api/files.
"""

from __future__ import annotations

import enum
import secrets
import struct
from dataclasses import dataclass
from typing import Final

from telethon.tl import types

from gateway.sandbox.cloud import DC, Cloud
from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpcerror import RpcError

#: Source: https://core.telegram.org/bots/api#sendphoto (width and height, ratio).
MAX_SIDES: Final = 10_000
MAX_RATIO: Final = 20

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS files (
        id INTEGER PRIMARY KEY, access_hash INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
        mime TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, date INTEGER NOT NULL, data BLOB NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS parts (
        user INTEGER NOT NULL, upload INTEGER NOT NULL, part INTEGER NOT NULL, data BLOB NOT NULL,
        PRIMARY KEY (user, upload, part)
    )""",
)


class FileKind(enum.StrEnum):
    PHOTO = "photo"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that was sent. Width and height are a photo's, in pixels, or 0."""

    id: int
    access_hash: int
    kind: FileKind
    name: str
    mime: str
    width: int
    height: int
    date: int
    data: bytes

    @property
    def extension(self) -> str:
        """Of the path under which bots download it."""
        if self.kind is FileKind.PHOTO:
            return "." + self.mime.rpartition("/")[2].replace("jpeg", "jpg")
        return "".join(self.name.rpartition(".")[1:]) if "." in self.name else ""


class Files:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._world = cloud.world
        for table in TABLES:
            self._world.sql(table)

    def keep(self, kind: FileKind, data: bytes, *, name: str, mime: str) -> StoredFile:
        """Raises `RpcError` for what is no photo."""
        if not data:
            raise RpcError(400, "FILE_PARTS_INVALID")
        width = height = 0
        if kind is FileKind.PHOTO:
            mime, width, height = picture(data)
            if width + height > MAX_SIDES or max(width, height) > MAX_RATIO * min(width, height):
                raise RpcError(400, "PHOTO_INVALID_DIMENSIONS")
        date = int(self._cloud.now())
        kept = StoredFile(secrets.randbits(62), secrets.randbits(62), kind, name, mime, width, height, date, data)
        self._world.sql(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(kept.id, kept.access_hash, kind.value, name, mime, width, height, date, data),
        )
        return kept

    def find(self, file_id: int, access_hash: int) -> StoredFile:
        """Raises `RpcError` when there is none, or who asks may not know it."""
        found = self._world.sql("SELECT * FROM files WHERE id = ? AND access_hash = ?", file_id, access_hash)
        if not found:
            raise RpcError(400, "FILE_ID_INVALID")
        number, secret, kind, *rest = found[0]
        return StoredFile(number, secret, FileKind(kind), *rest)

    # What is uploaded comes in parts

    def add_part(self, user: int, upload: int, part: int, data: bytes) -> None:
        self._world.sql("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?)", user, upload, part, data)

    def uploaded(self, user: int, upload: int, parts: int) -> bytes:
        """Put the parts together, and forget them. Raises `RpcError` when one is missing."""
        found = self._world.sql(
            "SELECT part, data FROM parts WHERE user = ? AND upload = ? ORDER BY part", user, upload
        )
        missing = next((number for number in range(parts) if number >= len(found) or found[number][0] != number), None)
        if missing is not None:
            raise RpcError(400, f"FILE_PART_{missing}_MISSING")
        self._world.sql("DELETE FROM parts WHERE user = ? AND upload = ?", user, upload)
        return b"".join(data for _, data in found)

    # How it looks in a message

    def media(self, kept: StoredFile) -> TL:
        date = self._cloud.date(kept.date)
        if kept.kind is FileKind.PHOTO:
            size = types.PhotoSize("x", kept.width, kept.height, len(kept.data))
            return types.MessageMediaPhoto(photo=types.Photo(kept.id, kept.access_hash, b"", date, [size], DC))
        attributes = [types.DocumentAttributeFilename(kept.name)]
        document = types.Document(kept.id, kept.access_hash, b"", date, kept.mime, len(kept.data), DC, attributes)
        return types.MessageMediaDocument(document=document)


def picture(data: bytes) -> tuple[str, int, int]:
    """The type of a picture, its width and its height. Raises `RpcError` for anything but PNG and JPEG.

    Source: ISO/IEC 15948 §11.2.2 (IHDR), ISO/IEC 10918-1 §B.2.2 (frame header).
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return "image/png", width, height
    if data.startswith(b"\xff\xd8"):
        at = 2
        while at + 9 <= len(data) and data[at] == 0xFF:
            marker = data[at + 1]
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
                height, width = struct.unpack(">HH", data[at + 5 : at + 9])
                return "image/jpeg", width, height
            at += 2 + int(struct.unpack(">H", data[at + 2 : at + 4])[0])
    raise RpcError(400, "IMAGE_PROCESS_FAILED")

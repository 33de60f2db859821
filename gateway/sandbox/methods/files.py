"""Files up and down, and messages that carry one. Source: https://core.telegram.org/api/files."""

from __future__ import annotations

from telethon.tl import functions, types

from gateway.sandbox.files import FileKind
from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpc import Request, method
from gateway.sandbox.rpcerror import RpcError

f = functions.upload

#: Source: https://core.telegram.org/api/files#downloading-files (limit).
MAX_CHUNK = 1_048_576


@method(f.SaveFilePartRequest)
def save_file_part(request: Request, query: TL) -> bool:
    request.telegram.files.add_part(request.user_id, query.file_id, query.file_part, query.bytes)
    return True


@method(f.SaveBigFilePartRequest)
def save_big_file_part(request: Request, query: TL) -> bool:
    return save_file_part(request, query)


@method(f.GetFileRequest)
def get_file(request: Request, query: TL) -> TL:
    if not 0 < query.limit <= MAX_CHUNK:
        raise RpcError(400, "LIMIT_INVALID")
    if not isinstance(query.location, types.InputPhotoFileLocation | types.InputDocumentFileLocation):
        raise RpcError(400, "LOCATION_INVALID")
    kept = request.telegram.files.find(query.location.id, query.location.access_hash)
    kind = {"image/png": types.storage.FilePng, "image/jpeg": types.storage.FileJpeg}.get(kept.mime)
    chunk = kept.data[query.offset : query.offset + query.limit]
    return types.upload.File((kind or types.storage.FileUnknown)(), kept.date, chunk)


def media(request: Request, given: TL) -> TL:
    """The media of a message, from what its sender gave. Raises `RpcError`."""
    files = request.telegram.files
    match given:
        case types.InputMediaUploadedPhoto():
            data = files.uploaded(request.user_id, given.file.id, given.file.parts)
            return files.media(files.keep(FileKind.PHOTO, data, name=given.file.name, mime=""))
        case types.InputMediaUploadedDocument():
            data = files.uploaded(request.user_id, given.file.id, given.file.parts)
            names = [attribute.file_name for attribute in given.attributes if hasattr(attribute, "file_name")]
            name = next(iter(names), given.file.name)
            return files.media(files.keep(FileKind.DOCUMENT, data, name=name, mime=given.mime_type))
        case types.InputMediaPhoto() | types.InputMediaDocument():
            return files.media(files.find(given.id.id, given.id.access_hash))
        case types.InputMediaContact():
            named = request.world.find_user("phone", given.phone_number.lstrip("+"))
            return types.MessageMediaContact(
                given.phone_number, given.first_name, given.last_name, given.vcard, named.id if named else 0
            )
    raise RpcError(400, "MEDIA_INVALID")


@method(functions.messages.UploadMediaRequest)
def upload_media(request: Request, query: TL) -> TL:
    return media(request, query.media)

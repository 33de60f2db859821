"""How the Bot API words a refusal."""

from __future__ import annotations

from typing import Any, Final

from gateway.sandbox.rpcerror import RpcError

#: Source: the Bot API server's own table, and what of TDLib's reaches bots; all the others are passed on as they are.
WORDS: Final = {
    "MESSAGE_NOT_MODIFIED": (
        "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as "
        "a current content and reply markup of the message"
    ),
    "REPLY_MARKUP_TOO_LONG": "Bad Request: reply markup is too long",
    "QUERY_ID_INVALID": "Bad Request: query is too old and response timeout expired or query ID is invalid",
    "INPUT_USER_DEACTIVATED": "Forbidden: user is deactivated",
    "USER_IS_BLOCKED": "Forbidden: bot was blocked by the user",
    "USER_IS_BOT": "Forbidden: the bot can't send messages to the bot",
    "PEER_ID_INVALID": "Forbidden: bot can't initiate conversation with a user",
    "FILE_ID_INVALID": "Bad Request: wrong file identifier/HTTP URL specified",
}
CODES: Final = {"Bad Request": 400, "Unauthorized": 401, "Forbidden": 403, "Not Found": 404, "Conflict": 409}


class ApiError(Exception):
    """A refusal of the Bot API: `description` begins with the words for its code."""

    def __init__(self, description: str, *, code: int | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(description)
        self.description = description
        self.code = code or CODES[description.partition(":")[0]]
        self.retry_after_s = retry_after_s

    @property
    def body(self) -> dict[str, Any]:
        parameters = {"parameters": {"retry_after": self.retry_after_s}} if self.retry_after_s else {}
        return {"ok": False, "error_code": self.code, "description": self.description} | parameters


def bad(reason: str) -> ApiError:
    return ApiError(f"Bad Request: {reason}")


def unparsed(reason: str) -> ApiError:
    return bad(f"can't parse entities: {reason}")


def worded(refused: RpcError) -> ApiError:
    """The Bot API's words for an error of Telegram."""
    if refused.code in (420, 429):
        wait_s = int(refused.name.rpartition("_")[2])
        return ApiError(f"Too Many Requests: retry after {wait_s}", code=429, retry_after_s=wait_s)
    if refused.code == 401:
        return ApiError("Unauthorized")
    if refused.code >= 500:
        return ApiError(f"Internal Server Error: {refused.name}", code=refused.code)
    return ApiError(WORDS.get(refused.name, f"Bad Request: {refused.name}"))

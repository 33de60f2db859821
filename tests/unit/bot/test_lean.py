"""aiogram's types are built when they are needed, and can all be built."""

from __future__ import annotations

import subprocess
import sys

_FRESH = """
import gateway.bot.face
from aiogram import types
assert not types.Message.__pydantic_complete__, "built in advance"
said = {"message_id": 1, "date": 0, "chat": {"id": 1, "type": "private"}, "text": "hello"}
assert types.Update.model_validate({"update_id": 1, "message": said}).message.chat.id == 1
assert types.Message(message_id=1, date=0, chat=types.Chat(id=1, type="private")).chat.id == 1
for name in ("InlineKeyboardMarkup", "InlineQueryResultArticle", "ChatMemberUpdated", "BusinessConnection"):
    assert getattr(types, name).model_rebuild() is not False, name
"""


def test_types_of_the_bot_api_are_built_on_first_use_and_not_before() -> None:
    """In a fresh interpreter: this one has built some already."""
    done = subprocess.run([sys.executable, "-c", _FRESH], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr

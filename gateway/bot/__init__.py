"""The administrators' bot (R2): a face of the use-cases in Telegram's Bot API. It decides nothing by itself."""

from gateway.bot import lean  # noqa: F401  isort: skip  # before aiogram
from gateway.bot.face import AdministratorBot
from gateway.bot.settings import BotSettings

__all__ = ["AdministratorBot", "BotSettings"]

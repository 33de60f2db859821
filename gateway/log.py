"""Logging: events with fields; numbers of people masked, secrets never."""

from __future__ import annotations

import logging
import re
import sys
from typing import Final, Literal

import structlog
from structlog.dev import plain_traceback
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, WrappedLogger

#: Fields that hold a number or a name of a person. Masking here, once, means that
#: nobody who logs has to think of it.
PERSONAL: Final = frozenset({"phone", "number", "dialled", "to", "caller", "peer", "username"})
#: Fields that must not be logged at all: that they are is a fault, and is shown as one.
SECRET: Final = frozenset({"password", "secret", "key", "token", "login_code", "session", "auth", "api_hash"})

_LONG_NUMBER: Final = re.compile(r"\d{6,}")


def masked(text: str) -> str:
    """A number with only its first three and last two digits left; a name with its first letter."""
    if _LONG_NUMBER.search(text):
        return _LONG_NUMBER.sub(lambda found: f"{found[0][:3]}…{found[0][-2:]}", text)
    if text.startswith("@") and len(text) > 2:
        return f"{text[:2]}…"
    return text


def mask_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A structlog processor: masks what is personal, withholds what is secret."""
    for name, value in event.items():
        if name in SECRET:
            event[name] = "(withheld)"
        elif name in PERSONAL and isinstance(value, str):
            event[name] = masked(value)
    return event


def escape_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A structlog processor: what somebody wrote is no further line of the log, and moves no terminal's cursor."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable() and name not in ("exception", "stack"):
            event[name] = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in value)
    return event


def configure(level: str = "info", style: Literal["console", "json"] = "console") -> None:
    """Set up logging for this process: structlog's events and the libraries' own, on standard error.

    Tracebacks tell the lines, and not what the variables held: passwords are among them.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_fields,
    ]
    if style == "json":
        last: list[structlog.typing.Processor] = [
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
    else:
        console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain_traceback)
        last = [escape_fields, console]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # These tell of each of their steps at INFO, in words of their own; we say the same once, in ours.
    for library in ("telethon", "alembic", "panoramisk"):
        logging.getLogger(library).setLevel(max(root.level, logging.WARNING))

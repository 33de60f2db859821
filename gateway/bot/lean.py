"""aiogram without what it builds in advance. `face`, the door, imports this first: after aiogram it changes nothing.

aiogram builds a validator for each of the Bot API's 330 types when it is imported, each with all that it refers to:
3 s and 110 MB, for the few dozen that a bot ever meets. Here they are built when they are first used, as pydantic does
by itself with types that say `defer_build`, which aiogram's say. For that each module of theirs is given the names that
its types refer to, which aiogram hands to the builder instead.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pydantic import BaseModel

_PACKAGE: Final = "aiogram.types"


@contextmanager
def _nothing_built() -> Iterator[None]:
    build = BaseModel.__dict__["model_rebuild"]
    BaseModel.model_rebuild = classmethod(lambda cls, **_: None)  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        BaseModel.model_rebuild = build  # type: ignore[method-assign]


def _name_each_other() -> None:
    types = vars(sys.modules[_PACKAGE])
    known: dict[str, Any] = {name: types[name] for name in types["__all__"]}
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{_PACKAGE}."):
            for type_name, type_ in known.items():
                vars(module).setdefault(type_name, type_)


if _PACKAGE not in sys.modules:
    with _nothing_built():
        importlib.import_module(_PACKAGE)
    _name_each_other()

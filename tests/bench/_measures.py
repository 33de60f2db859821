"""What there is to measure. Apart from the command, so that a process of its own can find it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

import tests.bench

Row = dict[str, Any]


def module(name: str) -> ModuleType:
    return importlib.import_module(f"tests.bench.{name}")


def measures() -> list[str]:
    """The names of all."""
    found = [found.name for found in pkgutil.iter_modules(tests.bench.__path__) if not found.name.startswith("_")]
    return [name for name in found if hasattr(module(name), "run")]


def has_quick_form(name: str) -> bool:
    return "quick" in inspect.signature(module(name).run).parameters


def measure(name: str, quick: bool) -> tuple[list[Row], str]:
    """Its rows; and a sentence about what it left out, with how to get it, or ""."""
    chosen = module(name)
    rows: list[Row] = chosen.run(quick=True) if quick and has_quick_form(name) else chosen.run()
    left_out: str = chosen.left_out() if hasattr(chosen, "left_out") else ""
    return rows, left_out

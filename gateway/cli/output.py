"""What commands print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

OUT: Final = Console(highlight=False)


def show(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]], make: str = "") -> None:
    """A table; where it would be empty, a sentence with the command that makes the first row."""
    if not rows:
        OUT.print(f"None yet. Make one: {make}" if make else "None.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    OUT.print(table)


def _plain(text: str) -> str:
    """Without what a terminal or Rich would take for a command: names come from people."""
    return "".join(c for c in text if c.isprintable()).replace("[", "\\[")

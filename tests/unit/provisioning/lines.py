"""Lines to try things on."""

from __future__ import annotations

from gateway.call.model import Line, LineKind


def pbx_line(line_id: int = 1, **changes: object) -> Line:
    """A line whose PBX registers with us."""
    return _line(line_id, LineKind.PBX_REGISTERS, {"password": "Right-1"} | changes)


def our_line(line_id: int = 1, port: int | None = None, **changes: object) -> Line:
    """A line on which we register with a PBX."""
    fields = {"login": "100", "password": "x", "host": "127.0.0.1", "port": port}
    return _line(line_id, LineKind.WE_REGISTER, fields | changes)


def trunk(line_id: int = 1, port: int | None = None, **changes: object) -> Line:
    """A line from address to address."""
    return _line(line_id, LineKind.TRUNK, {"host": "127.0.0.1", "port": port} | changes)


def _line(line_id: int, kind: LineKind, fields: dict[str, object]) -> Line:
    named = {"name": f"Line {line_id}"} | fields
    return Line(id=line_id, account_id=1, kind=kind, **named)  # type: ignore[arg-type]

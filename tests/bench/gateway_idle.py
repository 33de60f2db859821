"""What a gateway holds and uses while nobody calls."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from ._gateway_world import Footprint, Row, load, serving

#: What a start leaves to do is done by then.
_SETTLED_S: Final = 4.0
_MEASURED_S: Final = 10.0


async def _idle(settled_s: float, measured_s: float) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder)) as gateway:
            await asyncio.sleep(settled_s)
            share = await gateway.processor_share(measured_s)
            held, alone = gateway.footprint(), gateway.held_alone()
    rows: list[Row] = [{"name": "idle, memory on a machine of its own", "value": alone, "unit": "MB", "of": "all"}]
    held["all"], share["all"] = sum(held.values(), Footprint()), sum(share.values())
    for part in held:
        rows.append({"name": "idle, memory (PSS)", "value": held[part].pss, "unit": "MB", "of": part})
        rows.append({"name": "idle, memory (RSS)", "value": held[part].rss, "unit": "MB", "of": part})
        rows.append({"name": "idle, cpu", "value": share[part], "unit": "% of a core", "of": part, "load": load()})
    return rows


def run(quick: bool = False) -> list[Row]:
    return asyncio.run(_idle(2.0, 4.0) if quick else _idle(_SETTLED_S, _MEASURED_S))

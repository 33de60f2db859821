"""`make bench`: the figures of this folder, as tables and in build/bench.json.

Each module here with a `run()` measures one thing and returns rows of {"name", "value", "unit", …parameters}. Each runs
in a process of its own, so that one's memory and caches don't count for another's. What the figures mean, and what they
were: docs/performance.md.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import math
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from gateway.sandbox.network import enter_private_network

from ._measures import Row, has_quick_form, measure, measures

RESULT: Final = Path("build/bench.json")

#: Minutes of each, of interest to whoever changes the part itself: left out unless named, or with --all.
LONG: Final = ("engine_churn", "engine_crowd", "engine_quality", "media_worker")


def machine() -> dict[str, Any]:
    """What the figures were measured on: they mean little without it."""
    cpu = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in cpu if line.startswith("model name")]
    kib = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(kib / 2**20),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def load() -> float:
    return round(os.getloadavg()[0], 1)


def table(title: str, rows: list[Row]) -> Table:
    made = Table(title=title, title_justify="left")
    made.add_column("measured")
    made.add_column("with")
    made.add_column("value", justify="right")
    made.add_column("unit")
    for row in rows:
        given = {name: value for name, value in row.items() if name not in ("name", "value", "unit")}
        value = f"{row['value']:.3g}" if isinstance(row["value"], float) else str(row["value"])
        made.add_row(row["name"], ", ".join(f"{name} {value}" for name, value in given.items()), value, row["unit"])
    return made


def chosen(names: Sequence[str], *, quick: bool, everything: bool) -> list[str]:
    known = measures()
    if unknown := set(names) - set(known):
        sys.exit(f"bench: no measure is called {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    if names or everything:
        return list(names) or known
    return [name for name in known if (has_quick_form(name) if quick else name not in LONG)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", help="what to measure; everything but the long ones without one")
    parser.add_argument("--quick", action="store_true", help="the whole gateway alone, and shorter: a first impression")
    parser.add_argument("--all", action="store_true", help=f"the long ones as well: {', '.join(LONG)}")
    asked = parser.parse_args()
    enter_private_network()
    console = Console(width=None if sys.stdout.isatty() else 160)
    host = machine()
    told = ", ".join(f"{name} {value}" for name, value in host.items())
    console.print(f"{told}; load {load()} at the start", highlight=False)
    rows: list[Row] = []
    failed: list[str] = []
    began = time.monotonic()
    for name in chosen(asked.names, quick=asked.quick, everything=asked.all):
        try:
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
                found, left_out = fresh.submit(measure, name, asked.quick).result()
        except Exception:  # noqa: BLE001  # at the outermost edge: what others measure is not lost
            console.print_exception()
            failed.append(name)
            continue
        console.print(table(name, found))
        if left_out:
            console.print(left_out, highlight=False)
        rows += [{**row, "of_measure": name} for row in found]
    RESULT.parent.mkdir(exist_ok=True)
    # NaN, a figure that could not be had, is no JSON.
    kept = [row for row in rows if not (isinstance(row["value"], float) and math.isnan(row["value"]))]
    RESULT.write_text(json.dumps([{**row, "machine": host} for row in kept], indent=1) + "\n")
    took = time.monotonic() - began
    console.print(
        f"{len(kept)} figures are in {RESULT}; it took {took:.0f} s, load {load()} at the end", highlight=False
    )


if __name__ == "__main__":
    main()

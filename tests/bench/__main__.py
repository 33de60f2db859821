"""`make bench`: every figure of this folder, as a table and in build/bench.json.

Each module here with a `run()` measures one thing and returns rows of {"name", "value", "unit", …parameters}.
Names of modules as arguments choose among them. Each runs in a process of its own, so that one's memory and caches
don't count for another's.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import importlib
import json
import multiprocessing
import os
import pkgutil
import platform
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import tests.bench
from gateway.sandbox.network import enter_private_network

RESULT = Path("build/bench.json")

Row = dict[str, Any]


def machine() -> str:
    """What the figures were measured on: they mean little without it."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    kib = int(Path("/proc/meminfo").read_text().split()[1])
    load = os.getloadavg()[0]
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, {kib / 2**20:.0f} GiB, "
        f"Linux {platform.release()}, Python {platform.python_version()}, load {load:.1f} at the start"
    )


def measures() -> list[str]:
    found = [module.name for module in pkgutil.iter_modules(tests.bench.__path__) if not module.name.startswith("_")]
    return [name for name in found if hasattr(importlib.import_module(f"tests.bench.{name}"), "run")]


def measure(name: str) -> list[Row]:
    rows: list[Row] = importlib.import_module(f"tests.bench.{name}").run()
    return rows


def table(title: str, rows: list[Row]) -> Table:
    made = Table(title=title, title_justify="left")
    for column, justify in (("measured", "left"), ("with", "left"), ("value", "right"), ("unit", "left")):
        made.add_column(column, justify="right" if justify == "right" else "left")
    for row in rows:
        parameters = ", ".join(f"{k} {v}" for k, v in row.items() if k not in ("name", "value", "unit"))
        value = f"{row['value']:.3g}" if isinstance(row["value"], float) else str(row["value"])
        made.add_row(row["name"], parameters, value, row["unit"])
    return made


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", help="what to measure; everything without one")
    chosen = parser.parse_args().names
    enter_private_network()
    known = measures()
    if unknown := set(chosen) - set(known):
        sys.exit(f"bench: no measure is called {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    console = Console()
    console.print(machine())
    rows: list[Row] = []
    for name in chosen or known:
        fresh = concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        with fresh:
            found = fresh.submit(measure, name).result()
        console.print(table(name, found))
        rows += found
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps([{**row, "machine": machine()} for row in rows], indent=1) + "\n")
    console.print(f"{len(rows)} figures are in {RESULT}")


if __name__ == "__main__":
    main()

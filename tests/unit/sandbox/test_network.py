from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.sandbox.network import ADDRESS, MARK, enter_private_network

ENTER = "import gateway.sandbox.network as n, os; print(n.enter_private_network(), os.readlink('/proc/self/ns/net'))"

#: Runs its arguments where no user namespace can be made any more.
NO_MORE = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'


def test_the_tests_live_in_it() -> None:
    with socket.create_server((ADDRESS, 0)) as server, socket.create_connection(server.getsockname()):
        pass


def test_nothing_gets_out() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, pytest.raises(OSError, match="unreachable"):
        probe.connect(("192.0.2.1", 9))


def test_entering_twice_changes_nothing() -> None:
    before = os.readlink("/proc/self/ns/net")
    assert enter_private_network() == ADDRESS
    assert os.readlink("/proc/self/ns/net") == before


def test_a_child_stays_in_its_parents_network() -> None:
    child = subprocess.run([sys.executable, "-c", ENTER], capture_output=True, text=True, check=True, timeout=20)
    assert child.stdout.split() == [ADDRESS, os.readlink("/proc/self/ns/net")]


def test_threads_started_before_are_refused_with_a_sentence() -> None:
    script = f"import threading; threading.Thread(target=threading.Event().wait, daemon=True).start(); {ENTER}"
    child = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        env={name: value for name, value in os.environ.items() if name != MARK},
    )
    assert "before any thread is started" in child.stderr


def test_another_user_than_root_keeps_his_id_and_no_more_powers(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o777)
    made = tmp_path / "made"
    # Everything is imported while still root, because another user may not be able to read the interpreter's folder;
    # PR_SET_DUMPABLE (4), because a process that changed its user may not write its own /proc.
    script = (
        "import ctypes, os, pyroute2; pyroute2.IPRoute().close(); import gateway.sandbox.network as n; "
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); ctypes.CDLL(None).prctl(4, 1); "
        f"n.enter_private_network(); open({str(made)!r}, 'w').close(); print(os.getuid()); "
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('CapEff')))"
    )
    child = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        env={name: value for name, value in os.environ.items() if name != MARK},
    )
    if "the kernel refuses" in child.stderr:
        pytest.skip(child.stderr.splitlines()[-1])
    assert child.stdout.split() == ["65534", "0" * 16], child.stderr
    assert made.stat().st_uid == 65534


def test_why_there_can_be_none_is_found_out_without_harm() -> None:
    """As on a host that lets users have no namespaces: here one that may have none more, and no powers in its own."""
    script = (
        "import gateway.sandbox.network as n, os; before = os.readlink('/proc/self/ns/net'); "
        "print(n.why_no_private_network()); print(os.readlink('/proc/self/ns/net') == before)"
    )
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", script]
    child = subprocess.run(
        [*("unshare", "--user", "--map-root-user"), *("sh", "-c", NO_MORE, "sh"), *powerless],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        env={name: value for name, value in os.environ.items() if name != MARK},
    )
    if "unshare:" in child.stderr:
        pytest.skip(child.stderr)
    reason, same = child.stdout.splitlines()
    assert reason.startswith("the kernel refuses a private network")
    assert same == "True"

"""A network of our own: lo and one other interface, no way out.

libwebrtc ignores loopback, so calls on one machine want another interface; and nothing that is tried here may reach
anybody outside. A network namespace gives both.
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path
from typing import Final

#: The one address besides loopback. Source: RFC 2544 §C.2.2 (198.18.0.0/15 is set apart for tests).
ADDRESS: Final = "198.18.0.1"
PREFIX_LENGTH: Final = 24

#: Names the namespace that was entered, so that children, which inherit it, do not enter another.
MARK: Final = "SANDBOX_NETWORK"

#: Source: unshare(2).
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000

#: Source: capset(2), _LINUX_CAPABILITY_VERSION_3.
CAPABILITY_VERSION: Final = 0x20080522


class PrivateNetworkError(RuntimeError):
    """The kernel refuses a network of our own; the text is a sentence for a person."""


def enter_private_network() -> str:
    """Move this process, and all that it starts, into a network namespace of its own.

    Call it first thing: the kernel moves only the calling thread, so there may be no other. Calling it again, or in a
    child, does nothing. Root needs nothing else; another user gets a user namespace as well, in which he keeps his own
    id, so that files keep their owner.

    Returns:
        The address that is not loopback.

    Raises:
        PrivateNetworkError: The kernel refuses, or threads were started before.

    Source: network_namespaces(7), user_namespaces(7), veth(4).
    """
    if os.environ.get(MARK) == _namespace():
        return ADDRESS
    if len(os.listdir("/proc/self/task")) > 1:
        raise PrivateNetworkError("a private network must be entered before any thread is started")
    _unshare()
    _raise_interfaces()
    if os.geteuid() != 0:
        _lay_down_capabilities()
    os.environ[MARK] = _namespace()
    return ADDRESS


def why_no_private_network() -> str:
    """A sentence, where `enter_private_network` would be refused; empty where it would not.

    A child finds out: a network that was entered, and then could not be furnished, can't be left again.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            enter_private_network()
        except PrivateNetworkError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as said:
        sentence = said.read()
    os.waitpid(child, 0)
    return sentence


def _namespace() -> str:
    return os.readlink("/proc/self/ns/net")


def _unshare() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) == 0:
        return
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        raise _refusal(ctypes.get_errno())
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    except OSError as error:
        raise _refusal(error.errno or 0) from error


def _raise_interfaces() -> None:
    # Imported late: it is needed here alone, and slow to import.
    from pyroute2 import IPRoute  # noqa: PLC0415
    from pyroute2.netlink.exceptions import NetlinkError  # noqa: PLC0415

    try:
        with IPRoute() as route:
            route.link("set", index=route.link_lookup(ifname="lo")[0], state="up")
            route.link("add", ifname="tg0", peer="tg1", kind="veth")
            near, far = (route.link_lookup(ifname=name)[0] for name in ("tg0", "tg1"))
            route.addr("add", index=near, address=ADDRESS, prefixlen=PREFIX_LENGTH)
            for index in (near, far):
                route.link("set", index=index, state="up")
    except (NetlinkError, OSError) as error:
        # NetlinkError carries the kernel's number as `code`.
        raise _refusal(getattr(error, "code", None) or getattr(error, "errno", None) or 0) from error


def _lay_down_capabilities() -> None:
    """Be no more than before: whoever makes a user namespace has all powers in it, over his own read-only files too."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    none_of_them = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, none_of_them) != 0:
        raise _refusal(ctypes.get_errno())


def _refusal(code: int) -> PrivateNetworkError:
    reason = f"the kernel refuses a private network ({errno.errorcode.get(code, code)})"
    match code:
        case errno.EOPNOTSUPP | errno.ENODEV:
            return PrivateNetworkError(f"{reason}: it has no veth interfaces; as root: modprobe veth")
        case errno.EPERM | errno.EACCES:
            return PrivateNetworkError(
                f"{reason}: run as root, or let users have namespaces; as root: "
                "sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0"
            )
        case errno.ENOSPC:
            return PrivateNetworkError(f"{reason}; as root: sysctl -w user.max_user_namespaces=1000")
    return PrivateNetworkError(f"{reason}: {os.strerror(code)}")

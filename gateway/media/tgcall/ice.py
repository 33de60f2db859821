"""ICE: find a path to the peer, keep it proven, and change to another when it dies.

Pure: time is handed in; packets go out through the `Path`s.

One component, one stream, trickled candidates. Pairs are of a *path* and a remote address: our host sockets are bound
to every address of their family, and the kernel's routes choose among them. Every check is a transaction of its own.

Nomination is regular; the selected pair's keep-alives repeat USE-CANDIDATE, as the peers' own do. A pair may carry
the DTLS handshake before it is nominated, which saves a round trip.

Source: RFC 8445; RFC 8838 (trickle); RFC 7675 (consent).
"""

from __future__ import annotations

import base64
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from . import stun
from .candidate import TYPE_PREFERENCE, Candidate, candidate_priority, pair_priority, reflector_name
from .limits import TokenBucket
from .model import Address, PathKind
from .paths import Path
from .stun import Attribute, Kind, Method, StunMessage

#: A check is repeated after 50 ms, 100 ms … 1.6 s.
FIRST_RETRY_S: Final = 0.05
LAST_RETRY_S: Final = 1.6
#: A pair that never answered in this time is given up, until the peer is heard on it.
CHECK_FOR_S: Final = 12.0
#: Two repetitions fit before a path counts as silent.
KEEPALIVE_S: Final = 1.5
SPARE_KEEPALIVE_S: Final = 5.0
#: Nothing at all from the peer for so long: look for another path.
SILENT_AFTER_S: Final = 3.0
#: It is heard, but does not answer: it may not hear us.
UNANSWERED_AFTER_S: Final = 6.0
#: No path has answered: the peer is gone. Source: facts of Telegram's library, which waits 21 s.
LOST_AFTER_S: Final = 20.0
#: How long a new path may still push aside another that works, for being better.
SETTLE_S: Final = 1.0

MOST_PAIRS: Final = 32
MOST_REMOTES: Final = 32
MOST_TRANSACTIONS: Final = 256
REQUESTS_PER_S: Final = 50.0
REQUESTS_AT_ONCE: Final = 100.0
CHECKS_PER_S: Final = 100.0
CHECKS_AT_ONCE: Final = 40.0

#: The fewer hands in between, the better.
_RANKS: Final = {kind: -at for at, kind in enumerate(PathKind)}
_ROLE_CONFLICT: Final = 487


@dataclass(frozen=True, slots=True)
class Credentials:
    ufrag: str
    pwd: str = field(repr=False)

    @classmethod
    def fresh(cls) -> Credentials:
        """Source: RFC 8445 §5.3 (24 and 128 bits of randomness at least); RFC 8839 §5.4 (the characters of base 64)."""
        ufrag, pwd = (base64.b64encode(secrets.token_bytes(size)).decode() for size in (6, 18))
        return cls(ufrag, pwd)


@dataclass(slots=True, eq=False)
class Pair:
    """A path and a remote address, and what is known of them together.

    Attributes:
        heard_at: When the peer was last heard on it, authenticated.
        answered_at: When the peer last answered a check of ours.
        nominated_at: When the peer (controlling) last chose it.
        rank: What makes one pair better than another: fewer hands in between, then ICE's own order.
    """

    path: Path
    remote: Candidate
    rank: tuple[int, int]
    check_at: float
    checked_at: float = float("-inf")
    retry_s: float = FIRST_RETRY_S
    began_at: float = 0.0
    valid: bool = False
    heard_at: float = float("-inf")
    answered_at: float = float("-inf")
    nominated_at: float = float("-inf")
    round_trip_s: float | None = None

    def hears(self, now: float) -> bool:
        return now - self.heard_at < SILENT_AFTER_S and now - self.answered_at < UNANSWERED_AFTER_S


class IceAgent:
    """One end of ICE.

    Args:
        controlling: The caller is.

    Attributes:
        selected: The pair that carries the call; None until a first one answered.
        local: Our credentials, to be told to the peer.
        changes: How often the selected pair changed, after the first choice settled.
        ignored: Packets that were dropped: unauthentic, malformed or too many.
    """

    def __init__(self, controlling: bool) -> None:
        self.controlling = controlling
        self.local = Credentials.fresh()
        self.selected: Pair | None = None
        self.changes = 0
        self.ignored = 0
        self._tie_breaker = secrets.randbits(64)
        self._earlier_local: Credentials | None = None
        self._remote: Credentials | None = None
        self._paths: list[Path] = []
        self._remotes: dict[Address, Candidate] = {}
        self._pairs: dict[tuple[Path, Address], Pair] = {}
        self._asked: dict[bytes, tuple[Pair, float]] = {}
        self._asked_in_order: deque[bytes] = deque()
        self._requests = TokenBucket(REQUESTS_PER_S, REQUESTS_AT_ONCE)
        self._checks = TokenBucket(CHECKS_PER_S, CHECKS_AT_ONCE)
        self._first_valid_at: float | None = None
        self._answered_at = float("-inf")
        self._probing = False
        self._due = float("inf")

    # -- what is learnt from outside -----------------------------------------------------------------------------

    @property
    def has_remote(self) -> bool:
        return self._remote is not None

    def add_path(self, path: Path, now: float) -> None:
        self._paths.append(path)
        for remote in list(self._remotes.values()):
            self._pair(path, remote, now)

    def remove_path(self, path: Path, now: float) -> None:
        self._paths = [other for other in self._paths if other is not path]
        self._pairs = {key: pair for key, pair in self._pairs.items() if pair.path is not path}
        if self.selected is not None and self.selected.path is path:
            self.selected = None
            self._select(now)

    def set_remote(self, credentials: Credentials, now: float) -> bool:
        """Take the peer's credentials; answer whether they restart ICE.

        On a restart the pair in use goes on carrying the call until a new check succeeds.
        """
        if credentials == self._remote:
            return False
        restart = self._remote is not None
        self._remote = credentials
        if restart:
            self._remotes.clear()
        for pair in self._pairs.values():
            self._check_again(pair, now)
        self._due = now
        return restart

    def restart(self, now: float) -> None:
        """Take new credentials of our own; checks with the earlier ones are still answered."""
        self._earlier_local = self.local
        self.local = Credentials.fresh()
        for pair in self._pairs.values():
            self._check_again(pair, now)
        self._due = now

    def add_remote(self, remote: Candidate, now: float) -> None:
        if remote.address in self._remotes or len(self._remotes) >= MOST_REMOTES:
            return
        self._remotes[remote.address] = remote
        for path in self._paths:
            self._pair(path, remote, now)

    def pair_of(self, path: Path, source: Address) -> Pair | None:
        """The pair on which a packet came, if the peer was ever heard on it."""
        return self._pairs.get((path, source))

    def is_lost(self, now: float) -> bool:
        """Whether no path has answered for so long that the peer must be gone."""
        return self._first_valid_at is not None and now - self._answered_at > LOST_AFTER_S

    def is_silent(self, now: float) -> bool:
        """Whether the selected pair is silent, and no other one has taken its place."""
        return self.selected is None or not self.selected.hears(now)

    # -- packets -------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, path: Path, source: Address, now: float) -> None:
        message = stun.parse(data)
        if message is None or message.method != Method.BINDING:
            self.ignored += 1
        elif message.kind == Kind.REQUEST:
            self._hear_request(message, path, source, now)
        elif message.kind in (Kind.SUCCESS, Kind.ERROR):
            self._hear_response(message, path, source, now)

    def poll(self, now: float) -> float:
        """Send the checks that are due, drop what is dead; answer when to come again."""
        if now < self._due:
            return self._due
        if self._remote is None:
            self._due = float("inf")
            return self._due
        for pair in sorted(self._pairs.values(), key=_rank, reverse=True):
            if now >= pair.check_at:
                if not self._checks.take(now):
                    break
                self._check(pair, now)
        self._give_up_on_old(now)
        self._select(now)
        self._due = min((pair.check_at for pair in self._pairs.values()), default=float("inf"))
        if self.selected is not None:
            self._due = min(self._due, max(now + 0.1, self.selected.heard_at + SILENT_AFTER_S))
        return self._due

    # -- pairs ---------------------------------------------------------------------------------------------------

    def _pair(self, path: Path, remote: Candidate, now: float) -> Pair | None:
        key = (path, remote.address)
        pair = self._pairs.get(key)
        if pair is None and path.reaches(remote.address):
            if len(self._pairs) >= MOST_PAIRS and not self._make_room():
                return None
            pair = self._pairs[key] = Pair(path, remote, self._rank(path, remote), check_at=now, began_at=now)
            self._due = now
        return pair

    def _make_room(self) -> bool:
        """Drop the worst pair that never answered."""
        never = [key for key, pair in self._pairs.items() if not pair.valid]
        if not never:
            return False
        del self._pairs[min(never, key=lambda key: self._pairs[key].rank)]
        return True

    def _check_again(self, pair: Pair, now: float) -> None:
        pair.check_at = now
        pair.began_at = now
        pair.retry_s = FIRST_RETRY_S
        self._due = min(self._due, now)

    def _give_up_on_old(self, now: float) -> None:
        for key, pair in list(self._pairs.items()):
            silent_since = max(pair.began_at, pair.answered_at, pair.heard_at)
            if pair is not self.selected and now - silent_since > CHECK_FOR_S:
                del self._pairs[key]

    def _rank(self, path: Path, remote: Candidate) -> tuple[int, int]:
        ours, theirs = path.priority, remote.priority
        controlling, controlled = (ours, theirs) if self.controlling else (theirs, ours)
        return _RANKS[path.kind], pair_priority(controlling, controlled)

    def _change_role(self) -> None:
        self.controlling = not self.controlling
        for pair in self._pairs.values():
            pair.rank = self._rank(pair.path, pair.remote)

    # -- checks --------------------------------------------------------------------------------------------------

    def _check(self, pair: Pair, now: float) -> None:
        assert self._remote is not None
        transaction = stun.new_transaction()
        role = Attribute.ICE_CONTROLLING if self.controlling else Attribute.ICE_CONTROLLED
        local_preference = pair.path.priority >> 8 & 0xFFFF
        attributes: list[tuple[int, bytes]] = [
            (Attribute.USERNAME, f"{self._remote.ufrag}:{self.local.ufrag}".encode()),
            (Attribute.PRIORITY, candidate_priority("prflx", local_preference).to_bytes(4, "big")),
            (role, self._tie_breaker.to_bytes(8, "big")),
        ]
        if self.controlling and pair is self.selected:
            attributes.append((Attribute.USE_CANDIDATE, b""))
        key = self._remote.pwd.encode()
        self._remember(transaction, pair, now)
        self._plan(pair, now)
        pair.path.send(stun.build(Method.BINDING, Kind.REQUEST, transaction, attributes, key), pair.remote.address)

    def _plan(self, pair: Pair, now: float) -> None:
        """When to check a pair next, if it stays silent."""
        pair.checked_at = now
        pair.check_at = now + pair.retry_s
        pair.retry_s = min(pair.retry_s * 2, LAST_RETRY_S)

    def _remember(self, transaction: bytes, pair: Pair, now: float) -> None:
        self._asked[transaction] = (pair, now)
        self._asked_in_order.append(transaction)
        if len(self._asked_in_order) > MOST_TRANSACTIONS:
            self._asked.pop(self._asked_in_order.popleft(), None)

    def _hear_response(self, message: StunMessage, path: Path, source: Address, now: float) -> None:
        pair, sent_at = self._asked.get(message.transaction, (None, 0.0))
        if pair is None or self._remote is None or not message.signed_with(self._remote.pwd.encode()):
            self.ignored += 1
            return
        del self._asked[message.transaction]
        if message.kind == Kind.ERROR:
            if message.error == _ROLE_CONFLICT:
                self._change_role()
                self._check_again(pair, now)
            return
        # An answer from elsewhere proves another path than the one that was asked. Source: RFC 8445 §7.2.5.2.1.
        if pair.path is not path or pair.remote.address != source:
            self.ignored += 1
            return
        if self._pairs.get((path, source)) is not pair:
            return  # given up, or its path has gone
        pair.valid = True
        pair.heard_at = pair.answered_at = self._answered_at = now
        pair.round_trip_s = now - sent_at
        pair.retry_s = FIRST_RETRY_S * 8
        pair.check_at = now + (KEEPALIVE_S if pair is self.selected else SPARE_KEEPALIVE_S)
        if self._first_valid_at is None:
            self._first_valid_at = now
        self._select(now)

    def _hear_request(self, message: StunMessage, path: Path, source: Address, now: float) -> None:
        credentials = self._addressed(message)
        # Strangers are limited apart, so that they can't use up what the peer needs.
        welcome = (path, source) in self._pairs or self._requests.take(now)
        if not welcome or credentials is None or not message.signed_with(credentials.pwd.encode()):
            self.ignored += 1
            return
        key = credentials.pwd.encode()
        if self._roles_conflict(message):
            error = b"\0\0\x04\x57Role Conflict"
            attributes: list[tuple[int, bytes]] = [(Attribute.ERROR_CODE, error)]
            path.send(stun.build(Method.BINDING, Kind.ERROR, message.transaction, attributes, key), source)
            return
        mapped = stun.xor_address(path.seen_as(source), message.transaction)
        attributes = [(Attribute.XOR_MAPPED_ADDRESS, mapped)]
        path.send(stun.build(Method.BINDING, Kind.SUCCESS, message.transaction, attributes, key), source)
        pair = self._pair(path, self._remote_at(message, source), now)
        if pair is None:
            return
        revived = now - pair.heard_at > SILENT_AFTER_S
        pair.heard_at = now
        if Attribute.USE_CANDIDATE in message.attributes:
            pair.nominated_at = now
        if (not pair.valid or revived) and now - pair.checked_at > FIRST_RETRY_S / 2:
            # Triggered check, unless one is under way. Source: RFC 8445 §7.3.1.4.
            self._check_again(pair, now)
            self.poll(now)
        self._select(now)

    def _addressed(self, message: StunMessage) -> Credentials | None:
        ours = message.attributes.get(Attribute.USERNAME, b"").partition(b":")[0]
        for credentials in (self.local, self._earlier_local):
            if credentials is not None and ours == credentials.ufrag.encode():
                return credentials
        return None

    def _roles_conflict(self, message: StunMessage) -> bool:
        """Settle a conflict of roles; answer whether the peer has to yield. Source: RFC 8445 §7.3.1.1."""
        theirs = message.u64(Attribute.ICE_CONTROLLING if self.controlling else Attribute.ICE_CONTROLLED)
        if theirs is None:
            return False
        if (self._tie_breaker >= theirs) == self.controlling:
            return True
        self._change_role()
        return False

    def _remote_at(self, message: StunMessage, source: Address) -> Candidate:
        known = self._remotes.get(source)
        if known is not None:
            return known
        priority = message.u32(Attribute.PRIORITY) or TYPE_PREFERENCE["prflx"] << 24
        kind = "relay" if reflector_name(source[0]) else "prflx"
        return Candidate(kind, source, priority)

    # -- choice --------------------------------------------------------------------------------------------------

    def _select(self, now: float) -> None:
        """Choose the pair that carries the call.

        The controlling end takes the best that works, and keeps it while it does. The controlled end follows the
        last nomination, and chooses by itself only until there is one, or when the nominated pair has died.
        """
        working = [pair for pair in self._pairs.values() if pair.valid and pair.hears(now)]
        if not working:
            self._probe(now)
            return
        self._probing = False
        current = self.selected if self.selected in working else None
        if not self.controlling:
            best = max(working, key=lambda pair: (pair.nominated_at, pair is current, pair.rank))
        else:
            best = max(working, key=_rank)
            if current is not None and self._settled(now) and best.path.kind is current.path.kind:
                best = current
        if best is not self.selected:
            self._choose(best, now)

    def _settled(self, now: float) -> bool:
        return self._first_valid_at is not None and now - self._first_valid_at > SETTLE_S

    def _choose(self, pair: Pair, now: float) -> None:
        if self.selected is not None and self._settled(now):
            self.changes += 1
        self.selected = pair
        if self.controlling:
            pair.check_at = self._due = now  # this nominates it

    def _probe(self, now: float) -> None:
        """The selected pair has died and no other is known to work: ask them all, and go on asking."""
        if self._first_valid_at is None or self._remote is None:
            return
        for remote in list(self._remotes.values()):
            for path in self._paths:
                self._pair(path, remote, now)
        if not self._probing:
            self._probing = True
            for pair in self._pairs.values():
                self._check_again(pair, now)


def _rank(pair: Pair) -> tuple[int, int]:
    return pair.rank

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media.tgcall import sctp
from gateway.media.tgcall.datachannel import DataChannel
from gateway.media.tgcall.sctp import Sctp, SctpMessage, State
from gateway.media.tgcall.sctpwire import Chunk, build_chunk, build_packet, crc32c


class Ends:
    """Two associations on a network that loses, repeats and delays, in virtual time."""

    def __init__(self, drop: Callable[[], bool] = lambda: False, copies: int = 1, jitter_s: float = 0.0) -> None:
        self.now = 0.0
        self.packets = 0
        self._dice = random.Random(9)
        self.under_way: list[tuple[float, int, bytes]] = []
        self.received: tuple[list[SctpMessage], list[SctpMessage]] = ([], [])
        self._drop, self._copies, self._jitter_s = drop, copies, jitter_s
        self.ends = [Sctp(lambda packet, n=n: self._carry(1 - n, packet)) for n in (0, 1)]  # type: ignore[misc]

    def _carry(self, to: int, packet: bytes) -> None:
        self.packets += 1
        if not self._drop():
            for _ in range(self._copies):
                self.under_way.append((self.now + 0.02 + self._dice.random() * self._jitter_s, to, packet))

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.02)):
            self.now += 0.02
            arrived = sorted(item for item in self.under_way if item[0] <= self.now)
            self.under_way = [item for item in self.under_way if item[0] > self.now]
            for _, to, packet in arrived:
                self.received[to].extend(self.ends[to].receive(packet, self.now))
            for end in self.ends:
                end.poll(self.now)


def text(n: int) -> SctpMessage:
    return SctpMessage(0, 53, b"message %d" % n)


def test_both_ends_may_open_at_once() -> None:
    link = Ends()
    for end in link.ends:
        end.connect(0.0)
    link.ends[0].send(text(1))
    link.ends[1].send(text(2))
    link.run(1)
    assert [end.state for end in link.ends] == [State.ESTABLISHED] * 2
    assert link.received == ([text(2)], [text(1)])


def test_silent_callee_is_opened_by_the_first_packet() -> None:
    link = Ends()
    link.ends[1].send(text(2))
    link.ends[0].connect(0.0)
    link.run(1)
    assert link.received[0] == [text(2)]


@pytest.mark.parametrize("timers", [(0.4, 0.75), (1.0, 60.0)], ids=["newer", "older"])
def test_both_timings_of_telegrams_library_work(timers: tuple[float, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sctp, "RTO_INITIAL_S", timers[0])
    monkeypatch.setattr(sctp, "RTO_MAX_S", timers[1])
    lost = iter([True, False, True] + [False] * 1000)
    link = Ends(drop=lambda: next(lost, False))
    monkeypatch.undo()
    for end in link.ends:
        end.connect(0.0)
    link.ends[0].send(text(1))
    link.run(6)
    assert link.received[1] == [text(1)]


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("copies", [1, 2])
def test_messages_arrive_whole_in_order_and_once(loss: float, copies: int) -> None:
    dice = random.Random(2)
    link = Ends(drop=lambda: dice.random() < loss, copies=copies, jitter_s=0.05)
    for end in link.ends:
        end.connect(0.0)
    sent = [SctpMessage(0, 53, bytes([n]) * (1 + 700 * n)) for n in range(20)]
    for message in sent:
        link.ends[0].send(message)
        link.run(0.1)
    link.run(120)
    assert link.received[1] == sent


def test_long_message_grows_the_window_and_is_bounded_in_memory() -> None:
    link = Ends()
    for end in link.ends:
        end.connect(0.0)
    link.ends[0].send(SctpMessage(0, 53, bytes(100_000)))
    link.run(5)
    assert [len(m.data) for m in link.received[1]] == [100_000]


def test_too_long_message_is_dropped_and_the_next_arrives() -> None:
    link = Ends()
    for end in link.ends:
        end.connect(0.0)
    link.ends[0].send(SctpMessage(0, 53, bytes(200_000)))
    link.run(20)
    link.ends[0].send(text(1))
    link.run(5)
    assert link.received[1] == [text(1)]


def test_peer_that_starts_anew_is_taken_up_again() -> None:
    link = Ends()
    for end in link.ends:
        end.connect(0.0)
    link.run(1)
    link.ends[1] = Sctp(lambda packet: link._carry(0, packet))
    link.ends[1].connect(link.now)
    link.run(1)
    link.ends[1].send(text(1))
    link.ends[0].send(text(2))
    link.run(2)
    assert link.received[0] == [text(1)]
    assert link.received[1] == [text(2)]


def test_queue_to_a_peer_that_never_answers_is_bounded() -> None:
    end = Sctp(lambda _: None)
    end.connect(0.0)
    for _ in range(1000):
        end.send(SctpMessage(0, 53, bytes(1000)))
    assert end._queued_bytes <= sctp.MOST_QUEUED_BYTES
    now = 0.0
    for _ in range(1000):
        now += 1.0
        end.poll(now)
    assert end.state is State.ENDED


def test_abort_of_a_stranger_is_ignored() -> None:
    link = Ends()
    for end in link.ends:
        end.connect(0.0)
    link.run(1)
    link.ends[0].receive(build_packet(12345, build_chunk(Chunk.ABORT, 0, b"")), link.now)
    assert link.ends[0].state is State.ESTABLISHED


def test_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == (0xE3069283).to_bytes(4, "little")


@given(st.binary(max_size=3000), st.integers(0, 3000))
def test_checksum_does_not_depend_on_how_it_is_summed(data: bytes, at: int) -> None:
    slow = 0xFFFF_FFFF
    for byte in data:
        slow ^= byte
        for _ in range(8):
            slow = slow >> 1 ^ (0x82F6_3B78 if slow & 1 else 0)
    assert crc32c(data) == (slow ^ 0xFFFF_FFFF).to_bytes(4, "little")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([*Chunk, 64, 130, 192]), st.integers(0, 255), st.binary(max_size=60)), max_size=6
    ),
    st.booleans(),
)
def test_any_chunks_whatever_are_survived(chunks: list[tuple[int, int, bytes]], knows_tag: bool) -> None:
    link = Ends()
    for end in link.ends:
        end.connect(0.0)
    link.run(0.2)
    end = link.ends[0]
    packet = b"".join(build_chunk(kind, flags, body) for kind, flags, body in chunks)
    end.receive(build_packet(end._tag if knows_tag else 0, packet), link.now)
    end.poll(link.now)


@given(st.binary(max_size=200))
def test_noise_is_survived(noise: bytes) -> None:
    end = Sctp(lambda _: None)
    end.connect(0.0)
    blank = noise[:8] + bytes(4) + noise[12:]
    end.receive(noise, 0.0)
    end.receive(noise[:8] + crc32c(blank) + noise[12:], 0.0)


def test_data_channel_opens_and_carries_text_both_ways() -> None:
    now = 0.0
    under_way: list[tuple[int, bytes]] = []
    ends = [DataChannel(n == 0, lambda packet, n=n: under_way.append((1 - n, packet)), now) for n in (0, 1)]  # type: ignore[misc]
    heard: tuple[list[bytes], list[bytes]] = ([], [])
    for step in range(20):
        now += 0.02
        if step == 10:
            assert all(end.is_open for end in ends)
            ends[0].send(b"from the caller")
            ends[1].send(b"from the callee")
        packets, under_way[:] = list(under_way), []
        for to, packet in packets:
            heard[to].extend(ends[to].receive(packet, now))
        for end in ends:
            end.poll(now)
    assert heard == ([b"from the callee"], [b"from the caller"])


@given(st.lists(st.tuples(st.sampled_from([50, 51, 53, 7]), st.binary(max_size=40)), max_size=5))
def test_any_message_on_the_data_channel_is_survived(messages: list[tuple[int, bytes]]) -> None:
    under_way: list[tuple[int, bytes]] = []
    peer = Sctp(lambda packet: under_way.append((0, packet)))
    channel = DataChannel(False, lambda packet: under_way.append((1, packet)), 0.0)
    peer.connect(0.0)
    for ppid, data in messages:
        peer.send(SctpMessage(3, ppid, data))
    for _ in range(8):
        packets, under_way[:] = list(under_way), []
        for to, packet in packets:
            if to:
                peer.receive(packet, 0.1)
            else:
                channel.receive(packet, 0.1)
        peer.poll(0.1)
        channel.poll(0.1)

"""Figures for Prometheus: of calls, told by their moves and records; of the house, asked for when they are fetched.

No label says who called whom: the values of each are few, and known beforehand.

Source: https://prometheus.io/docs/practices/naming/ (names and base units).
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.call.model import CallRecord, CallState
from gateway.control.audio import TALK_S, AudioFault, audio_faults
from gateway.control.vitals import VitalSigns
from gateway.errors import HangupCause

#: Of people: they answer within seconds, and talk for minutes.
SETUP_S: Final = (0.25, 0.5, 1, 2, 3, 5, 8, 12, 20, 30, 60, 90)
LENGTH_S: Final = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
#: Of the network and of us.
CONNECT_S: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20)
TRIP_S: Final = (0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1)
JITTER_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
LOSS: Final = (0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)

#: These end a call by the failure of its media engine.
_MEDIA_FAILED: Final = frozenset({HangupCause.MEDIA_LOST, HangupCause.INCOMPATIBLE_PEER})
#: Who heard nothing then.
_DEAF: Final = {AudioFault.NOTHING_FROM_PBX: "telegram", AudioFault.NOTHING_FROM_USER: "sip"}
_UNKNOWN: Final = "unknown"


class Metrics:
    """All of them, in a registry of their own."""

    def __init__(self, signs: Callable[[], VitalSigns]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_House(signs))
        ProcessCollector(registry=self._registry)  # of the node: processor time, memory, open files
        self._began: dict[str, tuple[float, float | None]] = {}  # by call: offered at, answered by the far end at

        way = ("direction",)
        self._answered = self._counter("calls_answered", "Calls that were answered and carried audio.", way)
        self._ended = self._counter("calls_ended", "Calls that ended, by cause.", (*way, "cause"))
        self._alerted = self._histogram(
            "call_post_dial_delay_seconds", "From the offer to the far end's ringing.", SETUP_S, way
        )
        self._set_up = self._histogram("call_setup_seconds", "From the offer to audio both ways.", SETUP_S, way)
        self._connected = self._histogram(
            "call_connect_seconds", "From the far end's answer to audio both ways.", CONNECT_S, way
        )
        self._talked = self._histogram("call_duration_seconds", "Conversations, by their length.", LENGTH_S, way)

        engine = ("engine",)
        self._carried = self._counter(
            "media_calls",
            "Answered calls by what carried the Telegram half: engine, protocol version, kind of path.",
            (*engine, "version", "path"),
        )
        self._failed = self._counter(
            "media_failures", "Calls that ended because their audio failed.", (*engine, "cause", "when")
        )
        self._spared = self._counter(
            "media_engine_switches",
            "Calls given to the spare engine, by that engine and the failure of the first one with the same user.",
            (*engine, "cause"),
        )
        self._trips = self._histogram("media_round_trip_seconds", "To the user's app and back.", TRIP_S, ("path",))
        self._jitter = self._histogram("media_jitter_seconds", "Of what comes from Telegram.", JITTER_S)
        # What was received is on its way to the PBX, what was sent to the user.
        to = ("to",)
        self._loss = self._histogram(
            "media_loss_ratio", "Of the Telegram half at the call's end, as the receiver reports it.", LOSS, to
        )
        self._packets = self._counter("media_packets", "Packets of audio that came in.", to)
        self._lost = self._counter("media_packets_lost", "Packets that never came.", to)
        self._late = self._counter("media_packets_late", "Packets that came too late to be used.", to)
        self._concealed = self._counter("media_concealed_seconds", "Audio made up for what was lost.", to)
        self._filled = self._counter("media_filled_seconds", "Silence sent because nothing came.", to)
        self._dropped = self._counter("media_dropped_seconds", "Audio left out to keep the delay down.", to)
        self._one_way = self._counter(
            "calls_one_way", f"Conversations of {TALK_S:.0f} s and more in which this end heard nothing.", to
        )

    def call_moved(self, record: CallRecord, state: CallState) -> None:
        """For `Switchboard.watch`."""
        now, way = time.monotonic(), record.direction.value
        offered_at, answered_at = self._began.get(record.call_id, (now, None))
        match state:
            case CallState.DIALLING:
                self._began[record.call_id] = now, None
            case CallState.ALERTING:
                self._alerted.labels(way).observe(now - offered_at)
            case CallState.ANSWERING:
                self._began[record.call_id] = offered_at, now
            case CallState.UP:
                self._answered.labels(way).inc()
                self._set_up.labels(way).observe(now - offered_at)
                self._connected.labels(way).observe(now - (answered_at or now))
            case CallState.ENDED:
                self._began.pop(record.call_id, None)
                self._over(record)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)

    def _over(self, record: CallRecord) -> None:
        way, cause, media = record.direction.value, record.ending.cause, record.media
        self._ended.labels(way, cause.value).inc()
        answered = record.answered_at is not None
        if cause in _MEDIA_FAILED:
            when = "talking" if answered else "connecting"
            self._failed.labels(media.engine or _UNKNOWN, cause.value, when).inc()
        if media.spare_for:
            self._spared.labels(media.engine or _UNKNOWN, media.spare_for).inc()
        if not answered:
            return
        self._talked.labels(way).observe(record.talk_s)
        path = media.path or _UNKNOWN
        self._carried.labels(media.engine or _UNKNOWN, media.version or _UNKNOWN, path).inc()
        if media.rtt_ms is not None:
            self._trips.labels(path).observe(media.rtt_ms / 1000)
        if media.jitter_ms is not None:
            self._jitter.observe(media.jitter_ms / 1000)
        for to, counted, loss in (
            ("telegram", media.to_telegram, media.loss_sent),
            ("sip", media.to_sip, media.loss_received),
        ):
            if loss is not None:
                self._loss.labels(to).observe(loss)
            self._packets.labels(to).inc(counted.packets)
            self._lost.labels(to).inc(counted.lost)
            self._late.labels(to).inc(counted.late)
            self._concealed.labels(to).inc(counted.concealed_ms / 1000)
            self._filled.labels(to).inc(counted.filled_ms / 1000)
            self._dropped.labels(to).inc(counted.dropped_ms / 1000)
        for fault in audio_faults(media, record.talk_s):
            if fault in _DEAF:
                self._one_way.labels(_DEAF[fault]).inc()

    def _counter(self, name: str, what: str, labels: Iterable[str]) -> Counter:
        return Counter(f"siptg_{name}", what, labels, registry=self._registry)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...], labels: Iterable[str] = ()) -> Histogram:
        return Histogram(f"siptg_{name}", what, labels, buckets=buckets, registry=self._registry)


class _House(Collector):
    """What is as it is now."""

    def __init__(self, signs: Callable[[], VitalSigns]) -> None:
        self._signs = signs

    def describe(self) -> Iterable[Metric]:
        return ()  # asked at the registration, when the house may not be open yet

    def collect(self) -> Iterator[Metric]:
        signs = self._signs()
        calls = GaugeMetricFamily("siptg_calls", "Calls now.", labels=["direction", "state"])
        for (way, state), count in signs.calls.items():
            calls.add_metric([way.value, state.value], count)
        yield calls
        yield _by_state("siptg_accounts", "Session accounts that are switched on.", signs.accounts.items())
        yield _by_state("siptg_lines", "Lines to PBXs.", signs.lines.items())
        engine = GaugeMetricFamily("siptg_media_engine", "The media engine of first choice.", labels=["engine"])
        engine.add_metric([signs.engine], 1)
        yield engine
        yield GaugeMetricFamily("siptg_media_workers", "Media workers that can take calls.", signs.workers)
        yield CounterMetricFamily("siptg_media_worker_deaths", "Media workers that died.", signs.worker_deaths)
        yield GaugeMetricFamily("siptg_asterisk_up", "Whether Asterisk is reached.", float(signs.asterisk_up))
        yield CounterMetricFamily(
            "siptg_asterisk_restarts", "How often Asterisk died and was started again.", signs.asterisk_restarts
        )
        yield CounterMetricFamily(
            "siptg_unknown_events", "Events of Asterisk's channels that no call owns.", signs.unknown_events
        )
        memory = GaugeMetricFamily("siptg_resident_memory_bytes", "Memory of the gateway's parts.", labels=["part"])
        for part, size in signs.memory_bytes.items():
            memory.add_metric([part], size)
        yield memory


def _by_state(name: str, what: str, counted: Iterable[tuple[enum.StrEnum, int]]) -> Metric:
    family = GaugeMetricFamily(name, what, labels=["state"])
    for state, count in counted:
        family.add_metric([state.value], count)
    return family

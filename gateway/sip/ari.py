"""A small client of Asterisk's REST interface: the handful of requests a call needs, and one websocket of events.

Every id is ours where Asterisk lets us choose it, so an event names its call by itself, and nothing is looked up on a
call's way. Events are not replayed after the websocket drops: whoever listens is asked to look around again.

Source: Asterisk 22, rest-api (channels, bridges, applications, events).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import structlog

from gateway.errors import GatewayError

log = structlog.get_logger(__name__)

#: The name under which the dialplan hands calls over: `Stasis(siptg,…)`.
APPLICATION: Final = "siptg"

#: What a call needs to hear of; Asterisk sends nothing else.
EVENTS: Final = (
    "StasisStart",
    "StasisEnd",
    "ChannelStateChange",
    "ChannelHangupRequest",
    "ChannelDestroyed",
    "ChannelDtmfReceived",
)

#: A request on loopback takes half a millisecond; one that takes this long has no answer.
REQUEST_S: Final = 3.0
#: Pause before connecting again, doubled up to the second one. Short, since new calls wait for it.
RECONNECT_S: Final = 0.05
RECONNECT_MAX_S: Final = 1.0
#: A websocket whose peer has gone without a word is found out within this time.
HEARTBEAT_S: Final = 5.0


class AriError(GatewayError):
    """Asterisk refused a request, or can't be reached.

    Attributes:
        status: HTTP's; 0 when there was no answer.
    """

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class AriAddress:
    """Where ARI is, and who we are there. `url` ends before `/ari`."""

    url: str
    user: str
    password: str = field(repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Authorization": aiohttp.encode_basic_auth(self.user, self.password)}


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a channel.

    Attributes:
        args: StasisStart: what the dialplan handed over after the application's name.
        cause: Q.850, where the event carries one.
        sip_code: The PBX's final response to our INVITE, where there was one.
    """

    type: str
    channel: str
    args: tuple[str, ...] = ()
    state: str = ""
    caller_number: str = ""
    caller_name: str = ""
    cause: int = 0
    sip_code: int = 0
    digit: str = ""

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        """Read an event as Asterisk sends it; unknown fields are passed over."""
        channel = raw.get("channel") or {}
        caller = channel.get("caller") or {}
        return cls(
            type=str(raw.get("type", "")),
            channel=str(channel.get("id", "")),
            args=tuple(raw.get("args") or ()),
            state=str(channel.get("state", "")),
            caller_number=str(caller.get("number") or ""),
            caller_name=str(caller.get("name") or ""),
            cause=int(raw.get("cause") or 0),
            sip_code=int(raw.get("tech_cause") or 0),
            digit=str(raw.get("digit", "")),
        )


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as `GET /channels` lists it.

    Attributes:
        args: What it was handed to our application with; empty when it is not there.
    """

    id: str
    name: str
    args: tuple[str, ...]

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        dialplan = raw.get("dialplan") or {}
        data = str(dialplan.get("app_data") or "").split(",")
        ours = dialplan.get("app_name") == "Stasis" and data[0] == APPLICATION
        return cls(id=str(raw["id"]), name=str(raw["name"]), args=tuple(data[1:]) if ours else ())


@dataclass(frozen=True, slots=True)
class MediaChannel:
    """An external media channel: where Asterisk listens for its RTP."""

    host: str
    port: int


class Ari:
    """The connection: requests at any time, events while it is up.

    Args:
        address: Asked again at each connection, as an embedded Asterisk may have moved.
        heard: Gets each event, in order; must not block.
        connected: Called after each connection of the websocket, while events already queue up behind it.
    """

    def __init__(
        self,
        address: Callable[[], AriAddress],
        heard: Callable[[Event], None],
        connected: Callable[[], Awaitable[None]],
    ) -> None:
        self._address = address
        self._heard = heard
        self._connected = connected
        self._up = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None
        self._ears: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether events are being heard now."""
        return self._up.is_set()

    async def wait_up(self) -> None:
        await self._up.wait()

    async def __aenter__(self) -> Self:
        # 0: no limit to connections; a burst of calls must not queue behind each other.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=50),
            timeout=aiohttp.ClientTimeout(total=REQUEST_S),
        )
        self._ears = asyncio.create_task(self._listen(), name="ari events")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        assert self._ears is not None
        self._ears.cancel()
        await asyncio.wait([self._ears])
        await self._session.close()

    # --- channels ------------------------------------------------------------------------------------------------

    async def ring(self, channel: str) -> None:
        await self._request("POST", f"/channels/{channel}/ring")

    async def answer(self, channel: str) -> None:
        await self._request("POST", f"/channels/{channel}/answer")

    async def hang_up(self, channel: str, cause: int) -> None:
        """Hang up with a Q.850 cause. A channel that is gone already is no error."""
        await self._request("DELETE", f"/channels/{channel}", {"reason_code": str(cause)}, gone_is_fine=True)

    async def set_variable(self, channel: str, name: str, value: str) -> None:
        await self._request("POST", f"/channels/{channel}/variable", {"variable": name, "value": value})

    async def go_on(self, channel: str, context: str, extension: str) -> None:
        """Let a channel leave us for a place in the dialplan."""
        place = {"context": context, "extension": extension, "priority": "1"}
        await self._request("POST", f"/channels/{channel}/continue", place)

    async def send_digits(self, channel: str, digits: str) -> None:
        await self._request("POST", f"/channels/{channel}/dtmf", {"dtmf": digits})

    async def originate(self, endpoint: str, channel: str, other: str, args: str, variables: Mapping[str, str]) -> None:
        """Dial an endpoint; `other` is the id of a Local channel's far half. -1: for as long as it rings."""
        query = {
            "endpoint": endpoint,
            "app": APPLICATION,
            "appArgs": args,
            "channelId": channel,
            "otherChannelId": other,
            "timeout": "-1",
            "formats": "slin",
        }
        await self._request("POST", "/channels", query, {"variables": dict(variables)})

    async def external_media(self, channel: str, host: str, port: int, audio_format: str) -> MediaChannel:
        """Make a channel that sends its audio as RTP to `host:port`. It is ours to use from its StasisStart on."""
        query = {
            "app": APPLICATION,
            "channelId": channel,
            "external_host": f"{host}:{port}",
            "format": audio_format,
            "encapsulation": "rtp",
            "transport": "udp",
            "direction": "both",
        }
        made = await self._request("POST", "/channels/externalMedia", query)
        variables = made.get("channelvars") or {}
        try:
            return MediaChannel(variables["UNICASTRTP_LOCAL_ADDRESS"], int(variables["UNICASTRTP_LOCAL_PORT"]))
        except (KeyError, ValueError) as error:
            raise AriError("Asterisk made a media channel, but does not say where it listens") from error

    async def channels(self) -> list[Channel]:
        return [Channel.read(raw) for raw in await self._request("GET", "/channels")]

    # --- bridges -------------------------------------------------------------------------------------------------

    async def make_bridge(self, bridge: str) -> None:
        await self._request("POST", f"/bridges/{bridge}", {"type": "mixing"})

    async def add_to_bridge(self, bridge: str, *channels: str) -> None:
        await self._request("POST", f"/bridges/{bridge}/addChannel", {"channel": ",".join(channels)})

    async def drop_bridge(self, bridge: str) -> None:
        await self._request("DELETE", f"/bridges/{bridge}", gone_is_fine=True)

    async def bridges(self) -> list[str]:
        return [str(raw["id"]) for raw in await self._request("GET", "/bridges")]

    # --- the wire ------------------------------------------------------------------------------------------------

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        *,
        gone_is_fine: bool = False,
    ) -> Any:
        if self._session is None or self._session.closed:
            raise AriError("the connection to Asterisk is closed")
        address = self._address()
        try:
            async with self._session.request(
                method,
                f"{address.url}/ari{path}",
                params=query,
                json=body,
                headers=address.headers,
            ) as answer:
                if answer.status == 204:
                    return None
                text = await answer.text()
                if answer.status < 300:
                    return json.loads(text) if text else None
                if answer.status == 404 and gone_is_fine:
                    return None
                raise AriError(f"Asterisk refused {method} {path.split('/')[1]}: {_message(text)}", answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AriError(f"Asterisk does not answer ({type(error).__name__})") from error

    async def _listen(self) -> None:
        """Keep the websocket up for ever."""
        pause_s = RECONNECT_S
        while True:
            try:
                await self._hear_once()
                pause_s = RECONNECT_S
            except (aiohttp.ClientError, TimeoutError, AriError) as error:
                log.info("connection to asterisk failed", reason=str(error) or type(error).__name__)
                pause_s = min(2 * pause_s, RECONNECT_MAX_S)
            except Exception:
                log.exception("listening to asterisk failed by a fault of ours")
                pause_s = RECONNECT_MAX_S
            finally:
                self._up.clear()
            await asyncio.sleep(pause_s)

    async def _hear_once(self) -> None:
        """Connect, and hear until the websocket closes. Raises what connecting raises."""
        assert self._session is not None
        address = self._address()
        async with self._session.ws_connect(
            f"{address.url}/ari/events",
            params={"app": APPLICATION, "subscribeAll": "false"},
            headers=address.headers,
            heartbeat=HEARTBEAT_S,
            timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
        ) as socket:
            allowed = {"allowed": [{"type": name} for name in EVENTS]}
            await self._request("PUT", f"/applications/{APPLICATION}/eventFilter", body=allowed)
            self._up.set()
            log.info("events connected")
            await self._connected()
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._heard(Event.read(json.loads(message.data)))
        log.warning("events disconnected")


async def boot_finished(address: AriAddress) -> str | None:
    """The version of the Asterisk at `address` if all of it is loaded; None while it isn't, or does not answer.

    Raises:
        AriError: It answers, but not us.
    """
    info = await _look(address, "info", {"only": "status,system"})
    # Until all modules are loaded the start time is the epoch.
    if info is None or str(info.get("status", {}).get("startup_time", "1970")).startswith("1970"):
        return None
    return str(info.get("system", {}).get("version", "")).partition("+")[0]  # Debian adds what it is made of


async def global_variable(address: AriAddress, name: str) -> str:
    """A variable of the dialplan's [globals]; empty when there is none."""
    found = await _look(address, "variable", {"variable": name})
    return str((found or {}).get("value", ""))


async def _look(address: AriAddress, what: str, query: Mapping[str, str]) -> Any:
    """One question outside of any connection; None when there is no answer."""
    try:
        async with (
            aiohttp.ClientSession(headers=address.headers, timeout=aiohttp.ClientTimeout(total=REQUEST_S)) as session,
            session.get(f"{address.url}/ari/asterisk/{what}", params=query) as answer,
        ):
            if answer.status in {401, 403}:
                raise AriError("Asterisk refuses ARI's user or password", answer.status)
            return await answer.json() if answer.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError):
        return None


def _message(text: str) -> str:
    try:
        return str(json.loads(text).get("message", text))
    except (json.JSONDecodeError, AttributeError):
        return text[:200]

"""Control of the sandbox over HTTP, on loopback: what `Scene` has methods for, as JSON.

A refusal is a JSON object with `error`, a sentence; 400 for a malformed question, 404 for what is not there, 409 for
what can't be.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.sandbox.calls import PhoneCall
from gateway.sandbox.faults import Fault
from gateway.sandbox.robots import Robot, RobotError
from gateway.sandbox.scene import Scene
from gateway.sandbox.settings import Settings
from gateway.sandbox.world import User, WorldError


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewUser(_Asked):
    phone: str | None = None
    first_name: str = "Ann"
    last_name: str = ""
    username: str | None = None
    password: str | None = None
    hint: str = ""
    email: str = ""
    bot: bool = False
    inline: bool = False
    inline_feedback: bool = False


class InlineMode(_Asked):
    inline: bool = True
    feedback: bool = False


class UserChange(_Asked):
    """Attributes: `privacy` by key ("PhoneCall"), each the names of rules, with ids after those that name users."""

    banned: bool | None = None
    block: str | None = None
    unblock: str | None = None
    add_contact: str | None = None
    privacy: dict[str, list[tuple[str, list[int]]]] = {}


class NewSession(_Asked):
    age_s: float = 0


class NewMessage(_Asked):
    to: str
    text: str


class NewRobot(_Asked):
    """`user` is a phone number; `behaviour` as in `behaviour.Behaviour`."""

    user: str
    host: int = 0
    behaviour: dict[str, Any] = {}


class RobotsCall(_Asked):
    to: str


class RobotsHangup(_Asked):
    call: int | None = None


class Discard(_Asked):
    reason: Literal["missed", "disconnect", "hangup", "busy"] = "disconnect"


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """The HTTP server. `GET /` tells what there is."""

    def __init__(self, scene: Scene, port: int) -> None:
        self._scene = scene
        self._port = port
        self._runner: web.AppRunner
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[_refusals])
        app.add_routes([web.route(verb, path, handler) for verb, path, handler in self._routes()])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def _routes(self) -> Sequence[tuple[str, str, Handler]]:
        return (
            ("GET", "/", self._overview),
            ("GET", "/users", self._users),
            ("POST", "/users", self._create_user),
            ("PATCH", "/bots/{username}", self._change_bot),
            ("GET", "/users/{phone}", self._user),
            ("PATCH", "/users/{phone}", self._change_user),
            ("POST", "/users/{phone}/session", self._session),
            ("GET", "/users/{phone}/messages", self._messages),
            ("POST", "/users/{phone}/messages", self._send_message),
            ("GET", "/users/{phone}/recovery-code", self._recovery_code),
            ("GET", "/codes/{phone}", self._code),
            ("DELETE", "/authorizations/{hash}", self._revoke),
            ("GET", "/calls", self._calls),
            ("DELETE", "/calls/{id}", self._end_call),
            ("GET", "/faults", self._faults),
            ("POST", "/faults", self._add_fault),
            ("DELETE", "/faults", self._remove_faults),
            ("DELETE", "/faults/{id}", self._remove_faults),
            ("GET", "/settings", self._settings),
            ("PATCH", "/settings", self._change_settings),
            ("POST", "/connections/drop", self._drop),
            ("GET", "/robots", self._robots),
            ("POST", "/robots", self._add_robot),
            ("GET", "/robots/{id}", self._robot),
            ("PATCH", "/robots/{id}", self._change_robot),
            ("DELETE", "/robots/{id}", self._remove_robot),
            ("POST", "/robots/{id}/call", self._robot_calls),
            ("POST", "/robots/{id}/hangup", self._robot_hangs_up),
        )

    async def _overview(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "server": self._scene.server,
                "bot_api": self._scene.bot_api_url,
                "key_file": str(self._scene.key_file),
                "users": len(self._scene.telegram.world.users()),
                "connections": len(self._scene.telegram.cloud.links()),
                "calls": len(self._scene.calls()),
                "failures": [repr(failure) for failure in self._scene.telegram.cloud.failures],
                "routes": [f"{verb} {path}" for verb, path, _ in self._routes()],
            }
        )

    # Users

    async def _users(self, _request: web.Request) -> web.Response:
        return web.json_response([self._shown(user) for user in self._scene.telegram.world.users()])

    async def _create_user(self, request: web.Request) -> web.Response:
        asked = NewUser.model_validate(await request.json())
        if asked.bot:
            bot = self._scene.create_bot(
                asked.username or "", asked.first_name, inline=asked.inline, inline_feedback=asked.inline_feedback
            )
            return web.json_response(self._shown(bot) | {"token": bot.bot_token})
        if asked.phone is None:
            raise web.HTTPBadRequest(text="a user who is no bot has a phone number")
        user = self._scene.create_user(
            asked.phone,
            asked.first_name,
            asked.last_name,
            username=asked.username,
            password=asked.password,
            hint=asked.hint,
            email=asked.email,
        )
        return web.json_response(self._shown(user))

    async def _change_bot(self, request: web.Request) -> web.Response:
        bot = self._scene.telegram.world.find_user("username", request.match_info["username"])
        if bot is None or not bot.is_bot:
            raise KeyError(f"bot {request.match_info['username']}")
        asked = InlineMode.model_validate(await request.json())
        self._scene.set_inline(bot, inline=asked.inline, feedback=asked.feedback)
        return web.json_response(self._shown(bot))

    async def _user(self, request: web.Request) -> web.Response:
        return web.json_response(self._shown(self._asked_user(request)))

    async def _change_user(self, request: web.Request) -> web.Response:
        user = self._asked_user(request)
        asked = UserChange.model_validate(await request.json())
        if asked.banned is not None:
            self._scene.ban(user, banned=asked.banned)
        if asked.block:
            self._scene.block(user, self._scene.user(asked.block))
        if asked.unblock:
            self._scene.block(user, self._scene.user(asked.unblock), blocked=False)
        if asked.add_contact:
            self._scene.add_contact(user, self._scene.user(asked.add_contact))
        for key, rules in asked.privacy.items():
            self._scene.set_privacy(user, key, rules)
        return web.json_response(self._shown(self._asked_user(request)))

    async def _session(self, request: web.Request) -> web.Response:
        asked = NewSession.model_validate(await request.json() if request.can_read_body else {})
        return web.json_response({"session": self._scene.session(self._asked_user(request), age_s=asked.age_s)})

    async def _messages(self, request: web.Request) -> web.Response:
        user = self._asked_user(request)
        copies = self._scene.telegram.world.messages("owner = ?", user.id)
        return web.json_response(
            [
                {
                    "id": copy.id,
                    "peer": copy.peer,
                    "outgoing": copy.outgoing,
                    "date": copy.date,
                    "text": copy.message.message,
                    "action": type(copy.message.action).__name__ if copy.message.action else None,
                }
                for copy in copies
            ]
        )

    async def _send_message(self, request: web.Request) -> web.Response:
        asked = NewMessage.model_validate(await request.json())
        self._scene.send_message(self._asked_user(request), self._scene.user(asked.to), asked.text)
        return web.json_response({})

    async def _recovery_code(self, request: web.Request) -> web.Response:
        return web.json_response({"code": self._scene.recovery_code(self._asked_user(request))})

    async def _code(self, request: web.Request) -> web.Response:
        return web.json_response({"code": self._scene.login_code(request.match_info["phone"])})

    async def _revoke(self, request: web.Request) -> web.Response:
        found = self._scene.telegram.world.authorizations("hash", int(request.match_info["hash"]))
        for authorization in found:
            self._scene.revoke(authorization)
        return web.json_response({"revoked": len(found)})

    # Calls, faults, settings, connections

    async def _calls(self, _request: web.Request) -> web.Response:
        return web.json_response([shown_call(call) for call in self._scene.calls()])

    async def _end_call(self, request: web.Request) -> web.Response:
        asked = Discard.model_validate(await request.json() if request.can_read_body else {})
        number = int(request.match_info["id"])
        self._scene.change(lambda: self._scene.telegram.calls.end(number, asked.reason))
        return web.json_response({})

    async def _faults(self, _request: web.Request) -> web.Response:
        return web.json_response([rule.model_dump() for rule in self._scene.faults.rules])

    async def _add_fault(self, request: web.Request) -> web.Response:
        fault = Fault.model_validate(await request.json())
        self._scene.faults.add(fault)
        return web.json_response(fault.model_dump())

    async def _remove_faults(self, request: web.Request) -> web.Response:
        one = request.match_info.get("id")
        self._scene.faults.remove(int(one) if one else None)
        return web.json_response({})

    async def _settings(self, _request: web.Request) -> web.Response:
        return web.json_response(self._scene.settings.model_dump())

    async def _change_settings(self, request: web.Request) -> web.Response:
        changes = await request.json()
        Settings.model_validate(self._scene.settings.model_dump() | changes)
        for name, value in changes.items():
            setattr(self._scene.settings, name, value)
        return await self._settings(request)

    async def _drop(self, request: web.Request) -> web.Response:
        asked = await request.json() if request.can_read_body else {}
        user = self._scene.user(asked["user"]) if asked.get("user") else None
        return web.json_response({"dropped": self._scene.drop_connections(user)})

    # Robots

    async def _robots(self, _request: web.Request) -> web.Response:
        reports = [await robot.report() for robot in self._scene.robots.all()]
        return web.json_response([report.model_dump() for report in reports])

    async def _add_robot(self, request: web.Request) -> web.Response:
        asked = NewRobot.model_validate(await request.json())
        robot = await self._scene.robots.add(self._scene.user(asked.user), host=asked.host, **asked.behaviour)
        return web.json_response((await robot.report()).model_dump())

    async def _robot(self, request: web.Request) -> web.Response:
        report = await self._asked_robot(request).report()
        return web.json_response(report.model_dump())

    async def _change_robot(self, request: web.Request) -> web.Response:
        await self._asked_robot(request).behave(**await request.json())
        return await self._robot(request)

    async def _remove_robot(self, request: web.Request) -> web.Response:
        await self._asked_robot(request).remove()
        return web.json_response({})

    async def _robot_calls(self, request: web.Request) -> web.Response:
        asked = RobotsCall.model_validate(await request.json())
        report = await self._asked_robot(request).call(asked.to)
        return web.json_response(report.model_dump())

    async def _robot_hangs_up(self, request: web.Request) -> web.Response:
        asked = RobotsHangup.model_validate(await request.json() if request.can_read_body else {})
        await self._asked_robot(request).hang_up(asked.call)
        return await self._robot(request)

    # Who is meant

    def _asked_user(self, request: web.Request) -> User:
        return self._scene.user(request.match_info["phone"])

    def _asked_robot(self, request: web.Request) -> Robot:
        return self._scene.robots.robot(int(request.match_info["id"]))

    def _shown(self, user: User) -> dict[str, Any]:
        world = self._scene.telegram.world
        return {
            "id": user.id,
            "phone": user.phone,
            "username": user.username,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "bot": user.is_bot,
            "banned": user.banned,
            "online": self._scene.telegram.cloud.is_online(user.id),
            "password": world.password(user.id) is not None,
            "contacts": world.contacts(user.id),
            "authorizations": [
                {
                    "hash": authorization.hash,
                    "created": authorization.created,
                    "call_requests_disabled": authorization.calls_disabled,
                    "online": bool(self._scene.telegram.cloud.links(authorization.key)),
                }
                for authorization in self._scene.authorizations(user)
            ],
        }


def shown_call(call: PhoneCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "caller": call.caller,
        "callee": call.callee,
        "state": call.state.value,
        "reason": call.reason,
        "ended_by": call.ended_by,
        "duration": call.duration,
        "date": call.date,
        "receive_date": call.receive_date,
        "start_date": call.start_date,
        "versions": list(call.protocol.library_versions) if call.protocol else [],
        "signals": call.signals,
        "rating": call.rating,
        "events": call.events,
    }


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say what went wrong in a sentence."""
    try:
        return await handler(request)
    except KeyError as missing:
        return web.json_response({"error": f"there is no {missing.args[0]}"}, status=404)
    except (WorldError, RobotError) as refused:
        return web.json_response({"error": str(refused)}, status=409)
    except (ValidationError, ValueError) as wrong:
        return web.json_response({"error": str(wrong)}, status=400)
    except web.HTTPException as refused:
        return web.json_response({"error": refused.text}, status=refused.status)

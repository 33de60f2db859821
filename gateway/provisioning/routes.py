"""The routing contexts in Asterisk's dialplan: `siptg_routing_<n>.conf`, included by the hand-written extensions.conf.

Written, reloaded and read back like lines (`config`); calls that run go on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

import structlog

from gateway.errors import GatewayError
from gateway.provisioning import config
from gateway.provisioning.ami import Ami, AmiError, AsteriskAwayError, Fields
from gateway.provisioning.recipes import Recipe, RecipeKind, route
from gateway.provisioning.render import Section

log = structlog.get_logger(__name__)

INCLUDING: Final = "extensions.conf"
INCLUDED: Final = "siptg_routing*.conf"

_OURS: Final = re.compile(r"siptg-route-line(?P<id>[1-9][0-9]{0,17})")


class Routes:
    """What Asterisk's dialplan has of them. Used by the provisioner, on its connection and in its turn."""

    def __init__(self) -> None:
        self._written: dict[int, Section] = {}

    @property
    def written(self) -> Mapping[int, Section]:
        """What is written now, by line."""
        return MappingProxyType(self._written)

    async def load(self, ami: Ami) -> None:
        """Find what is written now: nothing, if Asterisk has no such dialplan. Raises `AsteriskAwayError`."""
        try:
            [answer] = await ami.act("GetConfig", Filename=INCLUDING)
        except AmiError as error:
            log.warning("asterisk's dialplan can't be read", file=INCLUDING, reason=str(error))
            answer = {}
        self._written = {
            int(ours["id"]): section for section in config.sections(answer) if (ours := _OURS.fullmatch(section.name))
        }

    async def reconcile(self, ami: Ami, recipes: Mapping[int, Recipe]) -> dict[int, str]:
        """Make the dialplan as the recipes of lines say.

        Returns:
            The lines whose recipe was refused, with the reason in a sentence; they keep what they had.

        Raises:
            AsteriskAwayError: Asterisk is lost; what it has is found out again by `load`.
        """
        refused: dict[int, str] = {}
        wanted: dict[int, Section] = {}
        for line_id, recipe in recipes.items():
            try:
                section = route(line_id, recipe)
                if section != self._written.get(line_id):
                    await _possible(ami, recipe)
                wanted[line_id] = section
            except AsteriskAwayError:
                raise
            except GatewayError as error:
                refused[line_id] = str(error)
        everywhere = (wanted.keys() | self._written.keys()) - refused.keys()
        changed = {
            line_id: wanted.get(line_id) for line_id in everywhere if wanted.get(line_id) != self._written.get(line_id)
        }
        if changed:
            refused |= await self._change(ami, changed)
        for line_id, reason in refused.items():
            log.warning("recipe refused", line=line_id, reason=reason)
        return refused

    async def _change(self, ami: Ami, changed: Mapping[int, Section | None]) -> dict[int, str]:
        before = {line_id: self._written.get(line_id) for line_id in changed}
        try:
            await self._write(ami, changed)
            refused = {}
            for line_id, section in changed.items():
                if (reason := await _disagreement(ami, line_id, section)) is not None:
                    refused[line_id] = reason
            if refused:
                await self._write(ami, {line_id: before[line_id] for line_id in refused})
        except AsteriskAwayError:
            raise
        except GatewayError as error:
            await self.load(ami)
            return dict.fromkeys(changed, str(error))
        return refused

    async def _write(self, ami: Ami, changed: Mapping[int, Section | None]) -> None:
        for number in sorted({line_id % config.FILES for line_id in changed}):
            mine = {line_id: section for line_id, section in changed.items() if line_id % config.FILES == number}
            olds = [self._written[line_id].name for line_id in mine if line_id in self._written]
            news = [section for section in mine.values() if section is not None]
            await config.change(ami, f"siptg_routing_{number}.conf", _actions(olds, news))
        for line_id, section in changed.items():
            self._written.pop(line_id, None)
            if section is not None:
                self._written[line_id] = section
        await ami.act("Reload", Module="pbx_config.so")


async def _possible(ami: Ami, recipe: Recipe) -> None:
    """Raises `GatewayError` for a recipe that Asterisk would take, and then fail calls by."""
    if recipe.kind is RecipeKind.CONTEXT and not await _running(ami, recipe.values["context"]):
        raise GatewayError(f"Asterisk's dialplan has no context “{recipe.values['context']}” with an extension in it.")


async def _running(ami: Ami, context: str) -> list[Fields]:
    """The steps of a context, as Asterisk runs it; none if there is no such context."""
    try:
        answers = await ami.act("ShowDialPlan", Context=context)
    except AmiError:
        return []
    return [one for one in answers if one.get("context") == context and "application" in one]


async def _disagreement(ami: Ami, line_id: int, section: Section | None) -> str | None:
    """Why Asterisk does not run this context, in a sentence; None if it does."""
    running = await _running(ami, f"siptg-route-line{line_id}")
    if section is None:
        return None if not running else f"Asterisk does not let go of siptg-route-line{line_id}."
    if not running:
        return f"Asterisk does not read the recipes: put “#tryinclude {INCLUDED}” into its {INCLUDING}."
    ran = [f"{step['application']}({step.get('appdata', '')})" for step in running]
    said = [re.sub(r"^(?:s,1|n(?:\(\w+\))?),", "", value) for _, value in section.options]
    return None if ran == said else f"Asterisk keeps another [{section.name}]."


def _actions(olds: Iterable[str], news: Iterable[Section]) -> Iterator[dict[str, str]]:
    for name in olds:
        yield {"Action": "DelCat", "Cat": name}
    for section in news:
        yield {"Action": "NewCat", "Cat": section.name}
        for option, value in section.options:
            yield {"Action": "Append", "Cat": section.name, "Var": option, "Value": f">{value}"}

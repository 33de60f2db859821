"""How a line's calls from Telegram are routed in the dialplan: a recipe, shown as text before it is applied."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from gateway.control.asking import Asker, Operator
from gateway.control.roster import Roster
from gateway.control.views import RoutingView
from gateway.errors import GatewayError
from gateway.provisioning.grammar import GrammarError
from gateway.provisioning.provisioner import Provisioner
from gateway.provisioning.recipes import Recipe, RecipeKind, route, text_of
from gateway.storage.store import Store

log = structlog.get_logger(__name__)


class Routings:
    """Use-cases of routing. Each takes who asks, and raises `GatewayError` with a sentence.

    Args:
        provisioner: None when no gateway runs, and only the store is changed.
        by_administrators: Whether administrators may choose, or only the operator.
    """

    def __init__(
        self, store: Store, roster: Roster, provisioner: Provisioner | None, *, by_administrators: bool = True
    ) -> None:
        self._store = store
        self._roster = roster
        self._provisioner = provisioner
        self._by_administrators = by_administrators
        self._turn = asyncio.Lock()

    async def apply(self) -> None:
        """At the start: all of them. What Asterisk refuses is shown in the line's routing."""
        async with self._turn:
            await self._apply()

    def may_choose(self, asker: Asker) -> bool:
        """Whether he may change routings, or only see them."""
        return self._by_administrators or isinstance(asker, Operator)

    def show(self, asker: Asker, line_id: int) -> RoutingView:
        self._roster.line_for(asker, line_id)
        recipe = self._recipe(line_id)
        text = text_of(route(line_id, recipe)) if recipe else ""
        refused = self._provisioner.refused_recipes.get(line_id, "") if self._provisioner else ""
        return RoutingView(line_id, recipe, text, refused)

    def preview(self, asker: Asker, line_id: int, kind: RecipeKind, fields: Mapping[str, str]) -> RoutingView:
        """What `choose` would write, from texts by field name (`provisioning.RECIPES`). Raises `GrammarError` too."""
        self._allowed(asker, line_id)
        recipe = Recipe.read(kind, fields)
        return RoutingView(line_id, recipe, text_of(route(line_id, recipe)))

    async def choose(self, asker: Asker, line_id: int, kind: RecipeKind, fields: Mapping[str, str]) -> RoutingView:
        """Route a line by a recipe, at once; what Asterisk refuses is undone."""
        self._allowed(asker, line_id)
        recipe = Recipe.read(kind, fields)
        await self._replace(line_id, recipe)
        return self.show(asker, line_id)

    async def clear(self, asker: Asker, line_id: int) -> RoutingView:
        """Let its calls go straight to its number again."""
        self._allowed(asker, line_id)
        await self._replace(line_id, None)
        return self.show(asker, line_id)

    def _allowed(self, asker: Asker, line_id: int) -> None:
        self._roster.line_for(asker, line_id)
        if not self.may_choose(asker):
            raise GatewayError("On this gateway only the operator chooses how lines are routed.")

    async def _replace(self, line_id: int, recipe: Recipe | None) -> None:
        """Store and apply; what Asterisk refuses is undone in both.

        Stored first: should the gateway die in between, the next start applies what is stored.
        """
        async with self._turn:
            before = self._roster.recipes.get(line_id)
            await self._keep(line_id, recipe.kept() if recipe else None)
            if (reason := (await self._apply()).get(line_id)) is not None:
                await self._keep(line_id, before)
                await self._apply()
                raise GatewayError(reason)
        log.info("line routed", line=line_id, recipe=recipe.kind.value if recipe else None)

    async def _keep(self, line_id: int, kept: Mapping[str, str] | None) -> None:
        await self._store.lines.save_recipe(line_id, kept)
        self._roster.put_recipe(line_id, kept)

    async def _apply(self) -> Mapping[int, str]:
        """Apply all recipes; those that were refused, with the reason."""
        return {} if self._provisioner is None else dict(await self._provisioner.route(self._recipes()))

    def _recipes(self) -> dict[int, Recipe]:
        found = ((line_id, self._recipe(line_id)) for line_id in self._roster.recipes)
        return {line_id: recipe for line_id, recipe in found if recipe is not None}

    def _recipe(self, line_id: int) -> Recipe | None:
        """The line's, if it has one that can be read."""
        kept = self._roster.recipes.get(line_id)
        try:
            return None if kept is None else Recipe.restored(kept)
        except GrammarError as error:
            log.warning("recipe is not valid any more", line=line_id, reason=str(error))
            return None

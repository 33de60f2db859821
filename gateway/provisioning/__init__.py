"""Lines in Asterisk: what they may be, how they are written, and how they are doing."""

from gateway.provisioning.check import checked, clash
from gateway.provisioning.grammar import FIELDS, GrammarError
from gateway.provisioning.provisioner import Provisioner
from gateway.provisioning.recipes import RECIPES, Recipe, RecipeKind, route, text_of
from gateway.provisioning.render import Section, render
from gateway.provisioning.state import LineHealth, LineState

__all__ = [
    "FIELDS",
    "RECIPES",
    "GrammarError",
    "LineHealth",
    "LineState",
    "Provisioner",
    "Recipe",
    "RecipeKind",
    "Section",
    "checked",
    "clash",
    "render",
    "route",
    "text_of",
]

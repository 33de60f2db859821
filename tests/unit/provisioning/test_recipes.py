"""Recipes of routing: their grammar, and the contexts that come of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.provisioning.grammar import GrammarError
from gateway.provisioning.recipes import RECIPES, Recipe, RecipeKind, route, text_of

HOURS = {"times": "9:00-18:00", "days": "mon - thu, sat", "zone": "Europe/Berlin"}


def test_every_recipe_is_shown_as_it_is_written() -> None:
    hours = Recipe.read(RecipeKind.HOURS, HOURS | {"open_number": "200", "closed_number": "300"})
    assert text_of(route(17, hours)) == (
        "[siptg-route-line17]\n"
        "exten => s,1,GotoIfTime(09:00-18:00,mon-thu&sat,*,*,Europe/Berlin?open)\n"
        " same => n,Set(SIPTG_NUMBER=300)\n"
        " same => n,Goto(siptg-dial,s,1)\n"
        " same => n(open),Set(SIPTG_NUMBER=200)\n"
        " same => n,Goto(siptg-dial,s,1)"
    )
    assert text_of(route(1, Recipe.read(RecipeKind.IVR, {"number": "600", "digits": "1, 2"}))) == (
        "[siptg-route-line1]\n"
        "exten => s,1,Set(__SIPTG_DIGITS=1w2)\n"
        " same => n,Set(SIPTG_NUMBER=600)\n"
        " same => n,Goto(siptg-dial,s,1)"
    )
    assert text_of(route(1, Recipe.read(RecipeKind.HOURS, {"times": "22:00-06:00"}))) == (
        "[siptg-route-line1]\n"
        "exten => s,1,GotoIfTime(22:00-06:00,*,*,*?open)\n"
        " same => n,Hangup(21)\n"
        " same => n(open),Goto(siptg-dial,s,1)"
    )


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (RecipeKind.NUMBER, {"number": "200"}),
        (RecipeKind.HOURS, HOURS),
        (RecipeKind.IVR, {"number": "600", "digits": "ww1#"}),
        (RecipeKind.CONTEXT, {"context": "sales-menu"}),
    ],
)
def test_a_kept_recipe_is_read_as_it_was(kind: RecipeKind, fields: dict[str, str]) -> None:
    recipe = Recipe.read(kind, fields)
    assert Recipe.restored(recipe.kept()) == recipe


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        (RecipeKind.NUMBER, {}, "number: .*such as “200”"),
        (RecipeKind.NUMBER, {"number": "1,2"}, "number: "),
        (RecipeKind.NUMBER, {"number": "1", "digits": "2"}, "has no field “digits”"),
        (RecipeKind.HOURS, {"times": "25:00-26:00"}, "times: .*such as “09:00-18:00”"),
        (RecipeKind.HOURS, {"times": "09:00-09:00"}, "times: "),
        (RecipeKind.HOURS, HOURS | {"days": "monday"}, "days: .*such as “mon-fri”"),
        (RecipeKind.HOURS, HOURS | {"zone": "Mars/Olympus"}, "zone: .*such as “Europe/Berlin”"),
        (RecipeKind.IVR, {"number": "1", "digits": ""}, "digits: .*such as “ww1w2”"),
        (RecipeKind.CONTEXT, {"context": "siptg-out"}, "not ours"),
        (RecipeKind.CONTEXT, {"context": "SIPTG-route"}, "not ours"),
        (RecipeKind.CONTEXT, {"context": "a b"}, "context: "),
    ],
)
def test_what_won_t_do_is_refused_with_an_example(kind: RecipeKind, fields: dict[str, str], told: str) -> None:
    with pytest.raises(GrammarError, match=told):
        Recipe.read(kind, fields)


def test_an_engineers_own_hook_may_be_named() -> None:
    assert Recipe.read(RecipeKind.CONTEXT, {"context": "siptg-out-custom"}).values == {"context": "siptg-out-custom"}


#: Every step that any recipe can come to: names of applications that we wrote, and values of nothing but these signs.
_STEP = re.compile(
    r"(?:s,1|n(?:\(open\))?),(?:"
    r"Set\((?:SIPTG_NUMBER|__SIPTG_DIGITS)=[0-9A-Za-z*#+._-]+\)|Goto\(siptg-dial,s,1\)|Hangup\(21\)"
    r"|GotoIfTime\(\d\d:\d\d-\d\d:\d\d,[a-z&*-]+,\*,\*(?:,[A-Za-z0-9_+/-]+)?\?open\)"
    r"|Goto\([A-Za-z][A-Za-z0-9_-]*,\$\{IF\(\$\[\$\{LEN\(\$\{SIPTG_NUMBER\}\)\} > 0\]\?\$\{SIPTG_NUMBER\}:s\)\},1\))"
)


@given(st.sampled_from(RecipeKind), st.data())
def test_no_text_of_a_person_becomes_syntax(kind: RecipeKind, data: st.DataObject) -> None:
    nasty = st.text(max_size=12) | st.sampled_from(
        [
            "200",
            "1,Goto(x)",
            "200)\nexten => s,1,System(id)",
            "${SHELL(id)}",
            ";x",
            "09:00-18:00",
            "mon-fri",
            "menu",
            ">",
        ]
    )
    fields = {name: data.draw(nasty, name) for name in RECIPES[kind]}
    try:
        section = route(1, Recipe.read(kind, fields))
    except GrammarError:
        return
    assert all(_STEP.fullmatch(step) for _, step in section.options)

"""Both languages say everything, and nothing that people write becomes markup."""

from __future__ import annotations

import ast
import enum
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from fluent.syntax import FluentParser
from fluent.syntax import ast as ftl
from fluent.syntax.visitor import Visitor
from hypothesis import given
from hypothesis import strategies as st

import gateway.bot
from gateway.bot import chat, line_fields, recommended, wizard_screens
from gateway.bot.face import COMMANDS
from gateway.bot.lines import CHOICES
from gateway.bot.words import LANGUAGES, Html, joined, key_of, raw, spoken_by, words_of
from gateway.call.model import CallState, Direction, LineKind
from gateway.control.door import (
    RECIPES,
    AccountState,
    AudioFault,
    Coverage,
    LineHealth,
    NoticeKind,
    RecipeKind,
    Recommendation,
    Recommended,
)
from gateway.control.logins import Refusal
from gateway.errors import HangupCause

ROOM = Path(gateway.bot.__file__).parent
#: Enumerations that are shown by `Words.word`.
SHOWN: tuple[type[enum.StrEnum], ...] = (
    *(AccountState, AudioFault, CallState, Coverage, Direction, HangupCause),
    *(LineHealth, LineKind, RecipeKind, Recommended),
)
#: Tags of Telegram's HTML that the catalogues use.
TAGS = re.compile(r"</?(b|i|code|pre)>|<a href=\"tg://user\?id=[^\"]+\">|</a>")


def messages(language: str) -> dict[str, ftl.Message]:
    tree = FluentParser().parse((ROOM / "locales" / f"{language}.ftl").read_text())
    junk = [entry.content for entry in tree.body if isinstance(entry, ftl.Junk)]
    assert not junk
    found = [entry for entry in tree.body if isinstance(entry, ftl.Message)]
    names = [entry.id.name for entry in found]
    assert len(names) == len(set(names)), "a key is there once"
    return {entry.id.name: entry for entry in found}


def values_in(message: ftl.Message) -> set[str]:
    """The names of the values that a message takes."""
    found: set[str] = set()

    class Values(Visitor):
        def visit_VariableReference(self, node: ftl.VariableReference) -> None:  # noqa: N802 - the visitor's way
            found.add(node.id.name)

    Values().visit(message)
    return found


def literal_keys() -> set[str]:
    """What the bot's code asks of the catalogues by a key that stands there."""
    keys: set[str] = set()
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            asked = ast.unparse(node.func)
            if not re.search(r"(^|\.)(words|label|go|_do|act)$", asked):
                continue
            for argument in node.args:
                for inner in ast.walk(argument) if not isinstance(argument, ast.Call) else ():
                    if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                        keys.add(inner.value)
    return keys


def made_keys() -> set[str]:
    """What the code puts together, for everything that it may be put together of."""
    fields = {*line_fields.TYPED, *CHOICES, "transport"}
    chat_fields = {name for row in chat._SWITCHES for name in row} | {*chat._PROCESSING, *chat._TEXTS}
    troubles = {kind for kind in NoticeKind if not kind.is_event}
    return {
        *(key_of(member) for family in SHOWN for member in family),
        *(f"command-{name}" for name in COMMANDS),
        *(f"field-{name}" for name in fields),
        *(f"field-{name}-help" for name in fields - {"transport"}),
        *(f"chat-{name}" for name in chat_fields),
        *(f"chat-{name}-help" for name in chat._TEXTS),
        *(f"refusal-{refusal.value.replace('_', '-')}" for refusal in Refusal),
        *(f"wizard-way-{way.replace('_', '-')}" for way in (*wizard_screens.WAYS, "other")),
        *(f"notice-{kind.value.replace('_', '-')}" for kind in NoticeKind),
        *(f"notice-{kind.value.replace('_', '-')}-over" for kind in troubles),
        *(f"routing-{kind.value}-{field}" for kind, grammar in RECIPES.items() for field in grammar),
        *(f"duration-{unit}" for unit in ("hours", "minutes", "seconds")),
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_that_the_code_asks_for_is_there(language: str) -> None:
    known = messages(language)
    asked = {key for key in literal_keys() if re.fullmatch(r"[a-z]+(-[a-z_]+)*", key)} | made_keys()
    assert sorted(asked - known.keys()) == []


def test_no_key_is_there_that_nobody_asks_for() -> None:
    sources = "\n".join(path.read_text() for path in ROOM.glob("*.py"))
    quoted = set(re.findall(r"[\"']([a-z][a-z0-9_-]*)[\"']", sources))
    assert sorted(messages("en").keys() - quoted - made_keys()) == []


def test_the_languages_have_the_same_keys_and_each_key_the_same_values() -> None:
    every = {language: messages(language) for language in LANGUAGES}
    english = every["en"]
    for known in every.values():
        assert sorted(known) == sorted(english)
        for key, message in known.items():
            assert values_in(message) == values_in(english[key]), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_labels_have_no_markup(language: str) -> None:
    """Buttons and pop-ups show it as it is."""
    labels: set[str] = set()
    for path in ROOM.glob("*.py"):
        labels |= set(re.findall(r"label\(\s*\"([a-z_-]+)\"", path.read_text()))
    texts = (ROOM / "locales" / f"{language}.ftl").read_text()
    for key in labels:
        found = re.search(rf"^{re.escape(key)} =(.*(?:\n    .*|\n(?=\n    ))*)", texts, re.MULTILINE)
        assert found is not None, key
        assert not TAGS.search(found[1]), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_value_that_is_missing_is_noticed(language: str) -> None:
    with pytest.raises(KeyError, match="session-title"):
        words_of(language)("session-title")
    with pytest.raises(LookupError):
        words_of(language)("no-such-key")


@given(st.text())
def test_what_people_write_is_never_markup(text: str) -> None:
    words = words_of("en")
    for shown in (words("line-delete-sure", name=text), joined(text, raw(text), by=" ")):
        assert not re.search(r"[<>]", TAGS.sub("", shown))
        assert not re.search(r"&(?!amp;|lt;|gt;)", shown)


@pytest.mark.parametrize("length", [500, 2501, 4096])
def test_a_text_may_be_long_and_stays_what_it_is(length: int) -> None:
    text = "<\ue000name\ue001>" + "x" * length
    assert words_of("en").label("field-is", field="Text", value=text) == f"Text: {text}"
    assert words_of("en")("field-now", value=text) == f"Now: <code>{raw(text)}</code>"


def test_html_is_escaped_once() -> None:
    words = words_of("en")
    inner = words("line-delete-sure", name="<&>")
    assert "&lt;&amp;&gt;" in inner
    assert joined(inner) == inner
    assert isinstance(joined(inner), Html)


@pytest.mark.parametrize(
    ("code", "language"), [("ru", "ru"), ("ru-RU", "ru"), ("en-GB", "en"), ("de", "en"), ("", "en"), (None, "en")]
)
def test_the_language_is_the_apps_if_it_is_spoken(code: str | None, language: str) -> None:
    assert spoken_by(code) == language


@pytest.mark.parametrize(
    ("n", "words"), [(1, "1 линия"), (3, "3 линии"), (5, "5 линий"), (21, "21 линия"), (112, "112 линий")]
)
def test_russian_counts_as_russians_do(n: int, words: str) -> None:
    assert words in words_of("ru")("home-state", sessions=1, lines=n)


#: Rooms, and files in them, whose sentences no administrator reads: they are the operator's, at his terminal or in the
#: log. All others count, also those that are yet to be written.
OPERATORS = (
    *("bot", "demo", "sandbox", "terminal", "app.py", "check.py", "cli", "log.py", "settings.py", "storage"),
    *(
        "control/ownership.py",
        "control/rpc.py",
        "control/serving.py",
        "media/engine.py",
        "sip/embedded.py",
        "sip/listen.py",
    ),
)
#: What becomes of these is not shown: a thing that is not his is "not there", and only operators grant or assign.
UNSEEN = (
    *("NotFoundError", "SettingsError", "StorageError", "WrongKeyError", "NotImplementedError", "ValueError"),
    *("RuntimeError", "AssertionError", "IllegalMoveError", "BlobError", "MessageError"),
    "Error",  # libsrtp's, of one packet
)
#: Raised where a button can't lead: fields that no screen offers, subscriptions, a program that used the house wrongly.
UNTRANSLATED = (
    *("; 0 is everybody.", "A limit is a number from 0", "the PBX registers as", "has no field", "kept online already"),
)
#: What says something to a person: errors and states are made with it, or raised.
TELLING = re.compile(r"(Error|Ending|LineState|AccountStatus|NotApplied)$|\._over$|\._set$|\.abandon(_all)?$")


def _template(node: ast.Constant | ast.JoinedStr) -> str:
    """A text, {} for what is filled in, without a field's name before it."""
    if isinstance(node, ast.Constant):
        text = str(node.value)
    else:
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return re.sub(r"^([a-z_]+|\{\}): ", "", text, count=1)


def _texts(node: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    """The texts in a piece of code, each whole."""
    if isinstance(node, ast.JoinedStr):
        yield node
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield from _texts(part.value)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node
    else:
        for child in ast.iter_child_nodes(node):
            yield from _texts(child)


def _kept(tree: ast.Module) -> dict[str, list[ast.AST]]:
    """What names in a file stand for."""
    kept: dict[str, list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    kept.setdefault(target.id, []).append(node.value)
    return kept


def _telling_files() -> Iterator[Path]:
    package = ROOM.parent
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if not any(name == one or name.startswith(f"{one}/") for one in OPERATORS):
            yield path


@functools.cache
def sentences() -> frozenset[str]:
    """All texts of those files."""
    return frozenset(_template(text) for path in _telling_files() for text in _texts(ast.parse(path.read_text())))


@functools.cache
def told() -> Mapping[str, str]:
    """Those of them that errors, endings and states are made of, and where."""
    found: dict[str, str] = {}
    for path in _telling_files():
        tree = ast.parse(path.read_text())
        kept = _kept(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not TELLING.search(name := ast.unparse(node.func)):
                continue
            if name.rpartition(".")[2] in UNSEEN:
                continue
            parts: list[ast.AST] = [*node.args, *(keyword.value for keyword in node.keywords)]
            named = {one.id for part in parts for one in ast.walk(part) if isinstance(one, ast.Name)}
            parts += [value for one in named for value in kept.get(one, ())]
            for text in (_template(text) for part in parts for text in _texts(part)):
                if re.search(r"[a-z]+ [a-z{]|[a-z{}]+ [a-z]", text):
                    found[text] = f"{path.name}:{node.lineno}"
        for node in ast.walk(tree):  # sentences that are made in one place, and told in another
            if isinstance(node, ast.Return) and node.value is not None:
                for text in (_template(text) for text in _texts(node.value)):
                    if re.fullmatch(r"[A-Z“{].* .*\.", text, re.DOTALL):
                        found[text] = f"{path.name}:{node.lineno}"
    return found


def phrases(language: str) -> dict[str, str]:
    lines = (ROOM / "locales" / f"{language}.phrases").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("# ")]
    return dict(zip(lines[::2], lines[1::2], strict=True))


def test_every_phrase_translates_a_sentence_that_is_said() -> None:
    assert sorted(phrases("ru").keys() - sentences()) == []


def test_every_sentence_that_an_administrator_may_read_has_its_phrase() -> None:
    known = phrases("ru")
    missing = [f"{where}: {text}" for text, where in told().items() if text not in known]
    assert sorted(one for one in missing if not any(part in one for part in UNTRANSLATED)) == []


def test_a_phrase_has_a_place_for_all_that_is_filled_in() -> None:
    for english, russian in phrases("ru").items():
        places = {int(place) for place in re.findall(r"\{(\d)\}", russian)}
        assert places <= set(range(1, english.count("{}") + 1)), english


def test_what_is_filled_into_a_sentence_is_translated_too() -> None:
    said = words_of("ru").said
    text = "127.0.0.1:5060 answers the registration with SIP 403: it does not know the login."
    assert said(text) == "127.0.0.1:5060 отвечает на регистрацию SIP 403: не знает такого логина."
    assert said(
        "trusted: “x” won't do: a trusted address is an IP address or a subnet, such as “203.0.113.5” or"
        " “203.0.113.0/28”."
    ).startswith("«x» не подойдёт: доверенный адрес")
    assert said("Nobody has said this.") == "Nobody has said this."
    assert words_of("en").said("name: A name has …") == "A name has …"


def test_why_telegram_refused_a_setting_is_told_in_the_language_of_the_rest() -> None:
    refused = Recommendation(Recommended.NO_GROUPS, False, detail="Telegram kept the old setting")
    assert "Telegram оставил прежнюю настройку" in recommended.note(words_of("ru"), refused)

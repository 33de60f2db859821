"""Use-cases: what a face (terminal, bot, web) may ask of the house. What is another's is not there for whoever asks."""

from gateway.control.accounts import Accounts, AccountView, KeptBy
from gateway.control.asking import Administrator, Asker, NotFoundError, Operator
from gateway.control.calls import Calls
from gateway.control.chat_settings import CHAT_FIELDS, ChatSettings
from gateway.control.coverage import EVERYBODY, Coverage
from gateway.control.handovers import Handovers
from gateway.control.lines import Credentials, Lines, LineView
from gateway.control.notices import Delivery, Notice, NoticeKind, Notices, Severity, UndeliverableError
from gateway.control.ownership import own
from gateway.control.recommendations import Recommendation, Recommendations
from gateway.control.requests import UseCases
from gateway.control.roster import Roster
from gateway.control.routings import Routings, RoutingView
from gateway.control.rpc import Ask, reaching, serving
from gateway.control.settings import ControlSettings
from gateway.control.subscriptions import Subscriptions, SubscriptionView
from gateway.control.watchman import Watchman
from gateway.provisioning import RECIPES, GrammarError, LineHealth, LineState, Recipe, RecipeKind
from gateway.storage import Handover, StorageError, Subscription
from gateway.telegram.account import AccountState, AccountStatus
from gateway.telegram.recommended import Recommended

__all__ = [
    "CHAT_FIELDS",
    "EVERYBODY",
    "RECIPES",
    "AccountState",
    "AccountStatus",
    "AccountView",
    "Accounts",
    "Administrator",
    "Ask",
    "Asker",
    "Calls",
    "ChatSettings",
    "ControlSettings",
    "Coverage",
    "Credentials",
    "Delivery",
    "GrammarError",
    "Handover",
    "Handovers",
    "KeptBy",
    "LineHealth",
    "LineState",
    "LineView",
    "Lines",
    "NotFoundError",
    "Notice",
    "NoticeKind",
    "Notices",
    "Operator",
    "Recipe",
    "RecipeKind",
    "Recommendation",
    "Recommendations",
    "Recommended",
    "Roster",
    "RoutingView",
    "Routings",
    "Severity",
    "StorageError",
    "Subscription",
    "SubscriptionView",
    "Subscriptions",
    "UndeliverableError",
    "UseCases",
    "Watchman",
    "own",
    "reaching",
    "serving",
]

"""What a face uses of control, and may name of the rooms behind it."""

from gateway.control.accounts import Accounts
from gateway.control.asking import Administrator, Asker, NotFoundError, Operator
from gateway.control.audio import AudioFault, audio_faults
from gateway.control.calls import Calls
from gateway.control.chat_settings import CHAT_FIELDS, ChatSettings
from gateway.control.handovers import Admits, Handovers
from gateway.control.lines import Lines
from gateway.control.notices import Delivery, Notice, NoticeKind, Notices, Severity, UndeliverableError
from gateway.control.ownership import own
from gateway.control.recommendations import Recommendation, Recommendations
from gateway.control.roster import Roster
from gateway.control.routings import Routings
from gateway.control.rpc import Ask, reaching
from gateway.control.serving import serving
from gateway.control.settings import ControlSettings
from gateway.control.subscriptions import Subscriptions
from gateway.control.use_cases import UseCases
from gateway.control.views import (
    EVERYBODY,
    AccountView,
    Coverage,
    Credentials,
    KeptBy,
    LineView,
    LiveCall,
    RoutingView,
    SubscriptionView,
)
from gateway.control.watchman import Watchman
from gateway.media.model import DirectionCounters
from gateway.provisioning.grammar import GrammarError
from gateway.provisioning.recipes import RECIPES, Recipe, RecipeKind
from gateway.provisioning.state import LineHealth, LineState
from gateway.storage.database import StorageError
from gateway.storage.model import Handover, Subscription
from gateway.telegram.model import AccountState, AccountStatus
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
    "Admits",
    "Ask",
    "Asker",
    "AudioFault",
    "Calls",
    "ChatSettings",
    "ControlSettings",
    "Coverage",
    "Credentials",
    "Delivery",
    "DirectionCounters",
    "GrammarError",
    "Handover",
    "Handovers",
    "KeptBy",
    "LineHealth",
    "LineState",
    "LineView",
    "Lines",
    "LiveCall",
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
    "audio_faults",
    "own",
    "reaching",
    "serving",
]

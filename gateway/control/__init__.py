"""Use-cases: what a face (terminal, bot, web) may ask of the house. What is another's is not there for whoever asks."""

from gateway.control.accounts import Accounts, AccountView
from gateway.control.asking import Administrator, Asker, NotFoundError, Operator
from gateway.control.calls import Calls
from gateway.control.lines import Credentials, Lines, LineView
from gateway.control.ownership import own
from gateway.control.requests import UseCases
from gateway.control.roster import Roster
from gateway.control.rpc import Ask, reaching, serving
from gateway.provisioning import LineHealth, LineState

__all__ = [
    "AccountView",
    "Accounts",
    "Administrator",
    "Ask",
    "Asker",
    "Calls",
    "Credentials",
    "LineHealth",
    "LineState",
    "LineView",
    "Lines",
    "NotFoundError",
    "Operator",
    "Roster",
    "UseCases",
    "own",
    "reaching",
    "serving",
]

# NOTE from the lead to whoever builds control: asker, directory, accounts, lines, calls and rpc are written and committed here
# (the e2e builders were waiting). Please test and improve these in place; asking.py and roster.py were not taken: delete them.
"""Use-cases: what a face (terminal, bot, web) may ask of the house.

Every use-case takes who asks, and neither shows nor touches what is another's.
"""

from gateway.control.accounts import Accounts, AccountView
from gateway.control.asker import OPERATOR, Asker, NotYoursError
from gateway.control.calls import Calls, LiveCall
from gateway.control.directory import HouseDirectory
from gateway.control.lines import Lines, LineView

__all__ = [
    "OPERATOR",
    "AccountView",
    "Accounts",
    "Asker",
    "Calls",
    "HouseDirectory",
    "LineView",
    "Lines",
    "LiveCall",
    "NotYoursError",
]

"""Lines in Asterisk: what they may be, how they are written, and how they are doing."""

from gateway.provisioning.check import checked, clash
from gateway.provisioning.grammar import FIELDS, GrammarError
from gateway.provisioning.provisioner import Provisioner
from gateway.provisioning.render import Section, render
from gateway.provisioning.state import LineHealth, LineState

__all__ = [
    "FIELDS",
    "GrammarError",
    "LineHealth",
    "LineState",
    "Provisioner",
    "Section",
    "checked",
    "clash",
    "render",
]

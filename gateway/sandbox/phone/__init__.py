"""A small, exact SIP telephone, or a small PBX: it calls and is called, plays, records, and tells all that it saw.

For tests, the demo and measurements: many calls at once in one event loop. It shares no code with the gateway.
"""

from gateway.sandbox.phone.agent import Phone
from gateway.sandbox.phone.call import ANSWER, BUSY, DECLINE, RING, Behaviour, Ended, PhoneCall, PhoneError

__all__ = ["ANSWER", "BUSY", "DECLINE", "RING", "Behaviour", "Ended", "Phone", "PhoneCall", "PhoneError"]

"""The SIP side: everything that speaks to Asterisk about calls."""

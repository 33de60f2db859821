"""Lines in Asterisk: what they may be, how they are written, and how they are doing.

`provisioner` is the door; all but it, `config`, `routes` and `ami` is pure.
"""

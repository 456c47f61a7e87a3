"""The exit codes of the command."""

CONFORMS = 0
"""Nothing was found, or what was asked for is done."""

FINDING = 1
"""Something speaks against a loop."""

USAGE = 2
"""Wrong usage: an option, a loop, a profile or a file that cannot be used."""

BROKEN = 3
"""The run itself broke off: it is incomplete."""

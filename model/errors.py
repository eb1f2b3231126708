"""The one error a person is meant to read."""


class NoonsongError(Exception):
    """Something a player can mend: the message names the thing, says what is allowed and what to do."""

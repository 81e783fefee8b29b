"""Errors that are told to people, not debugged."""


class InputError(ValueError):
    """A mistake of the user's, told in one line: name, rule, value, remedy."""

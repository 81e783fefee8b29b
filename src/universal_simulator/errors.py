"""What callers of the library catch: a mistake of theirs, told in one line."""

from universal_simulator.support.errors import InputError

__all__ = ["InputError"]

"""What a caller may catch: the errors of this package's users."""

from universal_simulator.support.errors import InputError

__all__ = ["InputError"]

"""What a user did wrong, as opposed to what we did wrong."""


class InputError(ValueError):
    """A mistake of the user's, told in one line: name, rule, value, remedy.

    The command line prints it as that line and ends with exit status 1; every other exception is a bug of ours and
    keeps its traceback.
    """

    def __str__(self) -> str:
        """Return the line: whatever was typed, it stays one, and cannot steer a terminal."""
        return "".join(letter if letter.isprintable() else " " for letter in super().__str__())

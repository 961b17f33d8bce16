"""The one error the lab raises on purpose."""


class LabError(Exception):
    """Something the user can act on; the message is one line that says what is wrong and, where known, what to do."""

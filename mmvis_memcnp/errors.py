"""Errors that are the user's to fix: the message is one sentence."""


class UserError(ValueError):
    """Bad input; the message names the thing and the fix."""


class NonFiniteLossError(UserError):
    """Training met a loss that is NaN or infinite."""


class SourceError(ValueError):
    """Frames cannot be read; the message is one sentence with the fix."""


class CheckpointError(RuntimeError):
    """A checkpoint that cannot, or must not, be loaded."""


class SavedFileError(UserError):
    """A saved session that cannot be read; one sentence with the fix."""


class OutputError(ValueError):
    """An output has no place; the message is one sentence with the fix."""

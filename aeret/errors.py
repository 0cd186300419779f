"""Define the errors that aeret raises on purpose.

Each message says what was given, what was expected and how to fix it::

    AeretError
    |-- UsageError           exit code 2: the command, a setting or a file of the user's is wrong
    |   |-- SettingsError    a settings file or a ``--set`` does not fit the schema; names file and line
    |   |-- DataError        a manifest, an annotation file or a photo is wrong; names file and id
    |   `-- UnknownNameError a name that is in no registry; suggests the nearest
    |-- RunError             exit code 1: a run that was set up well could not finish
    |   |-- DivergedError    a loss became NaN or infinite
    |   |-- LeakError        splits share photos that they must not share
    |   `-- ResourceError    exit code 4: the machine fails (a full disk): no other run of the command would do better
    `-- RegressionError      exit code 3: a nightly gate found a number worse than allowed
"""

from __future__ import annotations


class AeretError(Exception):
    """Base of all errors; ``exit_code`` is the command line's exit code."""

    exit_code = 1


class UsageError(AeretError):
    """The command, a setting or an input of the user's is wrong."""

    exit_code = 2


class SettingsError(UsageError):
    """A settings file or an override does not fit the schema."""


class DataError(UsageError):
    """A manifest, an annotation file or a photo is wrong."""


class UnknownNameError(UsageError):
    """A name that no registry holds."""


class RunError(AeretError):
    """A run that was set up well could not finish."""


class DivergedError(RunError):
    """A loss became NaN or infinite."""


class LeakError(RunError):
    """Splits share photos that they must not share; names them."""


class ResourceError(RunError):
    """The machine itself failed, for example its disk is full."""

    exit_code = 4


class RegressionError(AeretError):
    """A nightly gate found a number worse than allowed."""

    exit_code = 3

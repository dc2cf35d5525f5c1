"""Errors that a user can mend.

Each message is one line: the place, the value found, what is allowed, and what
to do next. A job that ends with one of these prints the line and no traceback.
"""


class FlatnessError(Exception):
    """Base of every error whose cause is outside this code."""


class SettingsError(FlatnessError):
    """The configuration is not acceptable."""


class DatasetError(FlatnessError):
    """A dataset is absent, damaged or does not hold what was asked for."""


class DeviceError(FlatnessError):
    """The device asked for cannot be used."""


class StorageError(FlatnessError):
    """A stored file is damaged or belongs to something else."""


class MeasurementError(FlatnessError):
    """The network or the inputs cannot be measured as they are."""


class NotFiniteError(MeasurementError):
    """The network's outputs or derivatives are not finite, as after a training that diverged."""


class BoundError(FlatnessError):
    """Measured numbers contradict an inequality that is proved."""


class InstallationError(FlatnessError):
    """A package that only a part of this one needs is not installed."""


class VerificationError(FlatnessError):
    """What was computed again is not what was recorded."""

"""What every group of a run's settings is: checked, with no key that nobody knows."""

from pydantic import BaseModel, ConfigDict

LARGEST = 1e30  # a number that training computes with, well inside float32


class Settings(BaseModel):
    """A group of settings. Raises pydantic's `ValidationError` for unknown keys and values that cannot be used."""

    model_config = ConfigDict(extra="forbid", validate_default=True, allow_inf_nan=False)

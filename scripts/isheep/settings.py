"""The base class of every settings model.

A stage's settings are declared beside the code that uses them; `isheep.config` only composes them. So a new key
for one stage changes the digest of that stage's program alone, and reruns nothing else.
"""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Immutable settings in which an unknown key or a wrong type is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

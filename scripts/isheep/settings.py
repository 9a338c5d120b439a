"""The base class of every settings model, and lists in which nothing stands twice.

A stage's settings are declared beside the code that uses them; `isheep.config.schema` only composes them. So a new key
for one stage changes the digest of that stage's program alone, and reruns nothing else.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Item = TypeVar("Item")


class Settings(BaseModel):
    """Immutable settings in which an unknown key or a wrong type is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _each_once(values: tuple[Item, ...]) -> tuple[Item, ...]:
    """Return the list; ValueError, which names the value or its places, where one stands there twice."""
    for place, value in enumerate(values):
        first = values.index(value)
        if first != place:
            what = f"numbers {first} and {place} alike" if isinstance(value, Settings) else f"{value!r} more than once"
            raise ValueError(f"found {what}, but each may stand there once; remove the others")
    return values


def each_once_by(name: str) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Return a check of a list of settings: each must have its own value of the key `name`."""

    def check(values: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [getattr(value, name) for value in values]
        for value in names:
            if names.count(value) > 1:
                raise ValueError(f"found the {name} {value!r} more than once, but each must have its own; change it")
        return values

    return check


Unique = Annotated[tuple[Item, ...], AfterValidator(_each_once), Field(json_schema_extra={"uniqueItems": True})]
"""A list in which a second time would mean nothing, or be counted as one more."""

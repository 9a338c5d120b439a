"""Sampling as a section of the configuration: what it leaves out keeps the section's own default."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from isheep.engine.engine import Sampling

SWITCHED_OFF = {name: field.default for name, field in Sampling.model_fields.items() if not field.is_required()}
"""What null stands for: probabilities as they are, no texts that stop, no log-probabilities."""


@dataclass(frozen=True)
class OnTopOf:
    """Annotates a section of type Sampling: the keys that are given lie on top of these settings."""

    settings: Sampling

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Complete the section before it is checked."""
        return core_schema.no_info_before_validator_function(self._completed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the section with the defaults that it has here."""
        section = handler.resolve_ref_schema(handler(schema))
        defaults = self.settings.model_dump(mode="json")
        properties = {name: content | {"default": defaults[name]} for name, content in section["properties"].items()}
        for name in SWITCHED_OFF:
            properties[name] = _or_null(properties[name])
        return {key: value for key, value in section.items() if key != "required"} | {"properties": properties}

    def _completed(self, given: object) -> object:
        if not isinstance(given, dict):
            return given
        values = {name: SWITCHED_OFF.get(name) if value is None else value for name, value in given.items()}
        return self.settings.model_dump() | values


def _or_null(content: JsonSchemaValue) -> JsonSchemaValue:
    """A key's schema that allows null too; what describes the key stays where editors look for it."""
    around = {key: content[key] for key in ("title", "description", "default") if key in content}
    value = {key: part for key, part in content.items() if key not in around}
    return {"anyOf": [value, {"type": "null"}], **around}

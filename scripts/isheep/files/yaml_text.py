"""Reading YAML with errors that a user can act on, and without losing a key that stands there twice."""

from pathlib import Path

import yaml

from isheep.files.records import InputError, read_text


class _RepeatedKey(Exception):
    """A mapping has a key twice; says on which lines."""


class _Loader(yaml.SafeLoader):
    """YAML's plain values; a key that its mapping has already is an error, where PyYAML keeps the last value."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                raise _RepeatedKey(f"line {line} has the key {key.value!r}, which line {lines[name]} has already")
            lines[name] = line
        return node


def read_yaml(path: str | Path, loader: type = _Loader) -> object:
    """Return what a YAML file holds; None where it holds nothing.

    loader: a safe one, for files of another form; without it a key that stands twice in one mapping is an error.
    Raises InputError, naming the file and, where it can be told, the line: a file that cannot be read, no valid YAML,
    a repeated key.
    """
    try:
        # The loaders are SafeLoader's: they make plain values only.
        return yaml.load(read_text(path), Loader=loader)
    except _RepeatedKey as error:
        raise InputError(f"{path}: {error}; remove one of them.") from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1} is" if error.problem_mark else "this is"
        raise InputError(f"{path}: {line} not valid YAML ({error.problem}); correct it.") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: this is not valid YAML ({' '.join(str(error).split())}); correct it.") from None

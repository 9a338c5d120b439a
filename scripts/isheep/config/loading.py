"""Reading the configuration: every mistake in it becomes one sentence with file, key, what was found and is allowed."""

import json
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from isheep.benchmarks.settings import BenchmarkSettings, files_of
from isheep.config.schema import NAME, Config, RecipeSettings, section
from isheep.data.assessment import load_assessment_prompt
from isheep.data.prompts import load_meta_prompt, load_seed_tasks
from isheep.fetch.hub_cache import FETCHED
from isheep.fetch.sources import load_sources
from isheep.files.records import InputError
from isheep.files.yaml_text import read_yaml
from isheep.project import PROJECT, located, located_all
from isheep.report.figures import FigureSettings
from isheep.spelling import listed, nearest, nearest_file

KINDS = {
    key: {kind.model_fields["kind"].annotation.__args__[0]: kind for kind in get_args(get_args(union)[0])}
    for key, union in {"benchmarks": BenchmarkSettings, "figures": FigureSettings}.items()
}
"""The settings of each kind of what has kinds."""
GIVEN = "the module's config"
"""What errors call a configuration that another workflow gives to this one as its module."""
AS_IN_YAML = {
    r"a valid tuple": "a list",
    r"a valid dictionary( or instance of \w+)?": "keys and values",
    r"a valid string": "a text",
    r"a valid integer(, unable to parse .*)?": "a whole number",
    r"a valid number(, unable to parse .*)?": "a number",
    r"a valid boolean(, unable to interpret input)?": "true or false",
    r"Tuple should have at least (\d+) items? after validation, not \d+": r"it must have at least \1 of them",
}
"""What the checker calls by its name in Python, and YAML by another."""
FORMS = ("dict_type", "model_type", "list_type", "tuple_type")
"""The checker's errors about what is no section, or no list."""
DEFAULTS = "config/defaults.yaml"
"""Included below a configuration that declares no benchmarks: what any model can be measured by and shown in."""
TAKING_PART = ("models", "recipes")
"""Sections whose entries take part where the experiment names none of them."""
LIBRARY = "config/recipes.yaml"
"""Has recipes to be named or extended: those that the configuration does not declare too take no part by themselves."""
REMOVABLE = ("tables", "figures", "claims", "agreements", "cases")
"""Sections in which a null removes an entry that another configuration file has."""


def load_config(raw: dict, files: Sequence[str | Path]) -> Config:
    """Check a configuration as Snakemake merged it.

    files: the files that it was read from, named in errors, or none where another workflow gives it to its module; the
    files that it names under the key `include` are merged below it, the last one on top. Where nothing declares
    benchmarks, DEFAULTS is included too; where the experiment names no models or recipes, all that are declared take
    part, save models that judge and recipes of the LIBRARY alone. Raises InputError with one sentence for each mistake,
    as far as they are met together: file, key, what was found, what is allowed, and for an unknown key the nearest
    right spelling.
    """
    contents = _read_with_included([str(file) for file in files] or [GIVEN], raw)
    if not any("benchmarks" in content for content in (raw, *contents.values())):
        contents = _read_with_included([located(DEFAULTS)], {}) | contents
    own = [raw, *(content for file, content in contents.items() if not _is_library(file))]
    raw = {key: value for key, value in raw.items() if key != "include"}
    for file in reversed([file for file in contents if file not in (*map(str, files), GIVEN)]):
        raw = _merged({key: value for key, value in contents[file].items() if key != "include"}, raw)
    raw = _with_taking_part(raw, own, next(iter(reversed(contents))))
    raw |= {key: _without_removed(raw[key]) for key in REMOVABLE if key in raw}
    recipes = raw.get("recipes")
    extends = {}
    if isinstance(recipes, dict):
        extends = {n: r.get("extends") for n, r in recipes.items() if isinstance(r, dict) and "extends" in r}
        for name in extends:
            _check_parents(name, extends, recipes, lambda key: _file_of(key, contents))
        raw = raw | {"recipes": {name: _with_parent(name, recipes) for name in recipes}}
    try:
        config = Config.model_validate(raw)
        _refuse_booleans(raw, config.model_dump(), contents)
        # The hardware as it was given: what is left out of it is found on the machine.
        return Config.model_validate(located_all(config.model_dump())).model_copy(update={"hardware": config.hardware})
    except ValidationError as error:
        errors = error.errors()
        # A misspelt key is also a missing one; its own sentence has the right spelling.
        unknown = [entry for entry in errors if entry["type"] == "extra_forbidden"]
        raise together(_sentences(unknown or errors, contents, extends)) from None


def read_config(files: Sequence[str | Path]) -> Config:
    """Read and check configuration files as Snakemake would merge them: each on top of those before it.

    Raises InputError as load_config does; also for a file that does not exist or is not valid YAML, at which Snakemake
    gives up before any of our code runs.
    """
    contents, raw = _read_with_included([str(file) for file in files], {}), {}
    for file in files:
        raw = _merged(raw, contents[str(file)])
    return load_config(raw, files)


def check_files(config: Config, benchmarks: Sequence[str]) -> None:
    """Read the seed tasks and prompts that a configuration names, so that a broken one is met before any job; those
    that are still to be fetched are not read.

    benchmarks: those of the configuration that measure anything. Raises InputError that names the file, or the key of a
    file that does not exist.
    """
    instructions = config.instructions
    files = {
        "instructions.seed_tasks": instructions.seed_tasks,
        "instructions.meta_prompt": instructions.meta_prompt,
    }
    for name, prompts in config.assessment.prompts.items():
        files |= {f"assessment.prompts.{name}.{criterion}": file for criterion, file in prompts.items()}
    for name, model in config.models.items():
        files |= {f"models.{name}.chat_template": model.chat_template, f"models.{name}.path": model.path}
    files |= _benchmark_files(config, benchmarks)
    sources = load_sources(config.fetch.sources)
    fetched = sources.files
    for key, file in files.items():
        is_data_set = key.endswith(".length_control") and file in sources.hub
        if file is None or is_data_set or Path(file).exists():
            continue
        if file.startswith(f"{FETCHED}/"):
            name = file.removeprefix(f"{FETCHED}/")
            if name not in fetched:
                raise InputError(f"{key}: {config.fetch.sources} has no file {name!r}{nearest(name, fetched)}.")
        else:
            raise InputError(
                f"{key}: the file {file} does not exist{nearest_file(file)}; correct the path or restore the file."
            )
    if Path(instructions.seed_tasks).exists():
        load_seed_tasks(instructions.seed_tasks, instructions.demonstrations)
    if Path(instructions.meta_prompt).exists():
        load_meta_prompt(instructions.meta_prompt)
    for name, prompts in config.assessment.prompts.items():
        for criterion, file in prompts.items():
            if not Path(file).exists():
                continue
            prompt = load_assessment_prompt(file)
            if prompt.criterion != criterion:
                raise InputError(
                    f"assessment.prompts.{name}.{criterion}: {file} has `criterion: {prompt.criterion}`; write the "
                    "same name in both."
                )


def _benchmark_files(config: Config, benchmarks: Sequence[str]) -> dict[str, str | None]:
    """The files that benchmarks and baselines of the experiment name, by key."""
    files = {}
    for name in benchmarks:
        files |= {f"benchmarks.{name}.{key}": file for key, file in files_of(config.benchmarks[name]).items()}
    for name in config.experiment.baselines:
        for benchmark, published in config.baselines[name].benchmarks.items():
            where = f"baselines.{name}.benchmarks.{benchmark}"
            files |= {f"{where}.answers": published.answers, f"{where}.judgments": published.judgments}
    return files


def config_schema() -> dict:
    """Return the configuration's JSON schema, with each key's description and default, for editors."""
    return Config.model_json_schema()


def _is_library(file: str) -> bool:
    return _is_shipped(file, LIBRARY)


def _is_shipped(file: str, name: str) -> bool:
    """Whether this is the file of that name in the project."""
    return Path(file).resolve() == (PROJECT / name).resolve()


def _with_taking_part(raw: dict, own: list[dict], file: str) -> dict:
    """Name in the experiment what takes part, where no file of the configuration does.

    own: what is declared by the configuration and by all that it includes but the LIBRARY. file: the one to name in.
    Raises InputError where there are recipes, and none would take part.
    """
    experiment = raw.get("experiment")
    if not isinstance(experiment, dict):
        return raw
    declared = {
        key: [name for name in section(raw, key) if any(name in section(content, key) for content in own)]
        for key in TAKING_PART
    }
    if "recipes" not in experiment and not declared["recipes"] and (others := section(raw, "recipes")):
        raise InputError(
            f"{file}: experiment.recipes: missing, and of {LIBRARY} only the recipes that are named take part; name "
            f"some of {listed(others)} there, or write `recipes: []` for the base models alone."
        )
    judging = [judge.get("model") for judge in section(raw, "judges").values() if isinstance(judge, dict)]
    models = [name for name in declared["models"] if name not in judging]
    return raw | {"experiment": declared | {"models": models} | experiment}


def _without_removed(entries: object) -> object:
    if not isinstance(entries, dict):
        return entries
    return {name: entry for name, entry in entries.items() if entry is not None}


def _read_with_included(files: list[str], given: dict) -> dict[str, dict]:
    """Return the content of each file and of those that it includes, the included ones before it.

    given: the content of the configuration that no file holds.
    """
    contents: dict[str, dict] = {}

    def read(file: str, *including: str) -> None:
        named_in = including[-1] if including else None
        if file in including:
            raise InputError(
                f"{named_in}: include: the files {' → '.join([*including, file])} include each other; leave one out."
            )
        if file != GIVEN and not Path(file).is_file():
            where = f"{named_in}: include: the" if named_in else "the configuration"
            if Path(file).is_dir():
                raise InputError(f"{where} file {file} is a folder; name a file in it.")
            meant = nearest_file(file, named_in)
            raise InputError(f"{where} file {file} does not exist{meant}; correct the path.")
        content = given if file == GIVEN else read_yaml(file) or {}
        if not isinstance(content, dict):
            raise InputError(f"{file}: found a {type(content).__name__}, but a configuration is keys and values.")
        included = content.get("include", [])
        if not isinstance(included, list) or not all(isinstance(name, str) for name in included):
            raise InputError(f"{file}: include: found {included!r}, but it must be a list of configuration files.")
        for name in map(located, included):
            if name not in contents:
                read(name, *including, file)
        contents[file] = content

    for file in files:
        read(file)
    return contents


def _refuse_booleans(given: object, checked: object, contents: dict[str, object], path: tuple = ()) -> None:
    """Raise InputError for a true or false where a number is meant: the checker takes them for 1 and 0."""
    if isinstance(given, bool) and isinstance(checked, int | float) and not isinstance(checked, bool):
        raise InputError(
            f"{_file_of(path, contents)}: {'.'.join(map(str, path))}: found {_as_yaml(given)}, but it must be a number."
        )
    if isinstance(given, dict) and isinstance(checked, dict):
        for key in given.keys() & checked.keys():
            _refuse_booleans(given[key], checked[key], contents, (*path, key))
    if isinstance(given, list) and isinstance(checked, list | tuple):
        for number, (entry, of_checked) in enumerate(zip(given, checked, strict=False)):
            _refuse_booleans(entry, of_checked, contents, (*path, number))


def _check_parents(name: str, extends: dict, recipes: dict, file_of) -> None:
    seen = [name]
    while (parent := extends.get(seen[-1])) is not None:
        key = ("recipes", seen[-1], "extends")
        where = f"{file_of(key)}: {'.'.join(key)}"
        if parent not in recipes:
            others = [other for other in recipes if other != seen[-1]]
            raise InputError(f"{where}: found {parent!r}, allowed: {listed(others)}{nearest(parent, others)}.")
        if parent in seen:
            raise InputError(f"{where}: the recipes {' → '.join([*seen, parent])} extend each other in a circle.")
        seen.append(parent)


def _with_parent(name: str, recipes: dict) -> object:
    recipe = recipes[name]
    if not isinstance(recipe, dict):
        return recipe
    own = {key: value for key, value in recipe.items() if key != "extends"}
    parent = recipe.get("extends")
    return own if parent is None else _merged(_with_parent(parent, recipes), own)


def _merged(below: object, above: object) -> object:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _merged(below[key], value) if key in below else value for key, value in above.items()}


def together(mistakes: Iterable[str]) -> InputError:
    """Return the error that says each mistake once, on a line of its own."""
    return InputError("\nError: ".join(dict.fromkeys(mistakes)))


def _sentences(errors: list[dict], contents: dict[str, object], extends: dict[str, str]) -> list[str]:
    """Say each validation error in one sentence; one that recipes take from another once."""
    said: dict[tuple, str] = {}
    paths = [_path(error) for error in errors]
    for error, path in zip(errors, paths, strict=True):
        if any(other != path and other[: len(path)] == path for other in paths):
            continue  # a list is not short by itself, but for what is wrong in it
        written = _as_written(path)
        origin = _origin(written, contents, extends)
        if origin == written or origin not in said:
            said[origin] = _sentence(error, origin, contents)
    return list(said.values())


def _path(error: dict) -> tuple:
    return tuple(part for part in error["loc"] if part != "[key]")


def _origin(location: tuple, contents: dict[str, object], extends: dict[str, str]) -> tuple:
    """Where a key is written: in the recipe that has it, or in one that it extends."""
    while len(location) > 2 and _file_of(location, contents, default=None) is None and location[1] in extends:
        location = (location[0], extends[location[1]], *location[2:])
    return location


def _sentence(error: dict, origin: tuple, contents: dict[str, object]) -> str:
    """Say one validation error in one sentence. origin: where its key is written."""
    path = _path(error)
    location = _as_written(path)
    key = ".".join(str(part) for part in location)
    file = _file_of(origin, contents)
    if error["type"] == "extra_forbidden":
        allowed = _keys_at(path[:-1])
        return f"{file}: unknown key {key!r}; allowed here: {listed(allowed)}{nearest(location[-1], allowed)}."
    if error["type"] == "missing":
        description = _description(path)
        # Not in the defaults that nobody named, where another file can have it.
        file = _file_of(
            origin, {name: content for name, content in contents.items() if not _is_shipped(name, DEFAULTS)}, file
        )
        return f"{file}: the key {key!r} is missing{': ' + description if description else '; add it.'}"
    if error["type"].startswith("union_tag"):
        kinds = error["ctx"].get("expected_tags", ", ".join(KINDS[location[0]]))
        found = f"found {error['ctx']['tag']!r}" if "tag" in error["ctx"] else "missing"
        return f"{file}: {key}.kind: {found}, allowed: {kinds.replace(chr(39), '')}."
    message = re.sub(r"^Value error, ", "", error["msg"])
    if error["type"] == "value_error":
        if not location:
            file = _file_of(tuple(message.split(":")[0].split(".")), contents)
        return f"{file}: {key + ': ' if key else ''}{message}."
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] == NAME:
        message = "it must begin with a letter or digit and have nothing but letters, digits, `_`, `.` and `-`"
    message = re.sub(r"^(Input|String) should ", "it must ", message)
    for theirs, in_yaml in AS_IN_YAML.items():
        message = re.sub(theirs, in_yaml, message)
    return f"{file}: {key}: found {_as_yaml(error['input'])}, but {message}{_form(path, error['type'])}."


def _form(path: tuple, kind: str) -> str:
    """What a key holds, where something of another form was found."""
    if kind not in FORMS:
        return ""
    model = _model_at(path)
    if model and not _description(path):
        required = [name for name, field in model.model_fields.items() if field.is_required()]
        return f", with at least {listed(required)}" if required else "; {} has every default"
    described = (description for length in range(len(path), 0, -1) if (description := _description(path[:length])))
    return "".join(f" ({description.rstrip('.')})" for description in islice(described, 1))


def _as_yaml(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return repr(value)


def _as_written(path: tuple) -> tuple:
    """Return a key's path without the kind, which the checker adds after the name of what has kinds."""
    return path[:2] + path[3:] if _kind_at(path, 2) else path


def _kind_at(path: tuple, depth: int) -> type[BaseModel] | None:
    return KINDS.get(path[0], {}).get(path[2]) if depth == 2 and len(path) > 2 else None


def _file_of(location: tuple, contents: dict[str, object], default: str | None = "--config") -> str | None:
    """Name the last file that holds the longest part of the key's path, where there is any."""
    for length in range(len(location), 0, -1):
        for file, content in reversed(contents.items()):
            if _holds(content, location[:length]):
                return file if length == len(location) or default is not None else None
    return next(iter(reversed(contents)), default) if default is not None else None


def _holds(content: object, location: tuple) -> bool:
    for part in location:
        if (isinstance(content, dict) and part in content) or (
            isinstance(content, list) and isinstance(part, int) and part < len(content)
        ):
            content = content[part]
        else:
            return False
    return True


def _keys_at(location: tuple) -> list[str]:
    model = _model_at(location)
    keys = list(model.model_fields) if model else []
    return [*keys, "extends"] if model is RecipeSettings else keys


def _description(location: tuple) -> str:
    model = _model_at(location[:-1])
    field = model.model_fields.get(str(location[-1])) if model else None
    return re.sub(r"\s+", " ", field.description) if field and field.description else ""


def _model_at(location: tuple) -> type[BaseModel] | None:
    """Follow a key's path through the models: fields, and the values of dictionaries and lists of models."""
    model: object = Config
    for depth, part in enumerate(location):
        if kind := _kind_at(location, depth):
            model = kind
        elif _is_model(model):
            field = model.model_fields.get(str(part))
            model = _plain(field.annotation) if field else None
        else:
            held = [argument for argument in get_args(model) if argument is not Ellipsis]
            model = _plain(held[-1]) if held else None
    return model if _is_model(model) else None


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _plain(annotation: object) -> object:
    """A type without what is annotated to it, and without the null that may stand in its place."""
    arguments = [argument for argument in get_args(annotation) if argument is not NoneType]
    if get_origin(annotation) is Annotated or (get_origin(annotation) in (Union, UnionType) and len(arguments) == 1):
        return _plain(arguments[0])
    return annotation


if __name__ == "__main__":
    print(json.dumps(config_schema(), indent=2))

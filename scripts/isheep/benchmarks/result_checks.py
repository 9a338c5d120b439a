"""Whether a result record still fits what lies there and what is configured, before it is shown.

Snakemake makes again what is out of date. Where that went wrong, an old score is refused here: it is never shown.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import Field

from isheep.benchmarks.grid import PUBLISHED, Grid
from isheep.benchmarks.results import AGAIN, ResultRecord, read_result
from isheep.data.ledger import SELECTION_RECORD
from isheep.engine.identity import read_identity
from isheep.files.reading import read_object
from isheep.files.records import InputError, file_sha256
from isheep.settings import Settings
from isheep.training.fine_tuning import TRAINING_RECORD

TRAINED_BY = ("training_set", "validation_set")
"""Keys of the training's record: the checksums of its pairs, which lie in .jsonl files beside the checkpoint's folder.
"""


class Configured(Settings):
    """What the configuration says now of all that results depend on."""

    results: str
    """Folder of the experiment's results."""
    benchmarks: dict[str, dict] = Field(default_factory=dict)
    """The settings of each benchmark, without its note."""
    notes: dict[str, str] = Field(default_factory=dict)
    """The note of each benchmark that has one, for the readers of its scores."""
    judges: dict[str, dict] = Field(default_factory=dict)
    """Who judges in each benchmark that has a judge."""
    engine: dict = Field(default_factory=dict)
    """The program that writes every text."""
    system_prompts: dict[str, str | None] = Field(default_factory=dict)
    """The system text of each model's chats."""
    published: dict[str, dict[str, dict]] = Field(default_factory=dict)
    """The published files of each baseline's benchmarks."""
    recipes: dict[str, dict[str, dict]] = Field(default_factory=dict)
    """Of each recipe, what the records of its checkpoints must say: `selection` and `training`."""

    def restricted_to(self, grid: Grid) -> "Configured":
        """Return what is configured of the results in a grid alone."""
        measured = [(m, c, names) for m, checkpoints in grid.measured.items() for c, names in checkpoints.items()]
        benchmarks = {name for *_, names in measured for name in names}
        benchmarks |= {name for names in grid.baselines.values() for name in names}
        answered = {self.benchmarks[name].get("answers_of") for name in benchmarks & self.benchmarks.keys()}
        shown = {
            "benchmarks": benchmarks | answered,
            "notes": benchmarks,
            "judges": benchmarks,
            "system_prompts": {model for model, *_ in measured},
            "published": grid.baselines,
            "recipes": {checkpoint.partition("/")[0] for _, checkpoint, _ in measured},
        }
        own = {key: {name: entry for name, entry in getattr(self, key).items() if name in shown[key]} for key in shown}
        return self.model_copy(update=own)

    def of(self, model: str, checkpoint: str, benchmark: str) -> dict:
        """Return the settings that a result of this checkpoint, or of this baseline (PUBLISHED), is made with."""
        settings = {"benchmark": self.benchmarks[benchmark]}
        if shared := self.benchmarks[benchmark].get("answers_of"):
            settings["answers"] = self.benchmarks[shared]
        judge = self.judges.get(benchmark)
        if checkpoint == PUBLISHED:
            files = self.published[model][benchmark]
            return settings | {"published": files} | ({"judge": judge} if judge and not files["judgments"] else {})
        system_prompt = None if checkpoint == "base" else self.system_prompts[model]
        answering = {"engine": self.engine, "system_prompt": system_prompt}
        return settings | answering | ({"judge": judge} if judge else {})


def check_result(path: str | Path, where: Mapping[str, str | int], configured: Configured) -> ResultRecord:
    """Return a result record that fits what lies there and what is configured.

    where: model, seed, checkpoint and benchmark of the cells that it fills. Raises InputError as `read_result` does,
    and for a record that does not fit: the sentence names cell, file, and what was found on both sides.
    """
    record = read_result(path)
    cell = _named(where)
    if record.benchmark != where["benchmark"]:
        raise InputError(f"{path}: {cell}: it is a result of {record.benchmark}; {AGAIN}.")
    expected = configured.of(str(where["model"]), str(where["checkpoint"]), record.benchmark)
    _require_same(f"{path}: {cell}", record.made_from.settings, _as_json(expected))
    _require_files(f"{path}: {cell}", record.made_from.files)
    if where["checkpoint"] != PUBLISHED:
        _check_who_answered(path, record, where, configured)
    return record


def _check_who_answered(path: str | Path, record: ResultRecord, where: Mapping, configured: Configured) -> None:
    """Raise InputError unless the checkpoint that lies there is the one that answered, and is made as configured."""
    model, checkpoint = str(where["model"]), str(where["checkpoint"])
    home = Path(configured.results, model, *([] if checkpoint == "base" else [f"seed{where['seed']}", checkpoint]))
    recipe = configured.recipes.get(checkpoint.partition("/")[0])
    # By the recipe: an adapter of an earlier one may lie beside full weights.
    folder = home / ("adapter" if recipe and recipe["training"]["settings"]["method"] == "lora" else "weights")
    answered, there = record.answered_by["engine"], read_identity(folder)
    if there not in (answered["checkpoint"], answered.get("merged_from")):
        raise InputError(
            f"{path}: {_named(where)}: the checkpoint {answered['checkpoint'][:12]} answered, but {folder} holds "
            f"{there[:12]}; {AGAIN}."
        )
    if recipe:
        _check_checkpoint(folder, recipe, configured.system_prompts[model])


def _check_checkpoint(folder: Path, recipe: dict[str, dict], system_prompt: str | None) -> None:
    """Raise InputError unless a trained checkpoint, and the training set that lies beside it, fit each other, the files
    that the pairs were selected by, and the recipe."""
    trained, selected = read_object(folder / TRAINING_RECORD), read_object(folder.parent / SELECTION_RECORD)
    settings = recipe["training"] | {"system_prompt": system_prompt}
    _require_same(str(folder / TRAINING_RECORD), {key: trained.get(key) for key in settings}, _as_json(settings))
    settings = recipe["selection"]
    where = str(folder.parent / SELECTION_RECORD)
    _require_same(where, {key: selected.get(key) for key in settings}, _as_json(settings))
    _require_files(str(folder), {str(folder.parent / f"{name}.jsonl"): trained.get(name) for name in TRAINED_BY})
    _require_files(where, selected.get("files", {}))


def _require_files(where: str, files: Mapping[str, str]) -> None:
    """Raise InputError for the first file that is missing, or has another sha256 than this."""
    for file, sha256 in files.items():
        if not Path(file).is_file():
            raise InputError(f"{where}: it was made from {file}, which is missing; {AGAIN}.")
        found = _sha256_of(file)
        if found != sha256:
            raise InputError(
                f"{where}: it was made from {file} with the sha256 {str(sha256)[:12]}, but what lies there has "
                f"{found[:12]}; {AGAIN}."
            )


def _sha256_of(file: str) -> str:
    """The checksum of a file, read once though many records are made from it."""
    status = Path(file).stat()
    return _sha256_at(file, status.st_ino, status.st_size, status.st_mtime_ns)


@cache
def _sha256_at(file: str, *_: int) -> str:
    return file_sha256(file)


def _require_same(where: str, recorded: object, configured: object, key: str = "") -> None:
    """Raise InputError for the first setting that differs, by its key."""
    if isinstance(recorded, dict) and isinstance(configured, dict):
        for name in [*recorded, *(name for name in configured if name not in recorded)]:
            _require_same(where, recorded.get(name), configured.get(name), f"{key}.{name}".lstrip("."))
    elif recorded != configured:
        raise InputError(
            f"{where}: it was made with {key} {json.dumps(recorded)}, but {json.dumps(configured)} is configured; "
            f"{AGAIN}."
        )


def _named(where: Mapping[str, str | int]) -> str:
    seed = f" (seed {where['seed']})" if where["checkpoint"] != PUBLISHED else ""
    return f"{where['benchmark']} of {where['model']} {where['checkpoint']}{seed}"


def _as_json(content: dict) -> dict:
    """The content as it comes back from a file."""
    return json.loads(json.dumps(content))

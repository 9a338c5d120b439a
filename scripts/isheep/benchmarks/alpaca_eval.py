"""AlpacaEval: its settings, and the files that go into it: reference, outputs of a model, annotations.

AlpacaEval shows a judge two outputs for each instruction, a reference's and a model's, and counts how often it
prefers the model's (arXiv 2305.14387; AlpacaEval 2: arXiv 2404.04475). An annotation's `preference` runs from 1
(`output_1`, the reference's) to 2 (`output_2`, the model's).
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from isheep.engine.engine import Sampling
from isheep.engine.sampling_sections import OnTopOf
from isheep.files.records import InputError, read_objects
from isheep.files.yaml_text import read_yaml
from isheep.settings import Settings

ANSWERING = Sampling(temperature=0.7, max_tokens=2048)
"""How answers are drawn by most of alpaca-eval's own configurations of models (version 0.6.6, models_configs)."""

REFERENCE_WINS, DRAW, MODEL_WINS = 1.0, 1.5, 2.0

FROM_PACKAGE = "package:"
"""How the name of a prompt begins that comes with alpaca-eval."""
OLD_DRAW = 0
"""How early annotation files write a draw (alpaca_eval 0.6.6, metrics/helpers.py, replaces it too)."""


class AlpacaEvalSettings(Settings):
    """AlpacaEval: a judge compares the answers of every checkpoint with a reference's."""

    kind: Literal["alpaca_eval"]
    """Pairwise comparison by the alpaca-eval package."""
    reference: str
    """File of reference outputs: a JSON list or JSON Lines of {instruction, output, generator, dataset (optional)}.
    It gives both the instructions and the answers to compare with. AlpacaEval 2: the outputs of gpt4_1106_preview."""
    annotator: str
    """Folder with how the judge is asked: `configs.yaml` in alpaca-eval's own format, without its `fn_completions`.
    config/annotators/weighted_alpaca_eval_gpt4_turbo is AlpacaEval 2's, alpaca_eval_gpt4 is AlpacaEval 1's."""
    judge: str
    """Which of `judges` compares."""
    answers_of: str | None = None
    """Another benchmark of this kind, on the same instructions, whose answers are compared here: nothing is answered
    again, and what is said here of how answers are written plays no role. null: answers of its own."""
    sampling: Annotated[Sampling, OnTopOf(ANSWERING)] = ANSWERING
    """How a checkpoint's answers are drawn. The paper does not say; the default is what alpaca-eval's own
    configurations of models mostly have. A key that is left out keeps its default."""
    raw_suffix: str = ""
    """Put after an instruction when the untouched base model answers it raw, such as a newline."""
    length_control: str | None = None
    """What the length-controlled win rate is fitted from, df_gamed.csv of the data set tatsu-lab/alpaca_eval on the
    Hugging Face hub: the file, or the name of the data set in the file of sources (`alpaca_eval`), which
    `snakemake prefetch` then fetches; null leaves that win rate out, with a note. Only for AlpacaEval 2's 805
    instructions, in their published order."""


def annotator_files(folder: str | Path) -> list[Path]:
    """Return the files that say how an annotator asks its judge: its configs.yaml, and its prompt where that is not one
    of the package's own. Raises InputError for a folder without configs.yaml, or one that is not YAML."""
    file = Path(folder) / "configs.yaml"
    content = read_yaml(file)
    settings = content.values() if isinstance(content, dict) else ()
    templates = [entry.get("prompt_template") for entry in settings if isinstance(entry, dict)]
    own = [name for name in templates if isinstance(name, str) and not name.startswith(FROM_PACKAGE)]
    return [file, *(Path(os.path.normpath(file.parent / name)) for name in own)]


def keep_package_offline() -> None:
    """Let alpaca-eval and the libraries that it imports download nothing, and read no `.env` file, which may hold
    secrets. To be called before the first import of alpaca-eval."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", PYTHON_DOTENV_DISABLED="1")


def load_reference(path: str | Path) -> list[dict]:
    """Read reference outputs: rows with `instruction`, `output`, `generator`, and `dataset` (null where absent).

    Raises InputError, naming file and row, for a torn file, a missing text, or an instruction given twice.
    """
    rows = {number: _output_row(row, f"{path}: row {number}") for number, row in _numbered_rows(path).items()}
    if not rows:
        raise InputError(f"{path}: the file holds no outputs; fetch it again.")
    _row_of_instruction(path, rows)
    return list(rows.values())


def load_outputs(
    path: str | Path, reference: Sequence[dict], model: str | None = None, missing: int = 0
) -> list[dict | None]:
    """Read a model's outputs, as rows like the reference's and in the reference's order.

    model: take only rows of this `generator`. missing: so many of the reference's instructions may have no output; they
    are None. Raises InputError as `load_reference` does, and unless there is exactly one output for each of the others.
    """
    rows = _rows_of_model(path, "generator", model)
    rows = {number: _output_row(row, f"{path}: row {number}") for number, row in rows.items()}
    return _in_reference_order(path, rows, reference, missing)


def load_annotations(
    path: str | Path, reference: Sequence[dict], model: str | None = None, missing: int = 0
) -> list[dict]:
    """Read published annotations, in the reference's order, with all fields that they have.

    A `preference` is from 1 to 2, or null where the judgment is missing; a `glm_preference`, the length-controlled one,
    from 0 to 1, or null or absent where it is missing. model: take only rows of this `generator_2`. missing: so many of
    the reference's instructions may have no annotation; theirs is `lacking_annotation`. Raises InputError, naming file
    and row, for a torn file, a missing text, a preference outside its range, unless there is exactly one annotation for
    each of the other instructions, and where no `output_1` is the reference's.
    """
    rows = _rows_of_model(path, "generator_2", model)
    rows = {number: _annotation_row(row, f"{path}: row {number}") for number, row in rows.items()}
    found = _in_reference_order(path, rows, reference, missing)
    ordered = [row or lacking_annotation(answer) for row, answer in zip(found, reference, strict=True)]
    if not any(row and row["output_1"] == answer["output"] for row, answer in zip(found, reference, strict=True)):
        raise InputError(
            f"{path}: no output_1 is the reference's output; the file compares with another reference, or has the "
            "model's outputs first: take the file or the reference that belong together."
        )
    return ordered


def lacking_annotation(reference: dict) -> dict:
    """Return the annotation of an instruction that a published file lacks: no output of the model, no preference."""
    return {
        "instruction": reference["instruction"],
        "output_1": reference["output"],
        "generator_1": reference["generator"],
        "dataset": reference["dataset"],
        "output_2": None,
        "preference": None,
    }


def lacking_note(annotations: Sequence[dict]) -> list[str]:
    """Return a note on the instructions that a published file lacks, if it lacks any."""
    count = sum(row["output_2"] is None for row in annotations)
    return [f"The published file lacks {count} of {len(annotations)} instructions; they are missing."] if count else []


def _numbered_rows(path: str | Path) -> dict[int, dict]:
    """The rows of a file by their number in it, from 1."""
    return dict(enumerate(read_objects(path), start=1))


def _rows_of_model(path: str | Path, key: str, model: str | None) -> dict[int, dict]:
    rows = _numbered_rows(path)
    if model is None:
        return rows
    chosen = {number: row for number, row in rows.items() if row.get(key) == model}
    if not chosen:
        names = ", ".join(sorted({str(row.get(key)) for row in rows.values()})) or "none"
        raise InputError(
            f"{path}: no row has {key} {model!r}; found: {names}; name one of them under the baseline's key model "
            "(--model)."
        )
    return chosen


def _output_row(row: dict, where: str) -> dict:
    _check_texts(row, ("instruction", "output", "generator"), where)
    return {key: row.get(key) for key in ("instruction", "output", "generator", "dataset")}


def _annotation_row(row: dict, where: str) -> dict:
    _check_texts(row, ("instruction", "output_1", "output_2"), where)
    found = row.get("preference")
    missing = found is None or found != found
    if not missing and not _is_number(found):
        raise InputError(f"{where}: preference: found {found!r}, but it must be a number from 1 to 2, or null.")
    if not missing and found != OLD_DRAW and not REFERENCE_WINS <= found <= MODEL_WINS:
        raise InputError(
            f"{where}: preference: found {found}, but it runs from 1 (the reference) to 2 (the model); null where "
            "the judgment is missing."
        )
    controlled = row.get("glm_preference")
    if controlled is not None and (not _is_number(controlled) or not 0 <= controlled <= 1):
        raise InputError(
            f"{where}: glm_preference: found {controlled!r}, but it must be a number from 0 (the reference) to 1 (the "
            "model), or null where it is missing; restore the published file."
        )
    return row | {"preference": None if missing else DRAW if found == OLD_DRAW else float(found)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_texts(row: dict, keys: Sequence[str], where: str) -> None:
    for key in keys:
        if not isinstance(row.get(key), str):
            raise InputError(f"{where} has no text under {key!r} (found {row.get(key)!r}); add it.")


def _row_of_instruction(path: str | Path, rows: Mapping[int, dict]) -> dict[str, dict]:
    """The rows by their instruction; they are given by their number in the file, which errors name."""
    seen: dict[str, int] = {}
    for number, row in rows.items():
        first = seen.setdefault(row["instruction"], number)
        if first != number:
            raise InputError(
                f"{path}: rows {first} and {number} are for the same instruction ({_shortened(row['instruction'])}); "
                "keep one of them."
            )
    return {row["instruction"]: row for row in rows.values()}


def _in_reference_order(
    path: str | Path, rows: Mapping[int, dict], reference: Sequence[dict], missing: int
) -> list[dict | None]:
    found = _row_of_instruction(path, rows)
    asked = [row["instruction"] for row in reference]
    without_row = [instruction for instruction in asked if instruction not in found]
    if len(without_row) == len(asked):
        raise InputError(
            f"{path}: none of the reference's {len(asked)} instructions is among its {len(rows)} rows; it answers "
            "another question set: take the file or the reference that belong together."
        )
    if len(without_row) > missing:
        raise InputError(
            f"{path}: {len(rows)} rows, but {len(without_row)} of the reference's {len(asked)} instructions have none, "
            f"the first is {_shortened(without_row[0])}; complete the file, or, where it was published so, set the "
            f"baseline's key missing to {len(without_row)}."
        )
    if extra := list(found.keys() - set(asked)):
        raise InputError(
            f"{path}: {len(rows)} rows, but the reference has {len(asked)} instructions, and {_shortened(extra[0])} is "
            "none of them; take the file or the reference that belong together."
        )
    return [found.get(instruction) for instruction in asked]


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")

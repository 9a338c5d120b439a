"""Score AlpacaEval's annotations by the alpaca-eval package: a row per instruction, and one result record."""

import argparse
import json
from pathlib import Path
from unittest import mock

from isheep import cli
from isheep.benchmarks.alpaca_eval import DRAW, REFERENCE_WINS, keep_package_offline
from isheep.benchmarks.results import add_result_arguments, write_result
from isheep.engine.provenance import installed_versions
from isheep.fetch.hub_cache import file_in
from isheep.files.records import InputError, write_jsonl

VERSIONS_OF = ("alpaca_eval", "numpy", "pandas", "scikit-learn")

FETCH_LENGTH_CONTROL = (
    "The length-controlled win rate is missing: it is fitted from df_gamed.csv of the data set tatsu-lab/alpaca_eval "
    "on the Hugging Face hub; fetch that file and name it under length_control."
)
LENGTH_CONTROL_FILE = "df_gamed.csv"
FITTED_ON_ALL = "The length-controlled win rate is missing: it is fitted on outputs for all instructions."
FROM_ANNOTATIONS = (
    "The length-controlled win rate is the mean of the annotations' own glm_preference, fitted by their publisher."
)


def main(arguments: argparse.Namespace) -> None:
    """Publish items and result."""
    keep_package_offline()
    annotations = json.loads(arguments.annotations.read_text(encoding="utf-8"))
    record = json.loads(arguments.usage.read_text(encoding="utf-8"))
    length_control = arguments.length_control
    if length_control is not None and length_control.is_dir():
        length_control = file_in(length_control, LENGTH_CONTROL_FILE)
    length_controlled = length_controlled_score(annotations, length_control)
    result = {
        "benchmark": arguments.benchmark,
        "task": "alpaca_eval",
        "scores": [*win_rate_scores(annotations), length_score(annotations), length_controlled],
        "versions": installed_versions(VERSIONS_OF),
        "seed": record["seed"],
        "judge": record["judge"],
        "answered_by": arguments.answered_by and json.loads(arguments.answered_by.read_text(encoding="utf-8")),
        "notes": record["notes"],
        "annotator": record["annotator"],
        "reference": record["reference"],
    }
    write_jsonl(arguments.items, (item_row(number, row) for number, row in enumerate(annotations)))
    read = [arguments.annotations, arguments.usage, arguments.answered_by, length_control]
    write_result(arguments, result, read, record, result["answered_by"])
    print(f"{arguments.benchmark}: {len(annotations)} annotations scored")


def win_rate_scores(annotations: list[dict]) -> list[dict]:
    """alpaca-eval's metrics of all judgments that are not missing. Rates and their standard error are in per cent;
    `n_wins`, `n_wins_base` and `n_draws` are counts of judgments for the model, for the reference, for neither."""
    from alpaca_eval.metrics import get_winrate

    preferences = [row["preference"] for row in annotations if row["preference"] is not None]
    metrics = get_winrate([{"preference": preference} for preference in preferences]) if preferences else {}
    n, n_valid = len(annotations), len(preferences)
    names = ("win_rate", "discrete_win_rate", "n_wins", "n_wins_base", "n_draws")
    errors = {"win_rate": metrics.get("standard_error")}
    return [score(name, metrics.get(name), errors.get(name), n, n_valid) for name in names]


def length_score(annotations: list[dict]) -> dict:
    """The average length of the model's outputs in characters, cut to a whole number as on AlpacaEval's leaderboard."""
    lengths = [len(row["output_2"]) for row in annotations if row["output_2"] is not None]
    return score("avg_length", sum(lengths) // len(lengths), None, len(annotations), len(lengths))


def length_controlled_score(annotations: list[dict], length_control: Path | None) -> dict:
    """The length-controlled win rate in per cent; its `note` says what a reader must know of it.

    It is fitted where `length_control` names df_gamed.csv; else it is the mean of what the publisher of the
    annotations has fitted, where they hold that; else it is missing.
    """
    name, n = "length_controlled_win_rate", len(annotations)
    if length_control is not None:
        n_valid = sum(row["preference"] is not None for row in annotations)
        if not n_valid:
            return score(name, None, None, n, 0) | {"note": "The length-controlled win rate has no valid judgment."}
        if any(row["output_2"] is None for row in annotations):
            return score(name, None, None, n, 0) | {"note": FITTED_ON_ALL}
        return score(name, *fit_length_controlled(annotations, length_control), n, n_valid)
    published = [row["glm_preference"] for row in annotations if row.get("glm_preference") is not None]
    if not published:
        return score(name, None, None, n, 0) | {"note": FETCH_LENGTH_CONTROL}
    import pandas

    series = pandas.Series(published)
    return score(name, series.mean() * 100, series.sem() * 100, n, len(published)) | {"note": FROM_ANNOTATIONS}


def fit_length_controlled(annotations: list[dict], df_gamed: Path) -> tuple[float, float]:
    """alpaca-eval's own fit: length-controlled win rate and its standard error, in per cent.

    The package asks the hub for df_gamed.csv, so it is handed our file instead; and it would keep the fitted weights
    in site-packages, so they are not kept.
    """
    import pandas
    from alpaca_eval.metrics import glm_winrate

    try:
        instructions = pandas.read_csv(df_gamed)["index"].nunique()
    except (KeyError, ValueError, OSError) as error:
        raise InputError(f"{df_gamed}: this is no table with a column `index` ({error}); fetch it again.") from None
    if instructions != len(annotations):
        raise InputError(
            f"{df_gamed}: it is for {instructions} instructions, but there are {len(annotations)} annotations; set "
            "length_control to null for another question set than AlpacaEval's."
        )
    columns = ["preference", "output_1", "output_2"]
    frame = pandas.DataFrame(annotations)[columns].astype({"preference": float})
    is_reference = (frame["output_1"] == frame["output_2"]).all()
    frame = frame.assign(generator_1="reference", generator_2="reference" if is_reference else "model")
    with mock.patch.object(glm_winrate, "hf_hub_download", return_value=str(df_gamed)):
        metrics = glm_winrate.get_length_controlled_winrate(frame, save_weights_dir=None)
    return metrics["length_controlled_winrate"], metrics["lc_standard_error"]


def score(metric: str, value: float | None, standard_error: float | None, n: int, n_valid: int) -> dict:
    """One row of a result record; what cannot be computed is null."""
    return {
        "metric": metric,
        "value": number(value),
        "standard_error": number(standard_error),
        "n": n,
        "n_valid": n_valid,
    }


def number(value: float | None) -> float | int | None:
    """A plain number; None for not-a-number, such as the standard error of a single judgment."""
    if value is None or value != value:
        return None
    return value.item() if hasattr(value, "item") else value


def item_row(index: int, row: dict) -> dict:
    """One row of the items file: what was asked, answered and compared with, and who won."""
    preference = row["preference"]
    return {
        "id": index,
        "dataset": row.get("dataset"),
        "prompt": row["instruction"],
        "response": row["output_2"],
        "target": row["output_1"],
        "preference": preference,
        "winner": winner(preference),
        "metrics": {
            "win_rate": None if preference is None else preference - REFERENCE_WINS,
            "avg_length": None if row["output_2"] is None else len(row["output_2"]),
        },
    }


def winner(preference: float | None) -> str | None:
    """Who a preference from 1 to 2 is for; None where the judgment is missing."""
    if preference is None:
        return None
    if preference == DRAW:
        return "draw"
    return "model" if preference > DRAW else "reference"


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--annotations", type=Path, required=True, help="JSON list, one row an instruction")
parser.add_argument("--usage", type=Path, required=True, help="JSON: what the annotations come from")
parser.add_argument("--answered-by", type=Path, help="JSON: who answered, and how")
parser.add_argument(
    "--length-control",
    type=Path,
    nargs="?",
    help="df_gamed.csv, or the folder that tatsu-lab/alpaca_eval was fetched into",
)
add_result_arguments(parser)

if __name__ == "__main__":
    cli.run(main, parser)

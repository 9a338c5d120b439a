"""Result records for tests that need one and nobody who was measured."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from isheep.benchmarks.results import write_result


def write_made_up_result(
    items: Path, scores: list[dict], settings: dict | None = None, read: Sequence[Path] = (), **record
) -> Path:
    """Write the record of items that lie there, beside them, and that were made from the files `read`; `scores` need
    but their metric and value."""
    result = items.with_name("result.json")
    counts = {"standard_error": None, "n": 1, "n_valid": 1}
    content = {
        "benchmark": "made_up",
        "task": "made_up",
        "scores": [counts | score for score in scores],
        "versions": {},
        "seed": 1,
        "judge": None,
        "notes": [],
        "answered_by": None,
    }
    arguments = Namespace(items=items, result=result, settings=settings or {})
    write_result(arguments, content | record, read)
    return result

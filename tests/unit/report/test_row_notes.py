"""What stands below tables and figures of the pairs that checkpoints were trained on."""

import json

import pytest

from isheep.files.records import InputError, write_json
from isheep.report.row_notes import SelectionPlace, Shown, training_notes


@pytest.fixture
def note(tmp_path):
    """The notes on what is shown, title → (recipe, checkpoint), by records of checkpoint and seed."""

    def note(shown: dict[str, tuple[str, str]], records: dict[tuple[str, int], dict]) -> list[str]:
        places = []
        for number, ((checkpoint, seed), record) in enumerate(records.items()):
            path = tmp_path / f"{number}.json"
            write_json(path, RECORD | record)
            recipe, _, iteration = checkpoint.partition("/iter")
            where = {"model": "m", "seed": seed, "recipe": recipe, "iteration": int(iteration)}
            places.append(SelectionPlace(**where, path=str(path)))
        named = [
            Shown(title=title, model="m", recipe=recipe, iteration=int(checkpoint[-1]), checkpoint=checkpoint)
            for title, (recipe, checkpoint) in shown.items()
        ]
        return training_notes(places, named)

    return note


CAP = {"rows": "first", "max_samples": 3, "validation_share": 0.1}
RECORD = {"rows": CAP, "kept": 3, "trained_on": 3, "held_out": 0, "trained_on_sha256": "a"}


def of(checksum: str, **changes) -> dict:
    return {"trained_on_sha256": checksum} | changes


def test_checkpoints_of_the_same_pairs_are_named_with_their_seeds(note):
    shown = {"20k": ("direct_20k", "direct_20k/iter1"), "30k": ("direct_30k", "direct_30k/iter1")}
    records = {
        ("direct_20k/iter1", 1): of("a"),
        ("direct_30k/iter1", 1): of("a"),
        ("direct_20k/iter1", 2): of("b"),
        ("direct_30k/iter1", 2): of("c"),
    }
    assert note(shown, records) == [
        "All kept pairs are used.",
        "Trained on the very same pairs: 20k, 30k (seed 1).",
    ]
    records["direct_30k/iter1", 1] = of("d")
    assert note(shown, records) == ["All kept pairs are used."]


def test_recipes_that_share_a_checkpoint_are_named_and_one_row_shown_twice_is_not(note):
    shown = {"one": ("one_base", "one_base/iter1"), "last": ("one_last", "one_base/iter1")}
    assert note(shown, {("one_base/iter1", 1): of("a")})[1:] == [
        "one, last are one checkpoint: their recipes do not differ until then."
    ]
    turns = {"turn 1": ("one_base", "one_base/iter1"), "turn 2": ("one_base", "one_base/iter1")}
    assert note(turns, {("one_base/iter1", 1): of("a")})[1:] == []


def test_a_cap_says_which_pairs_are_used_and_where(note):
    shown = {"first": ("r", "r/iter1"), "drawn": ("s", "s/iter1"), "all": ("t", "t/iter1"), "base": ("", "base/iter0")}
    records = {
        ("r/iter1", 1): of("a", kept=9, trained_on=2, held_out=1),
        ("s/iter1", 1): of("b", kept=9, trained_on=2, held_out=1, rows=CAP | {"rows": "sample"}),
        ("t/iter1", 1): of("c"),
    }
    assert note(shown, records) == [
        "Of the kept pairs the first 3, evenly of the checkpoints that wrote them, are used in first. Of the kept "
        "pairs 3, drawn at random and evenly of the checkpoints that wrote them, are used in drawn. Elsewhere all kept "
        "pairs are used. Of the pairs used, "
        "10 % are held out for validation."
    ]


def test_untrained_checkpoints_have_no_note(note):
    assert note({"base": ("", "base/iter0")}, {}) == []


def test_a_record_without_the_counts_is_refused(tmp_path):
    (tmp_path / "selection.json").write_text(json.dumps({"method": {}}))
    place = SelectionPlace(model="m", seed=1, recipe="r", iteration=1, path=str(tmp_path / "selection.json"))
    with pytest.raises(InputError, match=r"selection\.json: it has no 'rows'; remove it and run the workflow again"):
        training_notes([place], [])

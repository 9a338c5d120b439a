"""The filters that make pairs training data: what each keeps, and an account of every pair."""

import json
import sys

import pytest

import select_pairs as selecting
from isheep import cli
from isheep.data.ledger import iterate_ledger
from isheep.data.pairs import first_of_each_source
from isheep.data.selection import Measurements, SelectionSettings, select_pairs
from isheep.files.records import InputError, read_jsonl, write_jsonl

PAIRS = [
    {"id": "base:0:0", "instruction": "Name a bird.", "input": "", "response": "Owl", "rejected_by": None},
    {
        "id": "base:0:1",
        "instruction": "Name a fish.",
        "input": "",
        "response": "",
        "rejected_by": "empty_output",
    },
    {"id": "base:0:2", "instruction": "Name a tree.", "input": "", "response": "Elm", "rejected_by": None},
    {"id": "base:0:3", "instruction": "Name a king.", "input": "", "response": "Sun", "rejected_by": None},
]
SCORES = {
    "base:0:0": {"quality": 9, "following": 10},
    "base:0:2": {"quality": 9, "following": 8},
    "base:0:3": {"quality": None, "following": 10},
}
PERPLEXITIES = {
    "base:0:0": {"response": 50.0, "pair": 12.0},
    "base:0:2": {"response": 10.0, "pair": 50.1},
    "base:0:3": {"response": 50.1, "pair": 8.0},
}
CLUSTERS = {"base:0:0": 0, "base:0:2": 1, "base:0:3": 0}
MEASURED = Measurements(SCORES, PERPLEXITIES, CLUSTERS)
METHODS = ("none", "rules", "scores", "perplexity", "density", "density_perplexity")


def kept_ids(seed=1, measured=MEASURED, **settings):
    kept, _ = select_pairs(PAIRS, measured, SelectionSettings(**settings), seed)
    return [int(pair["id"][-1]) for pair in kept]


def reasons(measured=MEASURED, **settings):
    _, ledger = select_pairs(PAIRS, measured, SelectionSettings(**settings), 1)
    return [entry["reason"] for entry in ledger]


def test_no_filter_keeps_everything():
    assert kept_ids(method="none") == [0, 1, 2, 3]


def test_rules_drop_what_breaks_one():
    assert kept_ids(method="rules") == [0, 2, 3]


def test_a_score_equal_to_the_threshold_is_dropped():
    assert kept_ids(threshold=8) == [0]
    assert kept_ids(threshold=7) == [0, 2]


def test_a_missing_score_is_never_a_number():
    assert 3 not in kept_ids(threshold=0)


def test_one_criterion_alone():
    assert kept_ids(criteria=["following"], threshold=9) == [0, 3]


def test_both_perplexities_must_not_exceed_the_limit():
    assert kept_ids(method="perplexity") == [0]
    assert kept_ids(method="perplexity", max_perplexity=50.1) == [0, 2, 3]
    assert reasons(method="perplexity") == [
        None,
        "rule: empty_output",
        "perplexity too high: pair",
        "perplexity too high: response",
    ]


def test_a_missing_perplexity_is_never_low():
    lacking = PERPLEXITIES | {"base:0:0": {"response": None, "pair": 12.0}}
    measured = Measurements(perplexities=lacking)
    assert reasons(measured, method="perplexity", max_perplexity=60)[0] == "perplexity missing: response"


def test_density_keeps_one_pair_of_each_cluster():
    drawn = [kept_ids(method="density", seed=seed) for seed in range(20)]
    assert {tuple(ids) for ids in drawn} == {(0, 2), (2, 3)}, "each pair of a cluster can be drawn"
    assert drawn == [kept_ids(method="density", seed=seed) for seed in range(20)], "the seed decides"


def test_the_draw_from_a_cluster_does_not_depend_on_other_clusters():
    elsewhere = Measurements(clusters=CLUSTERS | {"base:0:2": 7})
    for seed in range(20):
        assert kept_ids(method="density", seed=seed) == kept_ids(method="density", seed=seed, measured=elsewhere)


def test_density_draws_evenly():
    pairs = [PAIRS[0] | {"id": f"base:0:{number}"} for number in range(4)]
    one_cluster = Measurements(clusters={pair["id"]: 0 for pair in pairs})
    settings = SelectionSettings(method="density")
    drawn = [select_pairs(pairs, one_cluster, settings, seed)[0][0]["id"] for seed in range(400)]
    assert all(70 < drawn.count(pair["id"]) < 130 for pair in pairs)


def test_density_and_perplexity_keeps_the_least_surprising_of_each_cluster():
    assert kept_ids(method="density_perplexity", seed=None) == [2, 3]
    assert reasons(method="density_perplexity") == ["cluster has another", "rule: empty_output", None, None]


def test_a_pair_without_perplexity_is_not_chosen_from_a_cluster():
    lacking = PERPLEXITIES | {id: {"response": 1.0, "pair": None} for id in ("base:0:2", "base:0:3")}
    measured = Measurements(perplexities=lacking, clusters=CLUSTERS)
    assert reasons(measured, method="density_perplexity") == [
        None,
        "rule: empty_output",
        "perplexity missing: pair",
        "perplexity missing: pair",
    ]


@pytest.mark.parametrize("method", METHODS)
def test_every_pair_is_accounted_for_and_kept_ones_stay_in_order(method):
    kept, ledger = select_pairs(PAIRS, MEASURED, SelectionSettings(method=method), 1)
    assert [entry["id"] for entry in ledger] == [pair["id"] for pair in PAIRS]
    assert kept == [pair for pair, entry in zip(PAIRS, ledger, strict=True) if entry["kept"]]
    assert all(entry["kept"] == (entry["reason"] is None) for entry in ledger)
    assert ("perplexity" in ledger[1]) == ("perplexity" in method)
    assert ("cluster" in ledger[1]) == ("density" in method)


def test_ledger_says_of_every_pair_what_happened():
    _, ledger = select_pairs(PAIRS, MEASURED, SelectionSettings())
    assert [entry["reason"] for entry in ledger] == [
        None,
        "rule: empty_output",
        "score too low: following",
        "score missing: quality",
    ]
    assert ledger[2]["scores"] == {"quality": 9, "following": 8}
    _, ledger = select_pairs(PAIRS, MEASURED, SelectionSettings(method="density_perplexity"))
    assert ledger[1] == {
        "id": "base:0:1",
        "kept": False,
        "reason": "rule: empty_output",
        "scores": {},
        "perplexity": {"response": None, "pair": None},
        "cluster": None,
    }
    assert (ledger[2]["perplexity"], ledger[2]["cluster"]) == ({"response": 10.0, "pair": 50.1}, 1)


def test_a_key_that_the_method_ignores_is_not_written():
    keys = {"threshold": 3, "criteria": ("quality",), "max_perplexity": 9, "clusters": 5}
    used = {
        "none": {"method"},
        "rules": {"method"},
        "scores": {"method", "criteria", "threshold"},
        "perplexity": {"method", "max_perplexity"},
        "density": {"method", "clusters"},
        "density_perplexity": {"method", "clusters"},
    }
    assert set(used) == set(METHODS)
    for method, names in used.items():
        settings = SelectionSettings(method=method, **keys)
        written = settings.model_dump_json()
        assert set(json.loads(written)) == names
        plain = {key: value for key, value in keys.items() if key in names}
        assert written == SelectionSettings(method=method, **plain).model_dump_json()
        assert SelectionSettings.model_validate_json(written).model_dump_json() == written


def test_empty_selection_shows_the_scores():
    with pytest.raises(InputError) as error:
        kept_ids(criteria=["quality"], threshold=9)
    sentence = str(error.value)
    assert "none of 4 pairs" in sentence
    assert "quality: 9×2, missing×1" in sentence, "a pair that broke a rule was not asked for a score"
    assert "selection.threshold" in sentence


def test_empty_selection_shows_the_lowest_perplexities():
    with pytest.raises(InputError) as error:
        kept_ids(method="perplexity", max_perplexity=5)
    sentence = str(error.value)
    assert "max_perplexity 5" in sentence
    assert "perplexity too high: response 3" in sentence
    assert "response 10.0, pair 8.0" in sentence
    assert "selection.max_perplexity" in sentence
    assert "threshold" not in sentence


@pytest.mark.parametrize("method", ["density", "density_perplexity"])
def test_empty_selection_of_broken_pairs_alone(method):
    with pytest.raises(InputError, match=r"kept none of 1 pairs .*broke a response rule \(empty_output 1\)"):
        select_pairs(PAIRS[1:2], Measurements(), SelectionSettings(method=method), 1)


def refused(broken: int, missing: int, low: int) -> str:
    """What is said about pairs of which none is kept."""
    pairs = [{"id": f"b{n}", "rejected_by": "chinese" if n % 3 else "none"} for n in range(broken)]
    scores = {f"m{n}": {"quality": None} for n in range(missing)} | {f"l{n}": {"quality": 4} for n in range(low)}
    pairs += [{"id": id, "rejected_by": None} for id in scores]
    with pytest.raises(InputError) as error:
        select_pairs(pairs, Measurements(scores), SelectionSettings(criteria=["quality"]))
    return str(error.value)


def test_an_empty_selection_tells_dropped_pairs_from_those_that_were_asked_for_a_score():
    assert refused(6, 2, 3) == (
        "the selection kept none of 11 pairs with method 'scores' and threshold 8 (6 of 11 pairs broke a response rule "
        "(chinese 4, none 2); 5 of the other 5 were rejected (score too low: quality 3, score missing: quality 2); "
        "scores: quality: 4×3, missing×2); look at the responses, or set responses.rules.chinese to false, which drops "
        "the most."
    )


@pytest.mark.parametrize(
    ("counts", "advice"),
    [
        ((2, 9, 3), "look at the texts in the judge's assessment files, and correct the assessment's prompt files"),
        ((2, 3, 9), "lower selection.threshold (now 8), or look at the responses"),
        ((9, 2, 3), "set responses.rules.chinese to false"),
    ],
)
def test_the_advice_is_about_what_rejected_the_most(counts, advice):
    said = refused(*counts)
    assert advice in said
    assert ("selection.threshold" in said) == ("threshold" in advice)


@pytest.mark.parametrize(("method", "what"), [("perplexity", "perplexity"), ("density", "cluster")])
def test_a_pair_that_was_not_measured_is_an_error(method, what):
    with pytest.raises(InputError, match=f"3 of 3 pairs have no {what}, the first is 'base:0:0'"):
        kept_ids(method=method, measured=Measurements())


def test_the_count_is_per_checkpoint():
    ids = ["base:0:0", "base:0:1", "base:1:0", "r/iter1:0:0", "r/iter1:0:1"]
    chosen = first_of_each_source([{"id": id} for id in ids], 2)
    assert [pair["id"] for pair in chosen] == ["base:0:0", "base:0:1", "r/iter1:0:0", "r/iter1:0:1"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the program with these flags besides those that it always needs; return the kept ids."""
    write_jsonl(tmp_path / "pairs.jsonl", PAIRS)
    rows = [
        {"id": id, "response_perplexity": row["response"], "pair_perplexity": row["pair"], "cut": []}
        for id, row in PERPLEXITIES.items()
    ]
    write_jsonl(tmp_path / "perplexities.jsonl", rows)
    write_jsonl(tmp_path / "clusters.jsonl", ({"id": id, "cluster": number} for id, number in CLUSTERS.items()))

    def run(selection: dict, *flags: str) -> list[str]:
        monkeypatch.chdir(tmp_path)
        always = [
            "--pairs",
            "pairs.jsonl",
            "--count",
            "4",
            "--training-set",
            "kept.jsonl",
            "--ledger",
            "ledger.jsonl",
            "--validation-set",
            "held_out.jsonl",
            "--record",
            "selection.json",
        ]
        if "--rows" not in flags:
            always += ["--rows", '{"validation_share": 0}']
        monkeypatch.setattr(sys, "argv", ["select_pairs.py", *always, "--selection", json.dumps(selection), *flags])
        cli.run(selecting.main, selecting.parser)
        return [pair["id"] for pair in read_jsonl("kept.jsonl")]

    return run


def test_the_program_reads_perplexities_and_clusters(run, tmp_path):
    assert run({"method": "perplexity"}, "--perplexities", "perplexities.jsonl") == ["base:0:0"]
    both = ["--perplexities", "perplexities.jsonl", "--clusters", "clusters.jsonl"]
    assert run({"method": "density_perplexity"}, *both) == ["base:0:2", "base:0:3"]
    assert len(run({"method": "density"}, "--clusters", "clusters.jsonl", "--seed", "3")) == 2
    assert run({"method": "rules"}, "--perplexities", "--clusters") == ["base:0:0", "base:0:2", "base:0:3"]
    assert len(read_jsonl(tmp_path / "ledger.jsonl")) == len(PAIRS)


@pytest.mark.parametrize(
    ("method", "flags", "lacking"),
    [
        ("scores", [], "--scores"),
        ("perplexity", [], "--perplexities"),
        ("density", ["--seed", "1"], "--clusters"),
        ("density", ["--clusters", "clusters.jsonl"], "--seed"),
        ("density_perplexity", ["--clusters", "clusters.jsonl"], "--perplexities"),
    ],
)
def test_a_flag_that_the_method_needs_is_asked_for(run, tmp_path, method, flags, lacking):
    with pytest.raises(SystemExit, match=f"'{method}', which needs {lacking},"):
        run({"method": method}, *flags)
    assert not (tmp_path / "ledger.jsonl").exists()


def test_every_pair_is_accounted_for_to_its_use(run, tmp_path):
    rows = json.dumps({"rows": "sample", "max_samples": 3, "validation_share": 0.3})
    trained_on = run({"method": "none"}, "--rows", rows, "--seed", "3")
    held_out = [pair["id"] for pair in read_jsonl(tmp_path / "held_out.jsonl")]
    ledger = {row["id"]: row["used_for"] for row in read_jsonl(tmp_path / "ledger.jsonl")}
    assert [id for id, use in ledger.items() if use == "training"] == trained_on
    assert [id for id, use in ledger.items() if use == "validation"] == held_out
    record = json.loads((tmp_path / "selection.json").read_text())
    assert (record["kept"], record["trained_on"], record["held_out"]) == (4, 2, 1)
    assert [*ledger.values()].count(None) == 1, "kept, and beyond the cap"


@pytest.mark.parametrize("rows", [{"rows": "sample", "validation_share": 0}, {"validation_share": 0.1}])
def test_a_draw_without_a_seed_is_refused(run, rows):
    with pytest.raises(SystemExit, match="draws some of them, which needs --seed; add it"):
        run({"method": "none"}, "--rows", json.dumps(rows))


def test_a_ledger_that_was_changed_by_hand_is_not_believed(run, tmp_path):
    run({"method": "none"})
    rows = list(iterate_ledger("ledger.jsonl", "id", "kept"))
    assert [row["kept"] for row in rows] == [True] * len(PAIRS)
    (tmp_path / "ledger.jsonl").write_text((tmp_path / "ledger.jsonl").read_text().replace("true", "false", 1))
    with pytest.raises(InputError, match=r"ledger\.jsonl: it was changed after its selection .*remove it, and it"):
        list(iterate_ledger("ledger.jsonl"))

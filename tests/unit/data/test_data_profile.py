"""What the data of an iteration looks like: a made iteration with every number counted by hand, and the table."""

import csv
import gzip
import json
import random
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

import make_data_table
import profile_data
from isheep.data import profile as data_profile
from isheep.data.profile import describe, diversity, profile_pairs, profile_scores
from isheep.files.records import InputError, write_jsonl

ROOT = Path(__file__).parents[3]


def pair(number: int, instruction: str, input: str, response: str, rejected_by: str | None = None) -> dict:
    texts = {"instruction": instruction, "input": input, "response": response}
    return {"id": f"base:0:{number}"} | texts | {"rejected_by": rejected_by}


PAIRS = [
    pair(0, "Name a red fruit.", "", "A cherry"),
    pair(1, "name  a red fruit.", " ", "a cherry"),
    pair(2, "Sort these words.", "b a", "a b"),
    pair(3, "Where is Rome?", "", "Where?", "short_question"),
    pair(4, "Add the numbers.", "1 2", "It is 3 of course"),
    pair(5, "Name a red fruit.", "", "not chosen from"),
]
SCORES = [(9, 9), (10, 8), (9, 10), None, (None, 9)]
"""quality and following of the first five; the fourth broke a rule, and the sixth was not chosen from."""
KEPT = [0, 2]


def entry(number: int) -> dict:
    scores = dict(zip(("quality", "following"), SCORES[number], strict=True)) if SCORES[number] else {}
    reasons = {1: "score too low: following", 3: "rule: short_question", 4: "score missing: quality"}
    use = {0: "training", 2: "validation"}.get(number)
    known = {"used_for": use, "reason": reasons.get(number), "scores": scores}
    return {"id": f"base:0:{number}", "kept": number in KEPT} | known


LEDGER = [entry(number) for number in range(5)]


@pytest.fixture
def iteration(tmp_path) -> dict[str, list[Path]]:
    """The files of an iteration: two shards, of which the recipe chose from all pairs but the last."""
    rejected = [{"reason": "blacklist"}, {"reason": "format"}, {"reason": "blacklist"}]
    content = {
        "instructions": [PAIRS[:3], PAIRS[3:]],
        "rejected": [rejected[:1], rejected[1:]],
        "pairs": [PAIRS[:3], PAIRS[3:]],
        "ledger": [LEDGER],
        "training-set": [[PAIRS[0]]],
    }
    files = {}
    for flag, shards in content.items():
        files[flag] = [tmp_path / f"{flag}{number}.jsonl" for number in range(len(shards))]
        for path, rows in zip(files[flag], shards, strict=True):
            write_jsonl(path, rows)
    return files


def profile(files: dict[str, list[Path]], output: Path) -> dict:
    flags = [part for flag, paths in files.items() for part in (f"--{flag}", *map(str, paths))]
    profile_data.main(profile_data.parser.parse_args([*flags, "--profile", str(output)]))
    return json.loads(output.read_text())


def test_yields_and_scores_are_counted_as_by_hand(iteration, tmp_path):
    found = profile(iteration, tmp_path / "data.json")
    assert found["instructions"] == {"candidates": 9, "kept": 6, "rejected": {"blacklist": 2, "format": 1}}
    assert found["pairs"] == {
        "generated": 5,
        "broke_a_rule": 1,
        "rules": {"short_question": 1},
        "scored": 3,
        "kept": 2,
        "trained_on": 1,
        "held_out": 1,
        "kept_of_generated": 2 / 5,
        "kept_of_scored": 2 / 3,
        "reasons": {"rule: short_question": 1, "score missing: quality": 1, "score too low: following": 1},
    }
    none = {str(score): 0 for score in range(1, 11)}
    assert found["scores"] == {
        "following": {"histogram": none | {"8": 1, "9": 2, "10": 1}, "missing": 0, "mean": 9.0},
        "quality": {"histogram": none | {"9": 2, "10": 1}, "missing": 1, "mean": pytest.approx(28 / 3)},
    }


def test_texts_are_described_as_by_hand(iteration, tmp_path):
    texts = profile(iteration, tmp_path / "data.json")["texts"]
    generated, kept = texts["generated"], texts["kept"]
    assert (generated["pairs"], generated["with_input"]) == (5, 2 / 5)
    assert (kept["pairs"], kept["with_input"]) == (2, 1 / 2)
    instruction = generated["instruction"]
    assert (instruction["words_mean"], instruction["words_median"]) == (17 / 5, 3)
    assert (instruction["repeated"], instruction["repeats"]) == (1, 1), "case and white space do not count"
    assert instruction["distinct_1"] == 13 / 17, "name a red fruit. sort these words. where is rome? add the numbers."
    assert instruction["distinct_2"] == 9 / 17
    response = generated["response"]
    assert (response["words_mean"], response["words_median"]) == (12 / 5, 2)
    assert (response["repeated"], response["repeats"]) == (1, 1)
    assert response["distinct_1"] == 9 / 12
    assert response["distinct_2"] == 6 / 12
    assert (kept["instruction"]["repeats"], kept["response"]["words_mean"]) == (0, 2)


def test_one_text_three_times_is_one_repeated_and_two_repeats():
    described = describe(["Yes.", "yes. ", "No.", "YES."])
    assert (described["repeated"], described["repeats"]) == (1, 2)


def test_bigrams_stay_within_a_text_and_repetition_compresses():
    assert diversity(["a b", "b a"])["distinct_2"] == 2 / 4
    assert diversity(["", " "]) == {"distinct_1": None, "distinct_2": None, "compression_ratio": None}
    same, other = diversity(["A line of text."] * 50), diversity([f"{n * 7919:x} {n * 104729:x}" for n in range(50)])
    assert same["compression_ratio"] > 5 * other["compression_ratio"]
    text = "\n".join(["A line of text."] * 50).encode()
    assert same["compression_ratio"] == len(text) / len(gzip.compress(text, mtime=0))


def test_many_texts_are_counted_as_if_all_were_at_hand(monkeypatch):
    monkeypatch.setattr(data_profile, "NUMBERS_AT_ONCE", 10)
    draw = random.Random(1)
    texts = [" ".join(draw.choices("abcdefgh", k=draw.randint(0, 40))) * 3 for _ in range(5000)]
    split = [text.split() for text in texts]
    raw = "\n".join(texts).encode()
    total = sum(map(len, split))
    assert diversity(iter(texts)) == {
        "distinct_1": len({word for words in split for word in words}) / total,
        "distinct_2": len({two for words in split for two in pairwise(words)}) / total,
        "compression_ratio": len(raw) / len(gzip.compress(raw, mtime=0)),
    }


def test_a_recipe_that_asks_for_no_scores_has_none():
    ledger = [{"id": row["id"], "kept": True, "used_for": "training", "reason": None, "scores": {}} for row in LEDGER]
    found = profile_pairs(PAIRS[:5], ledger)
    assert (found["scored"], found["kept_of_scored"], found["kept"], found["broke_a_rule"]) == (None, None, 5, 1)
    assert profile_scores(PAIRS[:5], ledger) == {}


@pytest.mark.parametrize("score", [0, 11, 9.5, "9", True])
def test_a_score_outside_the_scale_is_an_error(score):
    ledger = [LEDGER[0] | {"scores": {"quality": score}}]
    with pytest.raises(InputError, match=r"'base:0:0' the score .* for quality, but scores are whole numbers"):
        profile_scores(PAIRS[:1], ledger)


def test_files_that_do_not_belong_together_are_one_sentence_and_nothing_is_written(iteration, tmp_path):
    torn = tmp_path / "torn.jsonl"
    torn.write_text(iteration["ledger"][0].read_text()[:-9])
    other = tmp_path / "other.jsonl"
    write_jsonl(other, PAIRS[:2])
    nothing = tmp_path / "nothing.jsonl"
    write_jsonl(nothing, [row | {"kept": False} for row in LEDGER])
    cases = [
        ({"ledger": [tmp_path / "absent.jsonl"]}, r"absent\.jsonl: the file cannot be read \(No such file"),
        ({"ledger": [torn]}, r"torn\.jsonl: line 5 is not valid JSON"),
        (
            {"pairs": iteration["pairs"][:1]},
            r"ledger0\.jsonl: it has 2 pairs that --pairs lacks, the first is base:0:3",
        ),
        ({"pairs": iteration["pairs"] * 2}, r"pairs0\.jsonl: the file is given twice"),
        ({"pairs": [*iteration["pairs"], other]}, "--pairs: the id 'base:0:0' occurs twice"),
        (
            {"training-set": [other]},
            r"other\.jsonl: it differs from the ledger's pairs for training in 1, the first is base:0:1",
        ),
        ({"ledger": [nothing]}, r"nothing\.jsonl: it has no kept pair"),
        ({"rejected": [other]}, r"other\.jsonl: line 1 has no 'reason'"),
    ]
    for changed, sentence in cases:
        with pytest.raises(InputError, match=sentence) as raised:
            profile(iteration | changed, tmp_path / "out/data.json")
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def tabled(iteration, tmp_path):
    """A function: make the table of profiles, each a place and changes to the made iteration's profile."""
    made = profile(iteration, tmp_path / "data.json")

    def tabulate(*places: tuple[dict, dict], yields: str | None = "config/published/yields.csv") -> Path:
        listed = []
        for number, (place, changes) in enumerate(places):
            path = tmp_path / f"profile{number}.json"
            path.write_text(json.dumps(made | changes))
            listed.append({"model": "Qwen_72B", "recipe": "one_base", "iteration": 1} | place | {"path": str(path)})
        flags = ["--profiles", *map(json.dumps, listed), *(["--yields", str(ROOT / yields)] if yields else [])]
        flags += [
            part for kind in ("csv", "markdown", "latex") for part in (f"--{kind}", str(tmp_path / f"table.{kind}"))
        ]
        make_data_table.main(make_data_table.parser.parse_args(flags))
        return tmp_path

    return tabulate


def test_the_table_shows_ours_beside_the_paper_s(tabled):
    folder = tabled(({"seed": 1, "published": "72B d0"}, {}), ({"seed": 1, "iteration": 2, "published": None}, {}))
    markdown = (folder / "table.markdown").read_text()
    ours_and_paper = "5 | 1 | 3 | 2 | 2038 | 1 | 1 | 40.0 | 50.0 | 2.0 | 120 | 2.0 | 57 | 0 |"
    assert f"| Qwen_72B | one_base | 1 | {ours_and_paper}" in markdown
    assert "| Qwen_72B | one_base | 2 | 5 | 1 | 3 | 2 | – | 1 | 1 | 40.0 | 50.0 | 2.0 | – | 2.0 | – | 0 |" in markdown
    assert "Paper's 72B d0: Written by the base model;" in markdown


def test_the_table_has_mean_and_deviation_over_seeds_and_the_csv_a_row_for_each(tabled):
    fewer = {"pairs": {"generated": 7, "rules": {"empty": 2}, "kept": 2, "scored": None}}
    folder = tabled(({"seed": 1}, {}), ({"seed": 1, "iteration": 2}, {}), ({"seed": 2}, fewer))
    lines = (folder / "table.markdown").read_text().splitlines()
    (line,) = [line for line in lines if "| one_base | 1 |" in line]
    assert "| 6.0 ± 1.4 | – | – | 2.0 ± 0.0 | – |" in line, "a number that one seed lacks is missing"
    with open(folder / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["iteration"], row["pairs.generated"]) for row in rows] == [
        ("1", "1", "5"),
        ("1", "2", "5"),
        ("2", "1", "7"),
    ]
    assert [row["pairs.rules.empty"] for row in rows] == ["0", "0", "2"]
    assert [row["pairs.scored"] for row in rows] == ["3", "3", ""]


def test_without_published_yields_there_are_no_columns_for_them(tabled):
    whole_median = {"texts": {"kept": {"with_input": 1, "response": {"words_median": 6, "words_mean": 6.0}}}}
    markdown = (tabled(({"seed": 1}, whole_median), yields=None) / "table.markdown").read_text()
    assert "paper" not in markdown
    assert "| words mean | words median |" in markdown
    assert "| 6.0 | 6.0 |" in markdown, "a number is written in one way, whole or not"


def test_an_unknown_published_row_is_one_sentence(tabled):
    with pytest.raises(InputError, match=r"yields\.csv has no row '72B d9'; did you mean '72B d"):
        tabled(({"seed": 1, "published": "72B d9"}, {}))
    with pytest.raises(InputError, match=r"no\.csv: the file cannot be read"):
        tabled(({"seed": 1}, {}), yields="no.csv")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_latex_compiles(tabled):
    folder = tabled(({"seed": 1, "published": "72B d2 iter2_on_base"}, {}), ({"seed": 2}, {}))
    rules = "".join(rf"\let\{name}\hline" for name in ("toprule", "midrule", "bottomrule"))
    packages = rf"\usepackage{{longtable}}\IfFileExists{{booktabs.sty}}{{\usepackage{{booktabs}}}}{{{rules}}}"
    document = rf"\documentclass{{article}}{packages}\begin{{document}}\input{{table.latex}}\end{{document}}"
    (folder / "all.tex").write_text(document)
    done = subprocess.run(["pdflatex", "-halt-on-error", "all.tex"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]

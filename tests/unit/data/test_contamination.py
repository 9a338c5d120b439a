"""Test items in training data: what counts as a hit, where the items come from, and the report's table."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import check_contamination
import collect_contamination
import list_test_items
from isheep.data import contamination
from isheep.data.contamination import TrainingSet, check_benchmark, without_frame, words
from isheep.files.records import InputError, read_jsonl, write_json, write_jsonl

ROOT = Path(__file__).parents[3]
THIRTEEN = "one two three four five six seven eight nine ten eleven twelve thirteen"


def pair(id: str, instruction: str, input: str = "", response: str = "") -> dict:
    return {"id": id, "instruction": instruction, "input": input, "response": response}


def found(text: str, *pairs: dict) -> tuple[list[str], list[str]]:
    """The pairs that share a 13-gram with a text, and those that have all of it."""
    hit = TrainingSet(pairs).find("item", text)
    return (hit.thirteen_gram, hit.substring) if hit else ([], [])


def test_words_are_compared_without_case_punctuation_and_white_space():
    assert words("Don’t  PANIC,\n(it's) snake_case—42%!") == ["don", "t", "panic", "it", "s", "snake", "case", "42"]
    assert words("Ｗｉｄｅ ﬁne") == ["wide", "fine"]
    assert words("Straße STRASSE") == ["strasse", "strasse"]
    assert words("Cafe\u0301 CAFÉ") == ["café", "café"]
    assert words("Где Париж? 你好，世界") == ["где", "париж", "你好", "世界"]
    assert words("...") == []


def test_thirteen_words_in_a_row_are_a_hit_and_twelve_are_none():
    item = f"Zero, {THIRTEEN}? Fourteen!"
    assert found(item, pair("a", f"Say: {THIRTEEN.upper()} now")) == (["a"], [])
    assert found(item, pair("a", f"Say: {THIRTEEN.removesuffix(' thirteen')} now")) == ([], [])
    assert found(item, pair("a", THIRTEEN.replace("seven", "seven and"))) == ([], [])


def test_a_run_may_begin_in_the_instruction_and_end_in_the_response_but_not_in_another_pair():
    cut = THIRTEEN.split()
    across = pair("a", " ".join(cut[:5]), " ".join(cut[5:9]), " ".join(cut[9:]))
    apart = [pair("b", " ".join(cut[:5])), pair("c", " ".join(cut[5:]))]
    assert found(THIRTEEN, *apart, across) == (["a"], ["a"])


def test_a_whole_item_is_found_as_words_and_not_inside_of_words():
    item = "Who wrote the Iliad?"
    assert found(item, pair("a", "Tell me: who WROTE the “Iliad”, please")) == ([], ["a"])
    assert found(item, pair("a", "who wrote the Iliads")) == ([], [])
    assert found(item, pair("a", "Who wrote"), pair("b", "the Iliad?")) == ([], [])
    assert found(item, pair("a", "Who wrote the Odyssey and the Iliad?")) == ([], [])


def test_unicode_items_are_found():
    item = "Où se trouve l'Île d’Oléron ?"
    assert found(item, pair("a", "Dis: OÙ SE TROUVE L’ILE D'OLERON")) == ([], [])
    assert found(item, pair("a", "Dis: OU\u0300 SE TROUVE L’ÎLE D'OLÉRON")) == ([], ["a"])


def test_short_items_are_counted_and_left_out():
    items = [
        {"id": "three words", "text": "Name a colour."},
        {"id": "four words", "text": "Name a nice colour."},
        {"id": "no words", "text": "?!"},
        {"id": "thirteen words", "text": THIRTEEN},
    ]
    checked = check_benchmark(TrainingSet([pair("a", "Name a colour. Name a nice colour. ?!", "", THIRTEEN)]), items)
    assert {key: value for key, value in checked.items() if key != "hits"} == {
        "items": 4,
        "too_short_for_thirteen_gram": 3,
        "too_short_for_substring": 2,
        "thirteen_gram": 1,
        "substring": 2,
        "either": 2,
    }
    assert [hit["item"] for hit in checked["hits"]] == ["four words", "thirteen words"]


def test_an_item_counts_once_however_many_pairs_and_runs_have_it_and_every_pair_is_listed():
    longer = f"{THIRTEEN} fourteen fifteen"
    training_set = TrainingSet(
        [pair("a", longer, "", longer), pair("b", THIRTEEN), pair("c", "nothing"), pair("d", longer)]
    )
    checked = check_benchmark(training_set, [{"id": "x", "text": longer}])
    assert (checked["thirteen_gram"], checked["substring"], checked["either"]) == (1, 1, 1)
    assert checked["hits"] == [
        {"item": "x", "thirteen_gram": ["a", "b", "d"], "substring": ["a", "d"], "words": THIRTEEN}
    ]


def test_equal_hashes_alone_are_no_hit(monkeypatch):
    import isheep.data.contamination as module

    monkeypatch.setattr(module, "MULTIPLIER", module.np.uint64(0))
    assert found(f"zero {THIRTEEN}", pair("a", f"other words that end with one and so on {THIRTEEN[4:]}")) == ([], [])
    assert found("who wrote the Iliad", pair("a", "he or she liked the Iliad")) == ([], [])


def test_every_overlap_of_random_texts_is_found():
    import random

    draw = random.Random(0)
    text = lambda count: " ".join(draw.choices("abc", k=count))  # noqa: E731
    pairs = [pair(str(number), text(20), text(5), text(40)) for number in range(30)]
    hits = 0
    for length in (3, 4, 9, 12, 13, 14, 20):
        for _ in range(40):
            item = text(length)
            split = item.split()
            runs = [f" {' '.join(split[start : start + 13])} " for start in range(length - 12)]
            texts = {p["id"]: f" {p['instruction']} {p['input']} {p['response']} " for p in pairs}
            of_run = [id for id, of_pair in texts.items() if any(run in of_pair for run in runs)]
            whole = [id for id, of_pair in texts.items() if length >= 4 and f" {item} " in of_pair]
            assert found(item, *pairs) == (of_run, whole)
            hits += bool(of_run or whole)
    assert hits > 40


def test_long_training_sets_are_searched_piece_by_piece(monkeypatch):
    """Pieces end within runs, and a pair is in several of them."""
    monkeypatch.setattr(contamination, "WORDS_AT_ONCE", 7)
    longer = f"{THIRTEEN} fourteen fifteen"
    pairs = [pair(str(n), "Who", "", f"wrote the Iliad? {longer if n % 3 else THIRTEEN}") for n in range(30)]
    items = [{"id": "run", "text": longer}, {"id": "whole", "text": "who wrote the iliad"}]
    hits = check_benchmark(TrainingSet(iter(pairs)), items)["hits"]
    every = [row["id"] for row in pairs]
    assert hits == [
        {
            "item": "run",
            "thirteen_gram": every,
            "substring": [id for id in every if int(id) % 3],
            "words": THIRTEEN,
        },
        {"item": "whole", "thirteen_gram": [], "substring": every, "words": "who wrote the iliad"},
    ]


def test_the_wording_that_all_items_share_at_their_ends_is_taken_off():
    framed = ["Question: Where is Paris?\nAnswer:", "Question: Who wrote the Iliad?\nAnswer:"]
    assert without_frame(framed) == ["Where is Paris?", "Who wrote the Iliad?"]
    glued = ["To this question:Which acid? (A) x (B) y\nAnswer:", "to this question:What (A) y (B) z\nAnswer:"]
    assert without_frame(glued) == ["Which acid? (A) x (B) y", "What (A) y (B) z"]
    assert without_frame(["Name a tree", "Draw a house"]) == ["Name a tree", "Draw a house"]
    assert without_frame(["the only item", "the only item"]) == ["the only item", "the only item"]
    assert without_frame(["Q: a b", "Q: a b c", "Q: a"]) == ["a b", "a b c", "a"], "no item is left empty"
    assert without_frame(["!", "Q: a"]) == ["!", "Q: a"]


def listed(tmp_path: Path, *flags: str) -> list[dict]:
    output = tmp_path / "listed.jsonl"
    list_test_items.main(list_test_items.parser.parse_args([*flags, "--output", str(output)]))
    return read_jsonl(output)


@pytest.fixture
def items_of_task(tmp_path):
    """The items of a task that compares likelihoods: `items_of_task(name, yaml, docs)`, and flags."""

    def items(name: str, yaml: str, docs: list[dict], *flags: str) -> list[dict]:
        write_jsonl(tmp_path / "docs.jsonl", docs)
        task = tmp_path / f"{name}.yaml"
        data = f"dataset_path: json\ndataset_kwargs: {{data_files: {{test: {tmp_path / 'docs.jsonl'}}}}}\n"
        metric = "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\nmetadata: {version: 1.0}\n"
        task.write_text(f"task: {name}\n{data}output_type: multiple_choice\ntest_split: test\n{metric}{yaml}")
        output = tmp_path / "listed.jsonl"
        command = [sys.executable, str(ROOT / "scripts/list_test_items.py"), "--kind", "lm_eval", "--task", name]
        done = subprocess.run(
            [*command, "--source", str(task), str(tmp_path / "docs.jsonl"), "--output", str(output), *flags],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return read_jsonl(output)

    return items


def test_items_of_a_task_are_its_documents_without_worked_examples_and_frame(items_of_task):
    docs = [{"asked": f"Where is {town}?", "label": 0} for town in ("Paris", "Rome", "Bonn")]
    yaml = 'doc_to_text: "Q: {{asked}}\\nA:"\ndoc_to_choice: ["here", "there"]\ndoc_to_target: label\nnum_fewshot: 1\n'
    assert items_of_task("places", yaml + "fewshot_split: test\n", docs) == [
        {"id": "places:0", "text": "Paris?"},
        {"id": "places:1", "text": "Rome?"},
        {"id": "places:2", "text": "Bonn?"},
    ]


def test_only_items_that_are_measured_are_looked_for(items_of_task):
    docs = [{"asked": f"Where is {town}?", "label": 0, "town": town} for town in ("Paris", "Rome", "Bonn", "Oslo")]
    yaml = 'doc_to_text: "Q: {{asked}}"\ndoc_to_choice: ["here", "there"]\ndoc_to_target: label\n'
    items = items_of_task("some", yaml, docs, "--limit=2", '--exclude={"town": ["Paris"]}')
    assert items == [{"id": "some:1", "text": "Rome?"}, {"id": "some:2", "text": "Bonn?"}]


def test_an_item_of_several_beginnings_is_their_whole_sentences(items_of_task):
    docs = [
        {"gold": 1, "beginnings": ["The plum hit Ann, so Ann", "The plum hit Ann, so Bob"], "ending": "laughed."},
        {"gold": 0, "beginnings": ["Rome", "Paris"], "ending": "is in Italy."},
    ]
    yaml = "doc_to_text: gold\ndoc_to_choice: beginnings\ndoc_to_target: ending\n"
    assert [item["text"] for item in items_of_task("endings", yaml, docs)] == [
        "The plum hit Ann, so Ann laughed.\nThe plum hit Ann, so Bob laughed.",
        "Rome is in Italy.\nParis is in Italy.",
    ]


def test_items_of_the_demo_s_alpaca_eval_and_mt_bench(tmp_path):
    alpaca = listed(
        tmp_path, "--kind", "alpaca_eval", "--source", str(ROOT / "config/demo/alpaca_eval/reference_outputs.json")
    )
    reference = json.loads((ROOT / "config/demo/alpaca_eval/reference_outputs.json").read_text())
    assert alpaca == [{"id": str(n), "text": row["instruction"]} for n, row in enumerate(reference)]
    questions = ROOT / "config/demo/mt_bench/questions.jsonl"
    turns = listed(tmp_path, "--kind", "mt_bench", "--source", str(questions))
    asked = [turn for row in read_jsonl(questions) for turn in row["turns"]]
    assert [turn["text"] for turn in turns] == asked
    assert [turn["id"] for turn in turns[:3]] == ["1/1", "1/2", "2/1"]


def test_items_of_humaneval_and_mbpp(tmp_path):
    task = "Write a function to add two numbers."
    mbpp = [
        {"task_id": n, "text": task, "code": "x = 1", "test_list": ["assert x == 1"], "test_setup_code": ""}
        for n in (10, 11, 12)
    ]
    human = {"task_id": "HumanEval/0", "prompt": "def f():\n", "canonical_solution": "    return 1\n"}
    write_jsonl(tmp_path / "mbpp.jsonl", mbpp)
    write_jsonl(tmp_path / "humaneval.jsonl", [human | {"entry_point": "f", "test": "def check(f): pass"}])
    programs = ["--kind", "programs", "--source"]
    found = listed(tmp_path, *programs, str(tmp_path / "mbpp.jsonl"), "--format", "mbpp", "--ids", "11", "12")
    assert found == [{"id": "11", "text": task}, {"id": "12", "text": task}]
    found = listed(tmp_path, *programs, str(tmp_path / "humaneval.jsonl"), "--format", "humaneval")
    assert found == [{"id": "HumanEval/0", "text": "def f():\n"}]


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    """A training set of two pairs, and a benchmark of which it has two items of three."""
    write_jsonl(tmp_path / "pairs.jsonl", [pair("base:0:0", THIRTEEN), pair("base:0:1", "Who wrote the Iliad?")])
    items = [("a", f"{THIRTEEN} fourteen"), ("b", "who wrote the iliad"), ("c", "What is the capital of France?")]
    write_jsonl(tmp_path / "items.jsonl", [{"id": id, "text": text} for id, text in items])
    return tmp_path / "pairs.jsonl", tmp_path / "items.jsonl"


def check(tmp_path: Path, pairs: Path, *test_items: str) -> dict:
    write_json(tmp_path / "selection.json", {"kept": 5})
    flags = ["--training-set", str(pairs), "--selection", str(tmp_path / "selection.json")]
    flags += ["--test-items", *test_items, "--report", str(tmp_path / "out/report.json")]
    check_contamination.main(check_contamination.parser.parse_args(flags))
    return json.loads((tmp_path / "out/report.json").read_text())


def test_the_report_and_its_table(tmp_path, files):
    pairs, items = files
    report = check(tmp_path, pairs, f"one_hit={items}", f"two={items}")
    assert (report["pairs"], list(report["benchmarks"])) == (2, ["one_hit", "two"])
    assert report["benchmarks"]["two"] == report["benchmarks"]["one_hit"]
    assert [report["benchmarks"]["two"][key] for key in ("items", "thirteen_gram", "substring", "either")] == [
        3,
        1,
        1,
        2,
    ]
    place = {"model": "Qwen_1", "seed": 1, "recipe": "one_base", "path": str(tmp_path / "out/report.json")}
    outputs = {kind: tmp_path / f"contamination.{kind}" for kind in ("csv", "markdown", "latex")}
    flags = ["--reports", *(json.dumps(place | {"iteration": iteration}) for iteration in (1, 2))]
    flags += [flag for kind, path in outputs.items() for flag in (f"--{kind}", str(path))]
    collect_contamination.main(collect_contamination.parser.parse_args(flags))
    with open(outputs["csv"], newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert rows[1] == {
        **{"model": "Qwen_1", "seed": "1", "recipe": "one_base", "iteration": "1", "benchmark": "two"},
        **{"items": "3", "thirteen_gram": "1", "substring": "1", "either": "2", "pairs": "2", "kept": "5"},
    }
    markdown = outputs["markdown"].read_text()
    assert "| Qwen_1 | 1 | one_base | 2 | 2 | 5 | 2/3 | 2/3 |" in markdown
    assert "Too short for a run of 13 words, so that only the whole item is looked for: one_hit 2 of 3" in markdown
    assert r"Qwen\_1 & 1 & one\_base & 2 & 2 & 5 & 2/3 & 2/3" in outputs["latex"].read_text()


def test_bad_input_is_one_sentence_and_nothing_is_written(tmp_path, files):
    pairs, items = files
    torn = tmp_path / "torn.jsonl"
    torn.write_text(pairs.read_text()[:-20])
    twice = tmp_path / "twice.jsonl"
    twice.write_text(items.read_text() * 2)
    cases = [
        ((tmp_path / "absent.jsonl", f"b={items}"), r"absent\.jsonl: the file cannot be read \(No such file"),
        ((torn, f"b={items}"), r"torn\.jsonl: line 2 is not valid JSON"),
        (
            (items, f"b={items}"),
            r"items\.jsonl: line 1 has no 'instruction'; its rows must all have 'id', 'instruction'",
        ),
        ((pairs, f"b={twice}"), r"twice\.jsonl: the id 'a' occurs twice"),
        ((pairs, f"b={items}", f"b={items}"), "--test-items: b is given twice"),
        ((pairs, str(items)), "is not a benchmark's name, =, and a file"),
    ]
    for arguments, sentence in cases:
        with pytest.raises(InputError, match=sentence) as raised:
            check(tmp_path, *arguments)
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_sources_that_do_not_fit_are_one_sentence(tmp_path):
    old = tmp_path / "items.jsonl"
    write_jsonl(old, [{"id": 0}])
    cases = [
        (["--kind", "lm_eval"], "--kind lm_eval needs --task"),
        (["--kind", "lm_eval", "--task", "no_such_task", "--source", str(old)], "lm-eval has no task 'no_such_task'"),
        (["--kind", "mt_bench"], "--kind mt_bench reads one --source, but found 0"),
        (["--kind", "programs", "--source", str(old)], "--kind programs needs --format"),
        (["--kind", "mt_bench", "--source", str(tmp_path / "no.jsonl")], r"no\.jsonl: there is no such file"),
    ]
    for flags, sentence in cases:
        with pytest.raises(InputError, match=sentence):
            listed(tmp_path, *flags)
    assert not (tmp_path / "listed.jsonl").exists()


def test_a_thousand_training_sets_are_collected_in_one_command(tmp_path):
    (tmp_path / "report.json").write_text('{"pairs": 3, "kept": 3, "benchmarks": {}}')
    place = {"model": "m", "recipe": 120 * "r", "iteration": 1, "path": str(tmp_path / "report.json")}
    reports = [json.dumps(place | {"seed": seed}) for seed in range(1000)]
    command = [sys.executable, str(ROOT / "scripts/collect_contamination.py"), "--csv", str(tmp_path / "all.csv")]
    subprocess.run([*command, "--reports", *reports], check=True)
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 1, "a row for each benchmark"


def test_a_report_that_is_torn_ends_the_program_with_one_sentence(tmp_path):
    (tmp_path / "report.json").write_text('{"pairs": 3, "bench')
    place = {"model": "m", "seed": 1, "recipe": "r", "iteration": 1, "path": str(tmp_path / "report.json")}
    command = [sys.executable, str(ROOT / "scripts/collect_contamination.py"), "--reports", json.dumps(place)]
    command += [part for kind in ("csv", "markdown", "latex") for part in (f"--{kind}", str(tmp_path / kind))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(r"Error: \S+report\.json: line 1 is not valid JSON .*make it again\.\n", done.stderr)
    assert not (tmp_path / "csv").exists()

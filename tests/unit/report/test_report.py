"""The report shows what the tables show, item by item, and nothing that a model wrote can run in it."""

import asyncio
import csv
import json
import re
from pathlib import Path

import pandas
import pytest
import yaml

import make_report
import make_table
from browser import Page, installed_browser, opened
from isheep.benchmarks.grid import Grid
from isheep.benchmarks.mt_bench import score_rows
from isheep.benchmarks.results import Score, read_result
from isheep.files.csv_text import write_frame
from isheep.files.records import InputError, write_json, write_jsonl
from isheep.report.content import claim_verdict, claims_content, drawn_examples
from isheep.report.items import HEAD, TAIL, ShownBenchmark, ShownItem, drawn, read_shown_items, shortened
from isheep.report.markdown_table import read_markdown
from isheep.report.page import as_json, page
from isheep.report.table_text import Line, Sheet, as_markdown
from made_up_results import write_made_up_result
from workspace import ROOT

EVIL = (
    "</script><script>window.ran = 1</script><!--<script><img src=x onerror='window.ran = 2'> & \u2028\n"
    "<a href='javascript:window.ran = 3'>here</a><style>* {display: none}</style>{{policy}} =HYPERLINK(\"x\")"
)
"""What a model may write, or a configuration may call something."""
RIGHT = {
    "base": [1, 0, 0, 1, None, 0],
    "one_base/iter1": [1, 1, 0, 0, 1, 1],
    "one_base/iter2": [0, 1, None, 1, 1, 1],
}
"""Which items each checkpoint has right."""
PARTS = [ROOT / "scripts/isheep/report/browser" / name for name in ("page.html", "style.css", "report.js")]


def measure(folder: Path, right: list[int | None]) -> None:
    """A task of short answers, rated right or wrong."""
    rows = [
        {
            "id": place,
            "doc_sha256": f"{place:064}",
            "prompt": f"Question {place}? {EVIL}",
            "response": [f"Answer {place} of {folder.parents[1].name} {EVIL}"],
            "target": "the answer",
            "filter": "none",
            "metrics": {"acc": value},
        }
        for place, value in enumerate(right)
    ]
    write_jsonl(folder / "items.jsonl", rows)
    valid = [value for value in right if value is not None]
    score = {"metric": "acc", "value": sum(valid) / len(valid), "n": len(right), "n_valid": len(valid)}
    write_made_up_result(folder / "items.jsonl", [score], benchmark="task", versions={"lm_eval": "0.4"})


def rate(folder: Path, ratings: list[int | None]) -> None:
    """Conversations of two turns, each rated by a judge."""
    questions = [{"question_id": 7, "category": "talk", "turns": ["First?", "Second?"]}]
    answers = [{"question_id": 7, "model_id": "m", "choices": [{"index": 0, "turns": ["One.", "Two."]}]}]
    write_jsonl(folder.with_name("questions.jsonl"), questions)
    write_jsonl(folder / "answers.jsonl", answers)
    judgments = [
        {"question_id": 7, "turn": turn, "category": "talk", "score": score, "judgment": f"Rated {EVIL}"}
        for turn, score in enumerate(ratings, start=1)
    ]
    write_jsonl(folder / "judgments.jsonl", judgments)
    items = [
        {"id": 7, "turn": row["turn"], "category": "talk", "metrics": {"score": row["score"]}} for row in judgments
    ]
    write_jsonl(folder / "items.jsonl", items)
    usage = {"requests": 3, "prompt_tokens": 40, "completion_tokens": 5, "cost": 0.25, "currency": "USD"}
    write_made_up_result(
        folder / "items.jsonl", score_rows(judgments), benchmark="talk", judge={"identity": {}, "usage": usage}
    )


def write_iteration(home: Path, source: str, checkpoint: str) -> None:
    """What a checkpoint was trained on: 6 pairs, 2 of them kept; one candidate that was rejected."""
    pairs = [
        {
            "id": f"{source}:0:{place}",
            "instruction": f"Do {place}. {EVIL}",
            "input": "",
            "response": f"Done {place}. {EVIL}",
            "rejected_by": None,
        }
        for place in range(6)
    ]
    write_jsonl(home / source / "pairs/shard0.jsonl", pairs)
    rejected = [{"text": f"A line {EVIL}", "reason": "format"}]
    write_jsonl(home / source / "instructions/shard0.rejected.jsonl", rejected)
    ledger = [
        {
            "id": pair["id"],
            "kept": place < 2,
            "reason": None if place < 2 else "score too low: quality",
            "scores": {"quality": 9 if place < 2 else 3},
            "used_for": "training" if place < 2 else None,
        }
        for place, pair in enumerate(pairs)
    ]
    write_jsonl(home / checkpoint / "ledger.jsonl", ledger)
    histogram = {str(score): {9: 2, 3: 4}.get(score, 0) for score in range(1, 11)}
    profile = {
        "instructions": {"candidates": 7, "kept": 6, "rejected": {"format": 1}},
        "pairs": {
            **{"generated": 6, "broke_a_rule": 0, "rules": {}, "scored": 6, "kept": 2, "trained_on": 2},
            **{"held_out": 0, "reasons": {"score too low: quality": 4}},
        },
        "scores": {"quality": {"histogram": histogram, "missing": 0, "mean": 5.0}},
    }
    write_json(home / checkpoint / "data.json", profile)


ROWS = [
    {"model": "m", "recipe": "", "iteration": 0, "checkpoint": "base"},
    {"model": "m", "recipe": "one_base", "iteration": 1, "checkpoint": "one_base/iter1", "previous": "base"},
    {"model": "m", "recipe": "one_base", "iteration": 2, "checkpoint": "one_base/iter2", "previous": "one_base/iter1"},
]
TABLE = {
    "caption": f"What we have. {EVIL}",
    "columns": [
        {"benchmark": "task", "metric": "acc", "label": f"Task {EVIL}"},
        {"benchmark": "talk", "metric": "average", "label": "Talk", "percent": False},
    ],
}


@pytest.fixture
def results(tmp_path, monkeypatch) -> Path:
    """The results of a base model and two iterations, and their table."""
    monkeypatch.chdir(tmp_path)
    results = Path("results/evil")
    home = results / "m/seed1"
    for checkpoint, right in RIGHT.items():
        (home / checkpoint / "logs").mkdir(parents=True)
        (home / checkpoint / "logs/benchmarks.task.benchmark.tsv").write_text("s\th:m:s\n1.5\t0:00:01\n")
        measure(home / checkpoint / "benchmarks/task", right)
        rate(home / checkpoint / "benchmarks/talk", [5, None] if checkpoint == "base" else [7, 8])
    write_iteration(home, "base", "one_base/iter1")
    write_iteration(home, "one_base/iter1", "one_base/iter2")
    measured = dict.fromkeys(RIGHT, ("task", "talk"))
    grid = Grid(results=str(results), seeds=(1,), measured={"m": measured})
    scores = [
        where | score.model_dump() | {"note": ""}
        for path, where in grid.records()
        for score in read_result(path).scores
    ]
    columns = ["model", "seed", "checkpoint", "benchmark", *Score.model_fields]
    write_frame(results / "tables/scores.csv", pandas.DataFrame(scores, columns=columns))
    table = [f"--table={json.dumps(TABLE)}", f"--rows={json.dumps(ROWS)}", f"--scores={results}/tables/scores.csv"]
    forms = {"csv": "csv", "markdown": "md", "latex": "tex"}
    files = [f"--{form}={results}/tables/main.{suffix}" for form, suffix in forms.items()]
    make_table.main(make_table.parser.parse_args([*table, *files]))
    (results / "figures").mkdir()
    (results / "figures/drawn.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>ran = 4</script></svg>")
    (results / "grid.json").write_text(grid.model_dump_json())
    return results


def report(results: Path, *tables: str, name: str = "evil") -> Path:
    """Make the report, and return its folder."""
    questions = str(results / "m/seed1/base/benchmarks/questions.jsonl")
    benchmarks = [
        {"name": "task", "kind": "lm_eval", "metric": "acc", "percent": True},
        {"name": "talk", "kind": "mt_bench", "metric": "average", "questions": questions},
    ]
    iterations = [
        {"model": "m", "recipe": "one_base", "iteration": 1, "sources": ["base"], "shards": 1},
        {"model": "m", "recipe": "one_base", "iteration": 2, "sources": ["one_base/iter1"], "shards": 1},
    ]
    lists = {
        "rows": ROWS,
        "benchmarks": benchmarks,
        "iterations": iterations,
        "figures": [{"path": f"{results}/figures/drawn.svg", "caption": EVIL}],
    }
    flags = [part for flag, entries in lists.items() for part in (f"--{flag}", *map(json.dumps, entries))]
    flags += ["--tables", *(f"{results}/tables/{table}.md" for table in tables)]
    flags += ["--page", *map(str, PARTS), f"--name={name}", f"--grid={(results / 'grid.json').read_text()}"]
    flags += [f"--scores={results}/tables/scores.csv", "--configuration", json.dumps({"experiment": {"name": EVIL}})]
    make_report.main(make_report.parser.parse_args([*flags, f"--report={results}/report"]))
    return results / "report"


def content_of(folder: Path) -> dict:
    """The data in a report's page."""
    text = (folder / "index.html").read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="report-data">(.*?)</script>', text, re.DOTALL)[1])


def content_of_items(folder: Path, number: int):
    return content_of_file(folder / f"items/{number}.js", str(number))


def content_of_file(file: Path, name: str):
    return json.loads(re.fullmatch(rf"receive\({name}, (.*)\);\n", file.read_text(encoding="utf-8"), re.DOTALL)[1])


def test_tables_are_those_of_the_files_number_by_number(results):
    shown = content_of(report(results, "main"))["tables"][0]
    sheet = read_markdown(results / "tables/main.md")
    assert shown["caption"] == sheet.caption
    assert "<script>window.ran = 1</script>" in shown["caption"], "as it is"
    assert [tuple(line) for line in shown["lines"]] == [line.cells for line in sheet.lines]
    with open(results / "tables/main.csv", encoding="utf-8", newline="") as file:
        assert [shown["numbers"]["headings"], *shown["numbers"]["rows"]] == list(csv.reader(file))


def test_scores_are_those_of_the_tables(results):
    shown = content_of(report(results, "main"))
    cells = [[cell["text"] for cell in row["cells"]] for row in shown["checkpoints"]]
    table = [[cell.split(" ")[0].rstrip("*†") for cell in line[-2:]] for line in shown["tables"][0]["lines"]]
    assert cells == table
    assert [[cell["missing"] for cell in row["cells"]] for row in shown["checkpoints"]] == [[1, 1], [0, 0], [1, 0]]


def test_each_item_stands_beside_that_of_the_iteration_before_and_of_the_base(results):
    folder = report(results, "main")
    records = content_of(folder)["records"]
    number, record = next(
        (number, record)
        for number, record in enumerate(records)
        if (record["checkpoint"], record["benchmark"]) == ("one_base/iter2", 0)
    )
    for earlier, checkpoint in (
        (number, "one_base/iter2"),
        (record["previous"], "one_base/iter1"),
        (record["base"], "base"),
    ):
        assert records[earlier]["checkpoint"] == checkpoint
        rows = content_of_items(folder, earlier)
        assert [row[-1] for row in rows] == RIGHT[checkpoint]
        assert [row[0] for row in rows] == list(range(6)), "numbered alike"
    shared = content_of_items(folder, len(records))
    assert shared["texts"][rows[2][1]] == f"Question 2? {EVIL}"
    assert shared["names"] == list("012345")


def test_costs_and_times_are_added_up(results):
    folder = report(results)
    shown = content_of(folder)
    usage = {"requests": 9, "prompt_tokens": 120, "completion_tokens": 15, "amounts": ["0.75 USD"]}
    assert shown["costs"] == [{"benchmark": "talk"} | usage]
    assert content_of_file(folder / "times.js", '"times"') == [{"stage": "benchmarks", "jobs": 3, "seconds": 4.5}]
    assert shown["versions"] == [{"package": "lm_eval", "versions": ["0.4"]}]


def test_all_but_times_is_the_same_in_every_run(results):
    first = {file.relative_to(results): file.read_bytes() for file in report(results, "main").rglob("*.*")}
    for file in results.rglob("*.benchmark.tsv"):
        file.write_text("s\th:m:s\n2.5\t0:00:02\n")
    second = {file.relative_to(results): file.read_bytes() for file in report(results, "main").rglob("*.*")}
    assert first.keys() == second.keys()
    assert [str(file) for file in first if first[file] != second[file]] == ["report/times.js"]


def test_examples_show_what_became_of_pairs_and_candidates(results):
    shown = content_of(report(results))["iterations"][1]
    assert [(fate["fate"], fate["kept"], len(fate["examples"])) for fate in shown["fates"]] == [
        ("kept, used for training", True, 2),
        ("score too low: quality", False, 3),
    ]
    example = shown["fates"][0]["examples"][0]
    place = example["id"].rpartition(":")[2]
    assert example["response"] == f"Done {place}. {EVIL}"
    assert shown["rejected"][0]["examples"][0]["instruction"] == f"A line {EVIL}"


def test_examples_are_the_same_each_time_and_others_with_another_seed():
    rows = [("even" if place % 2 == 0 else "odd", {"place": place}) for place in range(1000)]
    drawn = drawn_examples(rows, "one", count=5)
    assert drawn == drawn_examples(iter(rows), "one", count=5)
    assert drawn != drawn_examples(rows, "two", count=5)
    assert {name: len(found) for name, found in drawn.items()} == {"even": 5, "odd": 5}
    assert all(row["place"] % 2 == 0 for row in drawn["even"])


def test_a_report_without_tables_shows_none_and_the_whole_configuration(results):
    shown = content_of(report(results))
    assert shown["tables"] == shown["claims"] == []
    assert yaml.safe_load(shown["configuration"]) == {"experiment": {"name": EVIL}}


def test_an_experiment_in_which_nothing_is_measured_has_a_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_frame(Path("scores.csv"), pandas.DataFrame(columns=["model", "seed", "checkpoint", "benchmark", "metric"]))
    flags = [
        "--name=none",
        f"--grid={Grid(results='results/none', seeds=(1,)).model_dump_json()}",
        "--scores=scores.csv",
    ]
    flags += ["--configuration={}", "--page", *map(str, PARTS), "--report=report"]
    make_report.main(make_report.parser.parse_args(flags))
    shown = content_of(Path("report"))
    assert not any(content for name, content in shown.items() if name not in ("name", "configuration"))


def test_items_that_are_not_those_of_their_record_are_refused(results):
    items = results / "m/seed1/base/benchmarks/task/items.jsonl"
    items.write_text(items.read_text().replace('"acc": 0', '"acc": 1', 1))
    with pytest.raises(InputError, match=r"items\.jsonl: it was changed after its result was computed"):
        report(results)
    assert not (results / "report").exists()


def test_scores_that_are_not_those_of_the_records_are_refused(results):
    scores = results / "tables/scores.csv"
    scores.write_text(scores.read_text().replace(",0.4,", ",0.5,", 1))
    with pytest.raises(InputError, match=r"base/benchmarks/task/result\.json: its acc is 0\.4, but 0\.5 was collected"):
        report(results)


def test_of_conversations_the_turns_of_the_metric_are_shown(results):
    result = results / "m/seed1/base/benchmarks/talk/result.json"
    benchmark = ShownBenchmark(name="talk", kind="mt_bench", questions=str(result.parents[1] / "questions.jsonl"))
    shown = {metric: read_shown_items(result, benchmark, metric) for metric in ("average", "turn_1", "turn_2")}
    assert [(item.name, item.prompt, item.answer, item.value) for item in shown["average"][1]] == [
        ("7, turn 1, talk", "First?", "One.", 5),
        ("7, turn 2, talk", "Second?", "Two.", None),
    ]
    assert [item.value for item in shown["turn_1"][1]] == [5]
    assert shown["turn_2"][0] == "average", "of no rating there is no mean"


def test_no_text_of_the_data_can_end_a_script_or_begin_one(results):
    folder = report(results, "main", name=EVIL)
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert len(re.findall("<script", text, re.IGNORECASE)) == 2, "the data's and the page's own"
    assert len(re.findall("</script", text, re.IGNORECASE)) == 2
    assert "<img" not in text
    for file in (folder / "items").iterdir():
        assert not re.search("[<>&\u2028\u2029]", file.read_text(encoding="utf-8"))
    assert {file.name for file in (folder / "items").iterdir()} == {f"{number}.js" for number in range(8)}


@pytest.mark.parametrize("text", [EVIL, "]]>", "\u2029", "\x00\r\n\t", "\\u003c", "é 漢字 😀"])
def test_json_in_a_page_is_the_same_text_again(text):
    written = as_json({text: [text]})
    assert not re.search("[<>&\u2028\u2029]", written)
    assert json.loads(written) == {text: [text]}


@pytest.mark.parametrize("mark", ["</style>", "<!--", "</SCRIPT>", "<script>"])
def test_a_part_of_the_page_that_would_end_its_element_is_refused(tmp_path, mark):
    (tmp_path / "style.css").write_text(f"/* {mark} */")
    with pytest.raises(InputError, match=r"style\.css: it holds a mark that would end its element"):
        page("A", {}, [PARTS[0], tmp_path / "style.css", PARTS[2]])
    with pytest.raises(InputError, match=r"no file ends in \.css"):
        page("A", {}, [PARTS[0], PARTS[2]])


AWKWARD = (EVIL, "a | b \\| c", "1. No list", "# No heading", "*x* _y_ `z` ~ $a$ [l](m)", "&amp; &copy <b>", "±−–", "")


@pytest.mark.parametrize("text", AWKWARD)
def test_a_table_is_read_back_from_its_markdown(tmp_path, text):
    shown = " ".join(text.split())
    sheet = Sheet(text or "A.", ("", text), 1, [Line((text, "1")), Line(("a", text))], [text] if text else [])
    (tmp_path / "table.md").write_text(as_markdown(sheet), encoding="utf-8")
    read = read_markdown(tmp_path / "table.md")
    assert read == Sheet(
        shown or "A.", ("", shown), 1, [Line((shown, "1")), Line(("a", shown))], [shown] if text else []
    )


def test_what_is_no_table_is_refused(tmp_path):
    (tmp_path / "table.md").write_text("No table.\n")
    with pytest.raises(InputError, match=r"table\.md: this is no table"):
        read_markdown(tmp_path / "table.md")


@pytest.mark.parametrize(
    ("printed", "ours", "verdict"),
    [
        ("78.2", 90.0, "met"),
        ("78.2", 78.151, "met"),
        ("78.2", 78.1, "smaller"),
        ("78.2", -1.0, "not met"),
        ("78.2", 0.0, "not met"),
        ("-3.0", -4.0, "met"),
        ("-3.0", -1.0, "smaller"),
        ("-3.0", 2.0, "not met"),
        ("78.2", None, "missing"),
    ],
)
def test_a_claim_is_met_by_a_change_as_large_in_the_same_direction(printed, ours, verdict):
    assert claim_verdict(printed, ours) == verdict


def test_claims_are_read_with_what_is_missing(tmp_path):
    (tmp_path / "claims.csv").write_text(
        "claim,kind,table,columns,earlier,later,printed,published,ours,missing\n"
        "'=More,relative,t,c,a,b,78.2,78.21,80.04,\nLess,absolute,t,c,a,b,-1.50,-1.5,,c of a\n"
    )
    first, second = claims_content(tmp_path / "claims.md")
    assert first == {"claim": "=More", "printed": "+78.2 %", "ours": "+80.0 %", "verdict": "met", "missing": ""}
    assert second == {"claim": "Less", "printed": "−1.50", "ours": "–", "verdict": "missing", "missing": "c of a"}


def test_a_long_text_keeps_its_beginning_and_its_end():
    text = "a" * HEAD + "b" * 70 + "c" * TAIL
    assert shortened(text) == f"{'a' * HEAD}\n[… 70 characters left out …]\n{'c' * TAIL}"
    assert shortened(text[:HEAD] + text[-TAIL:]) == text[:HEAD] + text[-TAIL:]


def test_choices_are_shown_by_their_likelihood(tmp_path):
    row = {"id": 0, "doc_sha256": "a", "prompt": "Which?", "filter": "none", "metrics": {"acc": 1.0}}
    row |= {"response": [[-3.0, False], [-1.5, True]], "target": 1}
    write_jsonl(tmp_path / "items.jsonl", [row])
    write_made_up_result(tmp_path / "items.jsonl", [{"metric": "acc", "value": 1.0}])
    benchmark = ShownBenchmark(name="choice", kind="lm_eval")
    metric, (item,) = read_shown_items(tmp_path / "result.json", benchmark, "acc")
    assert (metric, item.value, item.reference) == ("acc", 1.0, "choice 1")
    assert item.answer == "choice 0: log-likelihood -3.00\nchoice 1: log-likelihood -1.50  ← highest"


def test_programs_are_shown_with_what_became_of_them(tmp_path):
    problem = {"task_id": "HumanEval/0", "prompt": "def f():\n", "entry_point": "f", "test": "def check(c): pass"}
    write_jsonl(tmp_path / "problems.jsonl", [problem | {"canonical_solution": "    return 1\n"}])
    samples = [{"task_id": "HumanEval/0", "sample": number, "completion": f"    return {number}"} for number in (0, 1)]
    write_jsonl(tmp_path / "samples.jsonl", samples)
    items = [
        {"task_id": "HumanEval/0", "sample": 0, "passed": False, "result": "failed: wrong"},
        {"task_id": "HumanEval/0", "sample": 1, "passed": True, "result": "passed"},
    ]
    write_jsonl(tmp_path / "items.jsonl", items)
    write_made_up_result(tmp_path / "items.jsonl", [{"metric": "pass@1", "value": 0.5}])
    benchmark = ShownBenchmark(
        name="code", kind="programs", problems=str(tmp_path / "problems.jsonl"), format="humaneval"
    )
    metric, (item,) = read_shown_items(tmp_path / "result.json", benchmark, "pass@1")
    assert (metric, item.value, item.prompt) == ("pass@1", 0.5, "def f():\n")
    assert item.answer == "    return 0\n\n    return 1"
    assert item.judgment == "failed: wrong; passed"


def test_a_judgment_that_cannot_be_read_is_missing(tmp_path):
    rows = [
        {"id": 0, "prompt": "a", "response": "b", "target": "c", "preference": None, "winner": None, "metrics": {}},
        {"id": 1, "prompt": "a", "response": None, "target": "c", "preference": 1.75, "winner": "model", "metrics": {}},
    ]
    for row, value in zip(rows, (None, 0.75), strict=True):
        row["metrics"] = {"win_rate": value}
    write_jsonl(tmp_path / "items.jsonl", rows)
    write_made_up_result(
        tmp_path / "items.jsonl", [{"metric": "other", "value": 1.0}, {"metric": "win_rate", "value": 75.0}]
    )
    benchmark = ShownBenchmark(name="compared", kind="alpaca_eval")
    metric, items = read_shown_items(tmp_path / "result.json", benchmark, "other")
    assert metric == "win_rate", "the first that is a mean over items"
    assert [(item.value, item.judgment) for item in items] == [
        (None, "no judgment that can be read"),
        (0.75, "the model wins (preference 1.75 of 1 to 2)"),
    ]


# In a real browser


@pytest.fixture
def browsed(results, tmp_path):
    """Run a coroutine with the report's page open; it may say nothing on its console."""
    if installed_browser() is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    rows = [
        [EVIL, "relative", "78.2", "80.04", ""],
        ["More.", "absolute", "1.5", "0.5", ""],
        ["x", "absolute", "2", "", EVIL],
    ]
    with open(results / "tables/claims.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["claim", "kind", "printed", "ours", "missing"], *rows])
    folder = report(results, "main", "claims", name=EVIL)

    async def in_browser(look) -> list[str]:
        async with opened((folder / "index.html").absolute().as_uri(), tmp_path / "profile") as page:
            await look(page)
            assert await page.value("window.ran === undefined && typeof ran === 'undefined'")
            assert page.said == []
            return page.asked

    return lambda look: asyncio.run(in_browser(look))


async def open_items(page: Page, checkpoint: int, benchmark: int) -> None:
    await page.value("location.hash = 'scores'")
    await page.until("!document.getElementById('view-scores').hidden")
    await page.value(
        f"document.querySelectorAll('.scores tbody tr')[{checkpoint}].querySelectorAll('button')[{benchmark}].click()"
    )
    await page.until("document.querySelector('#view-items .item')")


ITEMS = "[...document.querySelectorAll('#view-items .item h3')].map((h) => h.textContent)"
FATES = "[...document.querySelectorAll('[data-fate]')].map((b) => b.textContent)"


def test_items_that_were_won_and_lost_come_first(browsed):
    async def look(page: Page) -> None:
        await open_items(page, 2, 0)
        assert await page.value(FATES) == ["all 6", "won 1", "lost 1", "missing 1"]
        assert await page.value(ITEMS) == ["Item 0lost", "Item 3won", "Item 2missing", "Item 1", "Item 4", "Item 5"]
        await page.value("document.querySelector('[data-fate=lost]').click()")
        assert await page.value(ITEMS) == ["Item 0lost"]
        answers = "[...document.querySelectorAll('.item .answer .badge')].map((b) => b.textContent)"
        assert await page.value(answers) == ["wrong", "right", "right"]
        # Against the base model, in which item 4 is missing.
        await page.value("document.querySelector('[data-fate=all]').click()")
        select = "document.querySelectorAll('#view-items select')[1]"
        await page.value(f"{select}.value = '1'; {select}.dispatchEvent(new Event('change'))")
        assert await page.value(FATES) == ["all 6", "won 2", "lost 1", "missing 1"]

    browsed(look)


def test_of_preferences_another_winner_counts(browsed):
    fate = "fateOf({{answers: [{{value: {}}}, {{value: {}, other: 0}}]}}, 0, 'win_rate', 'alpaca_eval')"

    async def look(page: Page) -> None:
        for now, then, expected in (
            (0.9, 0.6, "same"),
            (0.6, 0.4, "won"),
            (0.5, 0.9, "lost"),
            ("null", 0.9, "missing"),
            (0.9, "null", "same"),
        ):
            assert await page.value(fate.format(now, then)) == expected
        assert await page.value("[0.7, 0.5, 0.2, null].map((value) => verdict(value, WINNERS, 'win_rate'))") == [
            *("wins", "draw", "loses", "missing")
        ]

    browsed(look)


def test_claims_stand_first_with_whether_they_are_met(browsed):
    async def look(page: Page) -> None:
        assert await page.value("document.querySelector('#view-overview h2').textContent") == "Claims"
        rows = "[...document.querySelector('#view-overview table').rows]"
        shown = await page.value(
            f"{rows}.slice(1).map((row) => [...row.cells].slice(-3).map((cell) => cell.textContent))"
        )
        assert shown == [
            ["+78.2 %", "+80.0 %", "met"],
            ["+1.5", "+0.5", "same direction, smaller"],
            ["+2", "–", f"missingwe lack {EVIL}"],
        ]
        assert await page.value(f"{rows}[1].cells[0].textContent") == EVIL

    browsed(look)


def test_items_are_sought_by_their_texts(browsed):
    async def look(page: Page) -> None:
        await open_items(page, 1, 0)
        search = "document.querySelector('#view-items input[type=search]')"
        await page.value(f"{search}.value = 'QUESTION 4'; {search}.dispatchEvent(new Event('input'))")
        await page.until("document.querySelectorAll('#view-items .item').length === 1")
        assert await page.value(ITEMS) == ["Item 4"]
        assert await page.value("document.querySelector('.item .text').textContent") == f"Question 4? {EVIL}"
        await open_items(page, 0, 1)
        assert await page.value(ITEMS) == ["Item 7, turn 2, talkmissing", "Item 7, turn 1, talk"]

    browsed(look)


def test_nothing_that_was_planted_runs_or_leads_anywhere(browsed):
    async def look(page: Page) -> None:
        for part in ("overview", "scores", "data", "run"):
            await page.value(f"location.hash = '{part}'")
            await page.until(f"!document.getElementById('view-{part}').hidden")
            await page.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        await page.until("document.querySelector('.code') && document.querySelector('#view-run tr.group')")
        await open_items(page, 1, 0)
        assert (
            await page.value("document.querySelectorAll('main script, main style, main [onerror], iframe').length") == 0
        )
        links = await page.value("[...document.querySelectorAll('a')].map((a) => a.getAttribute('href'))")
        assert links == ["#content", "#overview", "#scores", "#data", "#run"]
        assert EVIL.partition(" &")[0] in await page.value("document.querySelector('.code').textContent")
        assert "<script>window.ran = 1</script>" in await page.value("document.title")
        assert await page.value(
            "[...document.images].every((image) => image.src.startsWith('data:image/svg+xml;base64,'))"
        )

    asked = browsed(look)
    assert all(re.search(r"^data:|/report/(index\.html|items/\d+\.js|times\.js)(#.*)?$", address) for address in asked)


def test_the_keyboard_opens_items_and_nothing_is_wider_than_a_narrow_screen(browsed):
    async def look(page: Page) -> None:
        size = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": False}
        await page.call("Emulation.setDeviceMetricsOverride", **size)
        for part in ("overview", "data", "run", "scores"):
            await page.value(f"location.hash = '{part}'")
            await page.until(f"!document.getElementById('view-{part}').hidden")
            assert await page.value("document.documentElement.scrollWidth") <= 360, part
        await page.value("document.querySelector('.scores button').focus()")
        enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        await page.call("Input.dispatchKeyEvent", type="keyDown", **enter)
        await page.until("document.querySelector('#view-items .item')")
        assert await page.value("document.activeElement.id") == "view-items"
        assert await page.value("document.documentElement.scrollWidth") <= 360

    browsed(look)


def test_an_inline_script_or_a_text_as_markup_is_refused_by_the_page(browsed):
    """What the policy would stop, were a text ever put in as markup."""

    async def look(page: Page) -> None:
        assert await page.value(
            "(() => { try { document.body.innerHTML = '<b>x</b>'; return false; } catch { return true; } })()"
        )
        assert await page.value("typeof receive") == "function"
        page.said.clear()  # what was refused just now

    browsed(look)


def test_of_many_items_some_are_drawn_and_the_same_of_every_checkpoint():
    def items(value: float) -> list[ShownItem]:
        return [ShownItem(place, str(place), "", "", "", "", value) for place in range(50)]

    first, second = drawn(items(0.0), 20), drawn(items(1.0), 20)
    assert [item.key for item in first] == [item.key for item in second] == sorted(item.key for item in first)
    assert len(first) == 20
    assert drawn(items(0.0)) == items(0.0)


def test_a_report_of_ten_thousand_items_is_shown_in_pages(browsed, results, monkeypatch):
    """All are shown here. The scores are those of before: two of three are right."""
    monkeypatch.setattr(make_report, "drawn", lambda items: items)
    rows = [
        {
            "id": place,
            "doc_sha256": f"{place:064}",
            "prompt": f"Question {place}? " + "word " * 60,
            "response": [f"Answer {place} " + "word " * 40],
            "target": "",
            "filter": "none",
            "metrics": {"acc": int(place % 3 > 0)},
        }
        for place in range(9_999)
    ]
    folder = results / "m/seed1/one_base/iter1/benchmarks/task"
    write_jsonl(folder / "items.jsonl", rows)
    score = {"metric": "acc", "value": 2 / 3, "n": 9_999, "n_valid": 9_999}
    write_made_up_result(folder / "items.jsonl", [score], benchmark="task")
    report(results, "main")

    async def look(page: Page) -> None:
        await open_items(page, 1, 0)
        assert await page.value("document.querySelectorAll('#view-items .item').length") == 25
        search = "document.querySelector('#view-items input[type=search]')"
        await page.value(f"{search}.value = 'question 9998?'; {search}.dispatchEvent(new Event('input'))")
        await page.until("document.querySelectorAll('#view-items .item').length === 1")

    browsed(look)

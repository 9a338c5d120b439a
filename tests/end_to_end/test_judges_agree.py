"""Two judges of the same answers: the demo's, greedy and sampled, and a table that says how far they agree."""

import csv

import pytest
import yaml

from isheep.files.records import read_jsonl, write_jsonl
from workspace import Workspace

pytestmark = pytest.mark.end_to_end

QUESTIONS = 12
CONFIG = {
    "experiment": {"name": "judges", "baselines": ["made_up"], "seeds": [1]},
    "models": {"demo_judge": {"source": "shipped", "path": "config/demo/judge"}},
    "engine": {"kind": "transformers", "dtype": "float32"},
    "judges": {"demo": {"model": "demo_judge", "chat": False}},
    "benchmarks": {
        "chat": {
            "kind": "mt_bench",
            "questions": "questions.jsonl",
            "judge_prompts": "config/demo/mt_bench/judge_prompts.jsonl",
            "judge": "demo",
            "judge_sampling": {"temperature": 0.0, "max_tokens": 120},
            "reference_categories": [],
        }
    },
    "baselines": {"made_up": {"benchmarks": {name: {"answers": "answers.jsonl"} for name in ("chat", "chat_again")}}},
    "agreements": {"agreement": {"caption": "Two judges.", "benchmarks": ["chat", "chat_again"]}},
}
SAMPLED = {"judge_sampling": {"temperature": 1.0, "max_tokens": 120}}
CONFIG["benchmarks"]["chat_again"] = CONFIG["benchmarks"]["chat"] | SAMPLED | {"answers_of": "chat"}
ANSWERS = ("Japan.\nP.S. Ask me again.", "It is a small animal.", "Yes.")
BENCHMARKS = "results/judges/baselines/made_up/benchmarks"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("agreement"), "judges.yaml")
    (workspace.folder / "judges.yaml").write_text(yaml.safe_dump(CONFIG))
    questions = read_jsonl(workspace.folder / "config/demo/mt_bench/questions.jsonl")[:QUESTIONS]
    write_jsonl(workspace.folder / "questions.jsonl", questions)
    rows = [
        {"question_id": question["question_id"], "model_id": "made_up", "choices": [{"index": 0, "turns": turns}]}
        for number, question in enumerate(questions)
        for turns in [[ANSWERS[number % 3], ANSWERS[(number + 1) % 3]]]
    ]
    write_jsonl(workspace.folder / "answers.jsonl", rows)
    workspace.snakemake("results/judges/tables/agreement.csv")
    return workspace


def ratings(workspace: Workspace, benchmark: str) -> dict[tuple, float | None]:
    rows = read_jsonl(workspace.folder / BENCHMARKS / benchmark / "judgments.jsonl")
    return {(row["question_id"], row["turn"]): row["score"] for row in rows}


def test_the_table_is_of_what_both_judges_said(workspace):
    first, second = ratings(workspace, "chat"), ratings(workspace, "chat_again")
    both = [(first[key], second[key]) for key in first if None not in (first[key], second[key])]
    with open(workspace.folder / "results/judges/tables/agreement.csv", newline="") as file:
        made_up, together = csv.DictReader(file)
    assert (made_up["label"], together["label"]) == ("published", "all")
    assert (int(made_up["n"]), int(made_up["n valid"])) == (2 * QUESTIONS, len(both))
    assert len(both) > QUESTIONS, "most judgments have a rating"
    assert 0 < sum(one == other for one, other in both) < len(both), "the judges agree on some and not on all"
    assert float(made_up["equal"]) == pytest.approx(sum(one == other for one, other in both) / len(both))
    every = [rating for pair in both for rating in pair]
    distances = [(one - other) ** 2 for one in every for other in every]
    expected = sum(distances) / (len(every) * (len(every) - 1))
    observed = sum((one - other) ** 2 for one, other in both) / len(both)
    assert float(made_up["alpha"]) == pytest.approx(1 - observed / expected)


def test_the_answers_are_taken_once(workspace):
    assert (workspace.folder / BENCHMARKS / "chat/answers.jsonl").exists()
    assert not (workspace.folder / BENCHMARKS / "chat_again/answers.jsonl").exists()


def test_a_change_of_the_second_judge_asks_it_alone(workspace):
    with workspace.changed("judges.yaml", "temperature: 1.0", "temperature: 0.9"):
        jobs = workspace.jobs("results/judges/tables/agreement.csv")
    assert set(jobs) == {"judge_mt_bench", "score_mt_bench", "make_agreement_table"}
    assert all("/chat_again/" in output for rule in ("judge_mt_bench", "score_mt_bench") for output in jobs[rule])

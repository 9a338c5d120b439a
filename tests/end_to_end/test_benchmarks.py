"""AlpacaEval and MT-Bench as a workflow: a judge of our own, one behind an API, and what a change redoes."""

import json
import shutil

import pytest
import yaml

from isheep.engine.engine import Completion
from isheep.files.records import read_jsonl, write_jsonl
from judge_server import JudgeServer
from workspace import ROOT, Workspace

pytestmark = pytest.mark.end_to_end

PAIRS, QUESTIONS = 8, 5
RESULT = "results/chats/demo/seed1/base/benchmarks"
TABLE = ("collect_scores", "collect_scores_of_table", "make_table", "make_report")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A workspace in which the demo's base model has been measured by both, on a few items."""
    workspace = Workspace(tmp_path_factory.mktemp("chats"), "config/config.yaml", "chats.yaml")
    outputs = json.loads((ROOT / "config/demo/alpaca_eval/reference_outputs.json").read_text())[:PAIRS]
    (workspace.folder / "reference.json").write_text(json.dumps(outputs))
    questions = read_jsonl(ROOT / "config/demo/mt_bench/questions.jsonl")[:QUESTIONS]
    write_jsonl(workspace.folder / "questions.jsonl", questions)
    ids = {question["question_id"] for question in questions}
    references = read_jsonl(ROOT / "config/demo/mt_bench/reference_answers.jsonl")
    write_jsonl(workspace.folder / "references.jsonl", [row for row in references if row["question_id"] in ids])
    (workspace.folder / "chats.yaml").write_text(yaml.safe_dump(configuration()))
    workspace.snakemake()
    return workspace


def configuration():
    columns = [
        {"benchmark": "alpaca_eval", "metric": "win_rate", "label": "AlpacaEval", "percent": False},
        {"benchmark": "mt_bench", "metric": "average", "label": "MT-Bench", "percent": False},
    ]
    return {
        "figures": {"figure_3": None},
        "experiment": {"name": "chats", "recipes": [], "benchmarks": ["alpaca_eval", "mt_bench"]},
        "benchmarks": {
            "alpaca_eval": {"reference": "reference.json"},
            "mt_bench": {"questions": "questions.jsonl", "references": "references.jsonl"},
        },
        "tables": {"main": {"columns": columns}},
    }


def scores(workspace, benchmark):
    record = json.loads((workspace.folder / RESULT / benchmark / "result.json").read_text())
    return record, {row["metric"]: row for row in record["scores"]}


def test_every_pair_and_turn_is_counted(finished):
    record, found = scores(finished, "alpaca_eval")
    assert found["win_rate"]["n"] == PAIRS
    assert 0 <= found["win_rate"]["value"] <= 100
    assert record["judge"]["usage"]["requests"] > 0
    record, found = scores(finished, "mt_bench")
    assert found["average"]["n"] == 2 * QUESTIONS
    assert 1 <= found["average"]["value"] <= 10
    assert record["answered_by"]["engine"]["kind"] == "transformers"
    assert record["answered_by"]["chat_template_sha256"] is None, "the base model was asked raw"
    assert found["expected_average"]["n_valid"] == found["average"]["n_valid"]


def test_preferences_come_from_log_probabilities(finished):
    rows = json.loads((finished.folder / RESULT / "alpaca_eval/annotations.json").read_text())
    judged = [row["preference"] for row in rows if row["preference"] is not None]
    assert any(preference not in (1, 1.5, 2) for preference in judged)


def test_one_more_benchmark_runs_that_one_alone(finished):
    with finished.changed("chats.yaml", "- mt_bench\n", "- mt_bench\n  - choice\n"):
        jobs = finished.jobs()
    assert jobs["measure"] == {"demo/seed1/base/benchmarks/choice/items.jsonl"} | {
        "demo/seed1/base/benchmarks/choice/result.json"
    }
    assert set(jobs) == {"measure", "collect_scores", "make_report"}, "no table shows it"


def test_another_judge_prompt_answers_nothing_again(finished):
    with finished.changed("config/annotators/demo/prompt.txt", "Which response", "Which of the responses"):
        jobs = finished.jobs()
    assert set(jobs) == {"judge_alpaca_eval", "score_alpaca_eval", *TABLE}


def with_api_judge(workspace, url):
    content = configuration()
    prices = {"prompt": 1.0, "completion": 2.0}
    content["experiment"]["name"] = "api"
    content["judges"] = {
        "api": {"api": {"model": "judge", "base_url": url, "key_variable": "JUDGE_KEY", "prices": prices}}
    }
    content["runtime"] = {"judge_attempts": 2, "judge_concurrency": 1}
    content["benchmarks"]["mt_bench"] |= {"judge": "api", "judge_sampling": {"top_logprobs": 0}}
    content["experiment"]["benchmarks"] = ["mt_bench"]
    content["tables"]["main"]["columns"] = content["tables"]["main"]["columns"][1:]
    (workspace.folder / "chats.yaml").write_text(yaml.safe_dump(content))


def test_a_judge_whose_key_is_missing_is_named_before_anything_is_asked(finished, tmp_path, monkeypatch):
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    workspace = copy_of(finished, tmp_path)
    with JudgeServer() as server:
        with_api_judge(workspace, server.url)
        run = workspace.snakemake(check=False)
        assert run.returncode == 1
        assert "JUDGE_KEY" in run.stdout + run.stderr
        assert not server.asked


def test_a_judge_that_dies_halfway_is_paid_for_the_rest_alone(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "secret-of-the-test")
    workspace = copy_of(finished, tmp_path)

    def rating(request):
        return Completion(request.id, "Fine. Rating: [[7]]", "stop", 10, 5)

    def die_halfway(prompt, times):
        return "die" if len(server.answered) == QUESTIONS else None

    with JudgeServer(answer=rating, fault=die_halfway, key="secret-of-the-test") as server:
        with_api_judge(workspace, server.url)
        run = workspace.snakemake(check=False)
        assert run.returncode == 1
        assert "running the same command again" in run.stdout + run.stderr
    first = set(server.answered)
    with JudgeServer(answer=rating, key="secret-of-the-test", port=server.port) as second:
        workspace.snakemake()
    assert first
    assert not first & set(second.asked), "a judgment was paid twice"
    assert len(first) + len(second.asked) == 2 * QUESTIONS
    record = json.loads((workspace.folder / "results/api/demo/seed1/base/benchmarks/mt_bench/result.json").read_text())
    assert record["judge"]["usage"]["requests"] == 2 * QUESTIONS
    assert record["judge"]["usage"]["cost"] == pytest.approx(2 * QUESTIONS * (10 * 1.0 + 5 * 2.0) / 1e6)
    for old, new in {
        "prompt: 1.0": "prompt: 3.0",
        "JUDGE_KEY": "OTHER_KEY",
        "judge_attempts: 2": "judge_attempts: 3",
    }.items():
        with workspace.changed("chats.yaml", old, new):
            # The report shows the configuration.
            assert workspace.jobs().keys() <= {"make_report"}, "nothing is judged, and paid, again for a price or name"
    with workspace.changed("chats.yaml", "model: judge", "model: another-judge"):
        assert set(workspace.jobs()) == {"judge_mt_bench", "score_mt_bench", *TABLE}
    files = [path for path in workspace.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"secret-of-the-test" in path.read_bytes()], "the key was written down"


def copy_of(workspace, folder):
    copy = Workspace(folder / "copy", *workspace.configfiles)
    for name in ("reference.json", "questions.jsonl", "references.jsonl", "chats.yaml"):
        shutil.copy(workspace.folder / name, copy.folder / name)
    return copy

"""What a run tells before its first job: what it measures, who judges, and the most that this may cost."""

import importlib.util
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from isheep.benchmarks.alpaca_eval import load_reference
from isheep.config.announcement import Planned, check_sandbox, most_asked, plan_lines, planned_measurements
from isheep.config.loading import load_config
from isheep.files.records import InputError

DEMO = "config/config.yaml"
API = {"model": "judge-1", "base_url": "https://judge.example/v1"}


@pytest.fixture
def raw():
    """The demo, whose answers a paid API judges."""
    raw = yaml.safe_load(Path(DEMO).read_text())
    prices = {"prompt": 10, "completion": 30, "currency": "EUR"}
    raw["judges"]["paid"] = {"api": API | {"prices": prices}}
    raw["benchmarks"]["mt_bench"]["judge"] = "paid"
    return raw


def lines(raw, **judged):
    config = load_config(raw, [DEMO])
    return plan_lines(config, Planned(Counter({"choice": 5} | judged), Counter(judged)))


def planned_job(rule, benchmark, subject="demo/seed1/base"):
    named = SimpleNamespace(benchmark=benchmark, subject=subject)
    return SimpleNamespace(rule=SimpleNamespace(name=rule), wildcards=named)


def test_each_benchmark_has_a_line_with_its_judge(raw):
    found = lines(raw, alpaca_eval=1, mt_bench=2)
    assert found[0] == "To measure: choice (lm_eval), 5 results."
    assert found[1] == (
        "To measure: alpaca_eval (alpaca_eval), 1 result; the judge demo (the model demo_judge) is asked 120 times at "
        "most, which costs nothing but time."
    )
    assert found[2].startswith(
        "To measure: mt_bench (mt_bench), 2 results; the judge paid (judge-1 at https://judge.example/v1) is asked 480 "
        "times at most, for "
    )
    assert "EUR at most (if every answer is as long as it may be, and none is lost and asked for again)" in found[2]


def test_the_spending_limit_bounds_each_job(raw):
    raw["runtime"]["judge_spending_limit"] = 25
    raw["benchmarks"]["alpaca_eval"]["judge"] = "paid"
    _, alpaca, mt_bench, together = lines(raw, alpaca_eval=1, mt_bench=2)
    assert alpaca.endswith("for 0.25 EUR at most (runtime.judge_spending_limit ends each of 1 job at 0.25 EUR).")
    assert mt_bench.endswith("for 0.50 EUR at most (runtime.judge_spending_limit ends each of 2 jobs at 0.25 EUR).")
    assert together == "All judges together cost 0.75 EUR at most."


def test_without_prices_the_number_of_calls_is_told_and_no_sum(raw):
    raw["judges"]["free"] = {"api": API}
    raw["benchmarks"]["alpaca_eval"]["judge"] = "free"
    found = lines(raw, alpaca_eval=1, mt_bench=2)
    assert "is asked 120 times at most, at prices that are not configured (judges.free.api.prices)." in found[1]
    assert not any("together" in line for line in found)


def test_before_its_files_are_fetched_only_the_limit_bounds_a_judge(raw):
    raw["benchmarks"]["mt_bench"]["questions"] = "results/fetched/mt_bench/question.jsonl"
    [line] = [line for line in lines(raw, mt_bench=1) if "mt_bench" in line]
    assert "as often as results/fetched/mt_bench/question.jsonl will say, for an amount that has no bound" in line
    raw["runtime"]["judge_spending_limit"] = 25
    assert lines(raw, mt_bench=1)[1].endswith(
        "for 0.25 EUR at most (runtime.judge_spending_limit ends each of 1 job at 0.25 EUR)."
    )


def test_where_the_prompt_is_not_installed_the_run_is_not_ended(raw, monkeypatch):
    raw["runtime"]["judge_spending_limit"] = 25
    raw["benchmarks"]["alpaca_eval"] |= {
        "judge": "paid",
        "annotator": "config/annotators/weighted_alpaca_eval_gpt4_turbo",
    }
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    line = lines(raw, alpaca_eval=2)[1]
    assert "is asked as often as cannot be told here (config/annotators/weighted_alpaca_eval_gpt4_turbo/" in line
    assert "alpaca-eval is not installed" in line
    assert line.endswith("for 0.50 EUR at most (runtime.judge_spending_limit ends each of 2 jobs at 0.25 EUR).")


def test_the_most_tokens_are_those_of_the_longest_answers_and_judgments(raw):
    config = load_config(raw, [DEMO])
    alpaca, judge = config.benchmarks["alpaca_eval"], config.judges["demo"]
    asked = most_asked(alpaca, judge)
    reference = load_reference(alpaca.reference)
    known = sum(len((row["instruction"] + row["output"]).encode()) for row in reference)
    assert asked.completion_tokens == 120 * len(reference)
    assert asked.prompt_tokens > known + alpaca.sampling.max_tokens * len(reference)
    longer = alpaca.model_copy(update={"sampling": alpaca.sampling.model_copy(update={"max_tokens": 90})})
    assert most_asked(longer, judge).prompt_tokens == asked.prompt_tokens + 10 * len(reference)
    assert most_asked(alpaca, judge, longer) == most_asked(longer, judge), "of the benchmark whose answers are judged"


def test_every_attempt_of_a_judgment_is_counted(raw):
    config = load_config(raw, [DEMO])
    bench, judge = config.benchmarks["mt_bench"], config.judges["paid"]
    once = most_asked(bench.model_copy(update={"attempts": 1}), judge)
    thrice = most_asked(bench, judge)
    assert once.calls == 2 * len(Path(bench.questions).read_text().splitlines())
    assert (thrice.calls, thrice.prompt_tokens) == (3 * once.calls, 3 * once.prompt_tokens)


def test_published_judgments_are_read_and_ask_nobody():
    content = yaml.safe_load(Path("config/published.yaml").read_text())
    del content["baselines"]["mamba_0_5_dpo_ep1"]["benchmarks"]["mt_bench"]["judgments"]
    config = load_config(json.loads(json.dumps(content)), ["config/published.yaml"])
    rules = {"judge_alpaca_eval": ("alpaca_eval", "alpaca-7b"), "judge_mt_bench": ("mt_bench", "mamba_0_5_dpo_ep3")}
    jobs = [planned_job(rule, name, f"baselines/{baseline}") for rule, (name, baseline) in rules.items()]
    jobs += [planned_job("judge_mt_bench", "mt_bench", "baselines/mamba_0_5_dpo_ep1")]
    jobs += [planned_job("score_mt_bench", "mt_bench"), planned_job("train_adapter", "none")]
    planned = planned_measurements(config, jobs)
    assert planned == Planned(Counter(mt_bench=1), Counter(mt_bench=1))


def test_without_a_sandbox_the_benchmark_is_named(raw, tmp_path, monkeypatch):
    raw["benchmarks"]["code"] = {"kind": "programs", "format": "mbpp", "problems": "mbpp.jsonl"}
    config = load_config(raw, [DEMO])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"benchmarks.code: .*install bubblewrap .*leave code out of experiment.bench"):
        check_sandbox(config, ["code", "code"])
    check_sandbox(config, [])

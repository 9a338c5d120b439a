"""`snakemake prefetch` fetches what the configuration reads, and nothing else."""

from pathlib import Path

import yaml

from isheep.config.loading import load_config
from isheep.config.matrix import Matrix
from isheep.config.needed_files import needed_files
from isheep.fetch.sources import load_sources

EVERY = load_sources("config/sources.yaml").files
FETCHED = "results/fetched"


def needed(file, change=lambda raw: None):
    raw = yaml.safe_load(Path(file).read_text())
    change(raw)
    return set(needed_files(Matrix(load_config(raw, [file])), EVERY))


def test_the_demo_needs_nothing():
    assert needed("config/config.yaml") == set()


def test_published_answers_need_no_seeds_and_no_other_benchmarks_files():
    found = needed("config/published.yaml")
    assert "alpaca_eval/annotations_ae2/alpaca-7b.json" in found
    assert "ifeval/input_data_original_20231107.jsonl" in found, "a file of a task"
    assert {name for name in found if name.startswith("nltk_data/")}
    assert not {name for name in found if name.split("/")[0] in ("self_instruct", "stanford_alpaca", "mbpp")}
    assert "ifeval/input_data.jsonl" not in found


def test_baselines_and_benchmarks_that_take_no_part_need_nothing():
    def leave_out(raw):
        raw["experiment"] |= {"baselines": ["alpaca-7b", "gpt-4"], "benchmarks": ["alpaca_eval"]}

    assert needed("config/published.yaml", leave_out) == {
        "alpaca_eval/model_outputs/gpt4_1106_preview.json",
        "alpaca_eval/annotations_ae2/alpaca-7b.json",
    }


def test_the_paper_needs_its_seeds_and_its_benchmarks_but_no_baselines():
    found = needed("config/paper.yaml")
    assert {"self_instruct/seed_tasks.jsonl", "mt_bench/question.jsonl", "mbpp/mbpp.jsonl"} <= found
    assert not {name for name in found if name.startswith(("mt_bench/model_", "alpaca_eval/annotations_"))}


def test_seeds_prompts_and_templates_are_needed_by_the_recipes_and_models_that_take_part():
    def point(raw):
        raw["instructions"]["seed_tasks"] = f"{FETCHED}/mbpp/mbpp.jsonl"
        raw["assessment"]["prompts"]["combined"]["quality"] = f"{FETCHED}/humaneval/example_problem.jsonl"
        raw["assessment"]["prompts"]["icl"]["quality"] = f"{FETCHED}/mbpp/sanitized-mbpp.json"
        raw["models"]["demo"]["chat_template"] = f"{FETCHED}/ifeval/input_data.jsonl"

    def score_nothing(raw):
        point(raw)
        raw["experiment"]["recipes"] = ["self_instruct"]
        raw["figures"] = {}

    def train_nothing(raw):
        point(raw)
        raw["experiment"]["recipes"] = []

    assert needed("config/config.yaml", train_nothing) == {"ifeval/input_data.jsonl"}
    assert needed("config/config.yaml", score_nothing) == {"ifeval/input_data.jsonl", "mbpp/mbpp.jsonl"}
    loop = {"mbpp/mbpp.jsonl", "humaneval/example_problem.jsonl", "ifeval/input_data.jsonl"}
    assert needed("config/config.yaml", point) == loop

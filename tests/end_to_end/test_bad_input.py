"""Bad input: one clear sentence on standard error, exit status 1, and nothing written."""

import re

import pytest

from isheep.files.records import read_jsonl, unfinished_folder
from workspace import Workspace

CONFIG = "config/config.yaml"
SEEDS = "config/demo/seed_tasks.jsonl"
PROMPT = "config/demo/prompts/assessment/combined_quality.yaml"
META_PROMPT = "config/demo/prompts/meta_prompt.txt"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return Workspace(tmp_path_factory.mktemp("bad"))


def complaint(workspace):
    """The only line on standard error of a run that is refused."""
    run = workspace.snakemake(check=False)
    assert run.returncode == 1
    lines = [line for line in run.stderr.splitlines() if not line.startswith("Using workflow specific profile")]
    assert len(lines) == 1, run.stderr
    assert lines[0].startswith("Error: ")
    assert lines[0].endswith(".")
    assert not (workspace.folder / "results").exists()
    return lines[0]


@pytest.mark.parametrize(
    ("file", "old", "new", "parts"),
    [
        pytest.param(SEEDS, "\n", "\n\n", [SEEDS, "line 2 is empty"], id="empty line in the seeds"),
        pytest.param(SEEDS, "}\n", "\n", [SEEDS, "line 1 is not valid JSON"], id="torn line in the seeds"),
        pytest.param(
            SEEDS,
            '"instruction": "',
            '"instruction": "", "old": "',
            [f'{SEEDS}: line 1: instruction: found "", but it must be', "a seed task is one line such as {"],
            id="seed without instruction",
        ),
        pytest.param(
            CONFIG, "models: [demo] ", "models: [demo ", [f"{CONFIG}: line 8 is not valid YAML ("], id="broken YAML"
        ),
        pytest.param(
            CONFIG,
            "  seeds: [1] ",
            "  name: other\n  seeds: [1] ",
            [f"{CONFIG}: line 9 has the key 'name', which line 6 has already; remove one of them"],
            id="key that stands twice",
        ),
        pytest.param(
            CONFIG,
            "metric: acc,",
            "metric: acc_norm,",
            ["tables.main.columns: found the metric 'acc_norm', but choice reports acc; did you mean 'acc'?"],
            id="metric that the task does not report",
        ),
        pytest.param(
            CONFIG,
            "recipes: [one_base, self_instruct] ",
            "recipes: [self_instruct] ",
            ["figures.figure_3: found the recipe 'one_base'", "leave out the figure (figures: {figure_3: null})"],
            id="figure of a recipe that was removed",
        ),
        pytest.param(
            CONFIG, "models: [demo]", "models: [dem]", [CONFIG, "'dem'", "did you mean 'demo'?"], id="unknown model"
        ),
        pytest.param(
            CONFIG, "recipes: [one_base", "recipes: [onebase", [CONFIG, "did you mean 'one_base'?"], id="unknown recipe"
        ),
        pytest.param(
            CONFIG, "kind: transformers", "kind: transformer", [CONFIG, "engine.kind", "'vllm'"], id="unknown engine"
        ),
        pytest.param(
            CONFIG, "judge: demo\n", "judge: dmo\n", [CONFIG, "'dmo'", "did you mean 'demo'?"], id="unknown judge"
        ),
        pytest.param(
            CONFIG,
            "kind: mt_bench",
            "kind: mtbench",
            [CONFIG, "benchmarks.mt_bench.kind: found 'mtbench'", "alpaca_eval"],
            id="unknown kind of benchmark",
        ),
        pytest.param(
            CONFIG,
            "    annotator: ",
            "    anotator: ",
            [CONFIG, "benchmarks.alpaca_eval", "did you mean 'annotator'?"],
            id="misspelt key of a benchmark",
        ),
        pytest.param(
            CONFIG,
            "mt_bench/questions.jsonl",
            "mt_bench/question.jsonl",
            ["benchmarks.mt_bench.questions", "mt_bench/question.jsonl does not exist"],
            id="benchmark file that does not exist",
        ),
        pytest.param(CONFIG, "threshold: 8", "threshold: 11", [CONFIG, "found 11", "threshold"], id="threshold 11"),
        pytest.param(
            CONFIG, "iterations: 3 ", "iterations: 0 ", [CONFIG, "found 0", "experiment.iterations"], id="no iteration"
        ),
        pytest.param(PROMPT, "{response}", "response", [PROMPT, "{response}"], id="prompt without its placeholder"),
        pytest.param(
            META_PROMPT,
            "{demonstrations}",
            "",
            [META_PROMPT, "{demonstrations}"],
            id="meta-prompt without its placeholder",
        ),
        pytest.param(CONFIG, "shard_size: ", "shardsize: ", [CONFIG, "did you mean 'shard_size'?"], id="misspelt key"),
        pytest.param(
            CONFIG,
            "combined_quality.yaml",
            "combined_qualty.yaml",
            ["combined_qualty.yaml does not exist"],
            id="prompt file that does not exist",
        ),
    ],
)
def test_refused_in_one_sentence(workspace, file, old, new, parts):
    with workspace.changed(file, old, new):
        sentence = complaint(workspace)
    for part in parts:
        assert part in sentence


def test_damaged_base_is_refused_by_its_checksum(workspace):
    weights = workspace.folder / "config/demo/base/model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    run = workspace.snakemake("results/demo/demo/weights", check=False)
    weights.write_bytes(content)
    assert run.returncode == 1
    assert "config/demo/base/model.safetensors: expected sha256" in run.stdout + run.stderr
    assert not (workspace.folder / "results/demo/demo/weights").exists()


def test_too_few_instructions_say_what_removed_the_rest_and_what_to_change_and_leave_it_to_look_at(workspace):
    with workspace.changed(CONFIG, "prompts_per_shard: ", "prompts_per_shard: 1  # "):
        run = workspace.snakemake("results/demo/demo/seed1/base/instructions/shard0.jsonl", check=False)
    assert run.returncode == 1
    output = run.stdout + run.stderr
    assert "of 400 instructions found" in output
    assert "raise instructions.max_prompts_per_shard" in output
    home = workspace.folder / "results/demo/demo/seed1/base"
    assert unfinished_folder(home / "continuations/shard0.jsonl").exists(), "what was paid for is kept"
    left = re.search(r"rejected candidates are in (\S+)\.", output)[1]
    assert all(row["reason"] for row in read_jsonl(workspace.folder / left))
    assert not (home / "instructions/shard0.jsonl").exists()

"""What `snakemake --profile slurm` asks for, as the Slurm plugin writes it, with 1.8, 14 and 72 billion parameters."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workspace import ROOT, Workspace

INSTALLED = importlib.util.find_spec("snakemake_executor_plugin_slurm") is not None
SLURM_ENVIRONMENT = Path(os.environ.get("ISHEEP_SLURM_ENVIRONMENT", ROOT / ".venv-slurm"))
PYTHON = Path(sys.executable) if INSTALLED else SLURM_ENVIRONMENT / "bin/python"
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="no Slurm plugin of Snakemake: make .venv-slurm/ready")

MODELS = ("1.8b", "14b", "72b")
BENCHMARKS = ("ifeval", "alpaca_eval", "mt_bench", "opencompass_humaneval")
RESULTS = "results/paper/qwen1.5-"
TARGETS = [
    *(
        f"{RESULTS}{model}/seed1/one_base/iter1/benchmarks/{name}/result.json"
        for model in MODELS
        for name in BENCHMARKS
    ),
    *(f"{RESULTS}{model}/seed1/density_perplexity/iter1/training_set.jsonl" for model in MODELS),
    *(f"{RESULTS}{model}/seed1/one_base/iter1/weights" for model in MODELS),
    f"{RESULTS}1.8b/seed1/all_weights/iter1/weights",
    f"{RESULTS}14b/seed1/all_weights/iter1/weights",
]
MORE = """
models:
  qwen1.5-1.8b: {recipes: [one_base, all_weights]}
  qwen1.5-14b: {recipes: [one_base, all_weights]}
recipes:
  all_weights: {extends: one_base, training: {method: full}}
"""
OWN_JUDGES = """
judges: {large: {model: qwen1.5-72b, chat: true}, middle: {model: qwen1.5-14b, chat: true}}
benchmarks: {alpaca_eval: {judge: large}, mt_bench: {judge: middle}}
"""

# Minutes, MiB and GPUs of each rule, by model. 72B writes on all 8 GPUs of a node and is trained cut over them.
SHARD = {"1.8b": (33, 11625, 1), "14b": (157, 34895, 1), "72b": (198, 174193, 8)}
BENCHMARK = {"1.8b": (24, 11625, 1), "14b": (87, 34895, 1), "72b": (111, 174193, 8)}
REQUESTS = {
    "write_instructions": {"1.8b": (18, 11625, 1), "14b": (38, 34895, 1), "72b": (50, 174193, 8)},
    "write_responses": SHARD,
    "assess_pairs": SHARD,
    "measure_perplexity": SHARD,
    "embed_pairs": SHARD,
    "train_adapter": {"1.8b": (17, 40297, 8), "14b": (34, 63567, 8), "72b": (114, 179686, 8)},
    "train_all_weights": {"1.8b": (17, 43730, 8), "14b": (34, 250487, 8)},
    "measure": BENCHMARK,
    "answer_alpaca_eval": BENCHMARK,
    "answer_mt_bench": BENCHMARK,
    "write_programs": BENCHMARK,
}
MERGING = {"1.8b": (16, 8216, 0), "14b": (24, 36139, 0), "72b": (60, 168891, 0)}
LOCAL = {
    *("select_instructions", "filter_responses", "select_pairs", "score_alpaca_eval", "score_mt_bench"),
    *("fetch_file", "fetch_hub"),
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("requests"), "config/paper.yaml", "more.yaml")
    shutil.copytree(ROOT / "slurm", workspace.folder / "slurm", symlinks=True, dirs_exist_ok=True)
    (workspace.folder / "more.yaml").write_text(MORE)
    return workspace


def requests(workspace: Workspace, attempt: int = 1, targets: list[str] = TARGETS) -> dict[str, dict[str, set]]:
    """What a dry run would submit: rule -> model -> requests (minutes, MiB, GPUs); None for a local job."""
    file = workspace.folder / "requests.jsonl"
    file.unlink(missing_ok=True)
    run = subprocess.run(
        [
            *(PYTHON, ROOT / "tests/sbatch_requests.py", file, str(attempt)),
            *("--dry-run", "--quiet", "all", "--profile", "slurm", "--configfile", *workspace.configfiles),
            *("--software-deployment-method", "env-modules"),  # a dry run with conda needs conda
            *("--", *targets),
        ],
        cwd=workspace.folder,
        env=workspace.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = {}
    for job in map(json.loads, file.read_text().splitlines()):
        model = next((model for model in MODELS if job["outputs"][0].startswith(f"{RESULTS}{model}/")), "")
        found.setdefault(job["rule"], {}).setdefault(model, set()).add(request(job["sbatch"]))
    return found


def request(sbatch: str | None) -> tuple[int, int, int] | None:
    """Minutes, MiB and GPUs of a command, all on one node."""
    if sbatch is None:
        return None
    assert " --nodes=1 " in sbatch, "or Slurm may collect the GPUs from several nodes"
    minutes, memory = (int(re.search(rf" {flag} (\d+) ", sbatch)[1]) for flag in ("-t", "--mem"))
    found = re.search(r" --gpus=(?:[\w.]+:)?(\d+)$", sbatch)
    gpus = int(found[1]) if found else 0
    assert (" --cpus-per-gpu=6" if gpus else " --cpus-per-task=1") in sbatch
    return minutes, memory, gpus


def test_every_gpu_rule_asks_for_what_its_model_needs(workspace):
    asked = requests(workspace)
    for rule, by_model in REQUESTS.items():
        assert asked[rule] == {model: {expected} for model, expected in by_model.items()}, rule
    assert asked["merge_adapter"] == {model: {expected} for model, expected in MERGING.items()}
    for model in MODELS:
        [(minutes, *_)] = asked["base_from_hub"][model]
        assert minutes == MERGING[model][0], "as many weights are read and written"
    assert {request[0] for request in asked["run_programs"]["72b"]} == {65}, "1,000 programs, half of them for 3 s"
    for rule in LOCAL | {"judge_alpaca_eval", "judge_mt_bench"}:
        assert set().union(*asked[rule].values()) == {None}, f"{rule} runs where Snakemake does"
    for rule in ("base_from_hub", "cluster_pairs", "run_programs"):
        assert not any(gpus for _, _, gpus in set().union(*asked[rule].values())), f"{rule} has no model on a GPU"
    with_gpus = {
        rule for rule, by_model in asked.items() if any(one and one[2] for one in set().union(*by_model.values()))
    }
    assert with_gpus == set(REQUESTS)


def test_a_judge_of_our_own_gets_its_own_gpus(workspace):
    with workspace.changed("more.yaml", MORE, MORE + OWN_JUDGES):
        asked = requests(
            workspace, targets=[target for target in TARGETS if "_eval/" in target or "mt_bench/" in target]
        )
    assert asked["judge_alpaca_eval"] == {model: {BENCHMARK["72b"]} for model in MODELS}
    assert asked["judge_mt_bench"] == {model: {BENCHMARK["14b"]} for model in MODELS}


def test_the_rules_with_gpus_are_all_here():
    """A rule that gets GPUs has to be added to REQUESTS, or to the judges above."""
    rules = re.split(
        r"^(?:use )?rule ", "\n".join(path.read_text() for path in Path("rules").glob("*.smk")), flags=re.M
    )
    with_gpus = {re.match(r"\w+", text)[0] for text in rules[1:] if re.search(r"^        gpu=", text, flags=re.M)}
    reference = {"embed_reference"}
    assert with_gpus - reference == (set(REQUESTS) | {"judge_alpaca_eval", "judge_mt_bench"}) - {"train_all_weights"}


def test_a_second_attempt_gets_twice_the_memory_and_time(workspace):
    targets = [f"{RESULTS}{model}/seed1/one_base/iter1/adapter" for model in MODELS]
    first, second = (requests(workspace, attempt, targets) for attempt in (1, 2))
    for rule in ("write_responses", "assess_pairs", "train_adapter"):
        for model in MODELS:
            [(minutes, memory, gpus)], [(more_minutes, more_memory, same_gpus)] = (
                first[rule][model],
                second[rule][model],
            )
            assert more_minutes == pytest.approx(2 * minutes, abs=1)
            assert more_memory == pytest.approx(2 * memory, abs=1)
            assert same_gpus == gpus


def test_a_model_that_fits_nowhere_is_refused_at_the_start(workspace):
    small = Workspace(workspace.folder / "small", "config/paper.yaml", "small.yaml")
    (small.folder / "small.yaml").write_text("hardware: {gpus_per_node: 8, gpu_memory_gib: 24}\n")
    run = small.snakemake("--dry-run", f"{RESULTS}72b/seed1/one_base/iter1/adapter", check=False)
    assert run.returncode == 1
    said = (run.stdout + run.stderr).splitlines()
    [error] = [line for line in said if line.startswith("Error: ")]
    assert error.startswith(
        "Error: models.qwen1.5-72b: 72 billion parameters take 134 GiB, 298 GiB with their key-value cache, but a node "
        "has 8 × 24 GiB, 22 of each usable; "
    )
    assert not any("Traceback" in line for line in said)

"""A job that fails, at any stage and in any way: the next plain run makes what an undisturbed one would have made.

In every run of the tests, one run is disturbed again and again: from the first stage to the last, a setting is changed,
the job that it changes fails in one way, and a plain run follows. What is left out of date by one step stays so, and is
seen at the end: a run that was never disturbed, with all the changes, must have made the same files.

`make test-failures` lets the job of each stage fail in each way, and compares after each plain run.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from isheep.engine.engine import Completion
from isheep.files.records import read_jsonl, write_jsonl
from judge_server import JudgeServer
from workspace import ROOT, Workspace

pytestmark = pytest.mark.end_to_end

QUESTIONS = 4


def configuration(url: str) -> dict:
    """The demo with one iteration, one table, and a judge behind an API."""
    shown = {"model": "demo", "label": "base"}
    return {
        "experiment": {"name": "disturbed", "recipes": ["one_base"], "iterations": 1, "benchmarks": None},
        "runtime": {"judge_attempts": 1, "judge_concurrency": 1},
        "instructions": {"shard_size": 40, "prompts_per_shard": 30, "filters": {"near_duplicate_threshold": 0.9}},
        "responses": {"sampling": {"temperature": 1.0}, "rules": {}},
        "assessment": {"sampling": {"max_tokens": 40}},
        "recipes": {
            "one_base": {
                "instructions": 40,
                "selection": {"criteria": ["quality"], "threshold": 6},
                "training": {"epochs": 1, "learning_rate": 0.001},
            }
        },
        "judges": {"api": {"api": {"model": "judge-1", "base_url": url, "key_variable": "JUDGE_KEY"}}},
        "benchmarks": {
            "choice": {"limit": 20},
            "mt_bench": {
                **{"questions": "questions.jsonl", "references": None, "reference_categories": []},
                **{"judge": "api", "max_tokens": 40, "judge_sampling": {"top_logprobs": 0}},
            },
        },
        "tables": {
            "main": {
                "caption": "One.",
                "columns": [
                    {"benchmark": "choice", "metric": "acc", "label": "choice"},
                    {"benchmark": "mt_bench", "metric": "average", "label": "MT-Bench", "percent": False},
                ],
                "rows": [shown | {"columns": []}, shown | {"recipe": "one_base", "iterations": [1], "label": "iter1"}],
            }
        },
        "figures": {"figure_3": None},
    }


@dataclass(frozen=True)
class Step:
    """A change, and how the job that it changes then fails."""

    rule: str
    """The rule whose job fails."""
    change: tuple[str, ...]
    """Keys of the configuration, and their new value at the end."""
    fails: Callable[["Disturbed", "Step"], None]
    """Lets it fail."""


class Disturbed:
    """A workspace whose configuration is changed step by step."""

    def __init__(self, folder: Path, server: JudgeServer, path: str):
        self.server = server
        self.workspace = Workspace(folder, "config/config.yaml", "disturbed.yaml")
        self.workspace.variables["PATH"] = path
        questions = read_jsonl(ROOT / "config/demo/mt_bench/questions.jsonl")[:QUESTIONS]
        write_jsonl(folder / "questions.jsonl", questions)
        self.content = configuration(server.url)
        self.write()

    def change(self, step: Step) -> None:
        """Give one key of the configuration its new value."""
        *keys, last, value = step.change
        place = self.content
        for key in keys:
            place = place[key]
        place[last] = value
        self.write()

    def results_of(self, other: "Disturbed") -> None:
        """Take over what another run has made, and what Snakemake knows of it."""
        for part in ("results", ".snakemake"):
            shutil.copytree(other.workspace.folder / part, self.workspace.folder / part)

    def write(self) -> None:
        (self.workspace.folder / "disturbed.yaml").write_text(yaml.safe_dump(self.content))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        """Start a run that the test disturbs."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        return subprocess.Popen(
            [*command, "--configfile", *self.workspace.configfiles],
            cwd=self.workspace.folder,
            env=self.workspace.environment() | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @contextmanager
    def program(self, step: Step, text: str):
        """Put other lines in the place of the program that the step's rule runs."""
        name = {"train_all_weights": "train", "collect_scores_of_table": "collect_scores"}.get(step.rule, step.rule)
        path = self.workspace.folder / f"scripts/{name}.py"
        written = path.read_text()
        path.write_text(text)
        yield
        path.write_text(written)

    def files(self) -> dict[str, bytes]:
        """Every result but logs and times, by its path."""
        folder = self.workspace.folder / "results/disturbed"
        paths = [
            path
            for path in folder.rglob("*")
            if path.is_file() and "logs" not in path.parts and path.name != "times.js"
        ]
        return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


# --- ways of failing


def by_an_error(run: Disturbed, step: Step) -> None:
    with run.program(step, "import sys\nsys.exit('Error: a defect.')\n"):
        assert run.workspace.snakemake(check=False).returncode == 1


def by_a_kill_of_the_job(run: Disturbed, step: Step) -> None:
    with run.program(step, "import os\nos.kill(os.getpid(), 9)\n"):
        assert run.workspace.snakemake(check=False).returncode == 1


def by_a_signal(number: int) -> Callable[[Disturbed, Step], None]:
    """The workflow gets this signal while the job runs; where the job outlives it, it is killed later."""

    def fail(run: Disturbed, step: Step) -> None:
        started = run.workspace.folder / "started"
        waits = f"import os, time\nopen({str(started)!r}, 'w').write(str(os.getpid()))\ntime.sleep(6)\nos._exit(1)\n"
        with run.program(step, waits):
            workflow = run.start()
            while not started.exists() or not started.read_text():
                assert workflow.poll() is None, workflow.stdout.read()
                time.sleep(0.05)
            workflow.send_signal(number)
            workflow.communicate()
            with suppress(ProcessLookupError):
                os.kill(int(started.read_text()), signal.SIGKILL)
        started.unlink()

    fail.__name__ = f"by_{signal.Signals(number).name}"
    return fail


def by_a_missing_key(run: Disturbed, step: Step) -> None:
    workflow = run.start(JUDGE_KEY="")
    said, _ = workflow.communicate()
    assert workflow.returncode == 1
    assert "JUDGE_KEY" in said


def by_a_judge_that_dies(run: Disturbed, step: Step) -> None:
    before = run.server.answered.total()
    run.server.fault = lambda prompt, times: "500" if run.server.answered.total() > before + 1 else None
    assert run.workspace.snakemake(check=False).returncode == 1
    run.server.fault = lambda prompt, times: None


def by_ending_before_it(run: Disturbed, step: Step) -> None:
    run.workspace.snakemake("--omit-from", step.rule)


def by_ending_at_it(run: Disturbed, step: Step) -> None:
    run.workspace.snakemake("--until", step.rule)


STEPS = [
    Step("write_instructions", ("instructions", "prompts_per_shard", 29), by_a_signal(signal.SIGTERM)),
    Step("select_instructions", ("instructions", "filters", "near_duplicate_threshold", 0.85), by_a_kill_of_the_job),
    Step("write_responses", ("responses", "sampling", "temperature", 0.9), by_an_error),
    Step("filter_responses", ("responses", "rules", {"none": False}), by_a_signal(signal.SIGKILL)),
    Step("assess_pairs", ("assessment", "sampling", "max_tokens", 39), by_a_kill_of_the_job),
    Step("select_pairs", ("recipes", "one_base", "selection", "threshold", 5), by_a_signal(signal.SIGINT)),
    Step("train_all_weights", ("recipes", "one_base", "training", "learning_rate", 0.002), by_a_kill_of_the_job),
    Step("train_all_weights", ("recipes", "one_base", "training", "epochs", 2), by_ending_before_it),
    Step("measure", ("benchmarks", "choice", "limit", 19), by_an_error),
    Step("answer_mt_bench", ("benchmarks", "mt_bench", "max_tokens", 39), by_ending_at_it),
    Step("judge_mt_bench", ("judges", "api", "api", "model", "judge-2"), by_a_missing_key),
    Step("judge_mt_bench", ("judges", "api", "api", "model", "judge-3"), by_a_judge_that_dies),
    Step("score_mt_bench", ("judges", "api", "api", "model", "judge-4"), by_an_error),
    Step("collect_scores_of_table", ("judges", "api", "api", "model", "judge-5"), by_a_kill_of_the_job),
    Step("make_table", ("tables", "main", "caption", "Two."), by_an_error),
]
"""From the first stage to the last."""

CHANGES = {step.rule: step.change for step in reversed(STEPS)}
"""For each stage a change."""
WAYS = (
    by_an_error,
    by_a_kill_of_the_job,
    by_a_signal(signal.SIGTERM),
    by_a_signal(signal.SIGKILL),
    by_a_signal(signal.SIGINT),
)
WAYS_TO_END = (by_ending_before_it, by_ending_at_it)
WAYS_OF_A_JUDGE = (by_a_missing_key, by_a_judge_that_dies)


def rating(request) -> Completion:
    return Completion(request.id, "Fine. Rating: [[7]]", "stop", 10, 5)


@pytest.fixture(scope="module")
def judge():
    os.environ["JUDGE_KEY"] = "key-of-the-test"
    with JudgeServer(answer=rating) as server:
        yield server
    del os.environ["JUDGE_KEY"]


@pytest.fixture(scope="module")
def disturbed(judge, preloaded_path, tmp_path_factory) -> Disturbed:
    """A workspace that went through all steps."""
    run = Disturbed(tmp_path_factory.mktemp("disturbed"), judge, preloaded_path)
    run.workspace.snakemake()
    for step in STEPS:
        run.change(step)
        step.fails(run, step)
        run.workspace.snakemake()
    return run


def test_a_plain_run_after_any_failure_makes_what_an_undisturbed_one_makes(disturbed, judge, preloaded_path, tmp_path):
    undisturbed = Disturbed(tmp_path / "undisturbed", judge, preloaded_path)
    undisturbed.content = disturbed.content
    undisturbed.write()
    undisturbed.workspace.snakemake()
    expected, found = undisturbed.files(), disturbed.files()
    assert found.keys() == expected.keys()
    assert [path for path in expected if found[path] != expected[path]] == []
    assert disturbed.workspace.jobs() == {}


def test_a_file_that_was_deleted_in_the_middle_is_made_again_also_for_one_table(disturbed):
    expected = disturbed.files()
    home = disturbed.workspace.folder / "results/disturbed/demo/seed1/one_base/iter1/benchmarks/mt_bench"
    (home / "judgments.jsonl").unlink()
    disturbed.workspace.snakemake("results/disturbed/tables/main.csv")
    assert disturbed.files() == expected


def test_a_score_of_other_settings_is_refused_even_where_snakemake_does_not_look(disturbed):
    place = disturbed.content["judges"]["api"]["api"]
    before, place["model"] = place["model"], "judge-6"
    disturbed.write()
    run = disturbed.workspace.snakemake("-R", "collect_scores_of_table", "--rerun-triggers", "mtime", check=False)
    place["model"] = before
    disturbed.write()
    assert run.returncode == 1
    assert 'judge.api.model "judge-5", but "judge-6" is configured' in run.stdout + run.stderr
    assert "mt_bench of demo one_base/iter1 (seed 1)" in run.stdout + run.stderr
    assert "Not made again, and so out of date in results/disturbed/tables: main." in run.stdout + run.stderr


@pytest.fixture(scope="module")
def unchanged(judge, preloaded_path, tmp_path_factory) -> Disturbed:
    """An undisturbed run."""
    run = Disturbed(tmp_path_factory.mktemp("unchanged"), judge, preloaded_path)
    run.workspace.snakemake()
    return run


@pytest.mark.failures
@pytest.mark.parametrize("rule", CHANGES)
def test_each_stage_fails_in_each_way(rule, unchanged, judge, preloaded_path, tmp_path):
    undisturbed, run = (Disturbed(tmp_path / name, judge, preloaded_path) for name in ("undisturbed", "run"))
    there, back = Step(rule, CHANGES[rule], by_an_error), Step(rule, former(CHANGES[rule]), by_an_error)
    undisturbed.change(there)
    undisturbed.workspace.snakemake()
    steps, expected = (there, back), (undisturbed.files(), unchanged.files())
    run.results_of(unchanged)
    ways = [*WAYS, *WAYS_TO_END, *(WAYS_OF_A_JUDGE if rule == "judge_mt_bench" else ())]
    for number, way in enumerate(ways):
        step, wanted = steps[number % 2], expected[number % 2]
        run.change(step)
        way(run, step)
        run.workspace.snakemake()
        found = run.files()
        differing = [path for path in wanted | found if found.get(path) != wanted.get(path)]
        assert differing == [], (rule, way.__name__)
        assert run.workspace.jobs() == {}, (rule, way.__name__)


def former(change: tuple[str, ...]) -> tuple[str, ...]:
    """The change that takes one back."""
    *keys, _ = change
    place = configuration("")
    for key in keys:
        place = place[key]
    return (*keys, place)

"""HumanEval, HumanEval+ and MBPP: the published numbers and prompts, and what is said of bad files."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from isheep.benchmarks.programs import (
    TIME_LIMITS,
    Problem,
    ProgramsSettings,
    Sample,
    code_of_answer,
    find_shots,
    pass_at_k,
    protocol_sampling,
    published_samples_note,
    question,
    read_problems,
    read_samples,
    require_enough_samples,
    require_modules,
    run_samples,
    scores,
    select_problems,
)
from isheep.benchmarks.sandbox import Limits, Sandbox
from isheep.benchmarks.settings import LmEvalSettings
from isheep.files.records import InputError, read_jsonl, unfinished_folder, write_jsonl

LIMITS = Limits(cpu_seconds=TIME_LIMITS["humaneval"], memory_mib=1024)
MBPP_LIMITS = Limits(cpu_seconds=TIME_LIMITS["mbpp"], memory_mib=1024)
HUMANEVAL_ROW = {
    "task_id": "Tiny/0",
    "prompt": "def twice(x):\n",
    "entry_point": "twice",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
}
MBPP_ROW = {
    "task_id": 1,
    "text": "Double a number.",
    "code": "def twice(x):\r\n  return 2 * x",
    "test_setup_code": "two = 2",
    "test_list": ["assert twice(two) == 4", "assert twice(0) == 0"],
    "challenge_test_list": [],
}
PLUS_TEST = """

import numpy as np

def assertion(out, expected, tolerance):
    np.testing.assert_allclose(out, expected, atol=tolerance)

def check(candidate):
    for given, expected in zip({inputs}, {results}):
        assertion(candidate(*given), expected, 1e-6)
"""
PLUS_ROWS = [
    {
        "task_id": "HumanEval/0",
        "prompt": 'def half(x: float) -> float:\n    """Half of a number."""\n',
        "canonical_solution": "    return x / 2\n",
        "entry_point": "half",
        "test": PLUS_TEST.format(inputs=[[1], [3.0], [-5]], results=[0.5, 1.5, -2.5]),
    },
    {
        "task_id": "HumanEval/1",
        "prompt": 'def squares(numbers: list) -> list:\n    """The square of each number."""\n',
        "canonical_solution": "    return [number**2 for number in numbers]\n",
        "entry_point": "squares",
        "test": PLUS_TEST.format(inputs=[[[]], [[1, -2]], [[0.1]]], results=[[], [1, 4], [0.01]]),
    },
]
"""Problems in HumanEval+'s form: many inputs, compared by numpy."""
SETTINGS = {"kind": "programs", "format": "humaneval", "problems": "problems.jsonl"}


class CountingSandbox(Sandbox):
    """Passes programs with the word `good`, breaks on `broken`, and counts what it runs."""

    kind = "counting"
    identity = command = environment = packages = None

    def __init__(self):
        super().__init__("nothing")
        self.ran = []

    def run(self, program: str, limits: Limits) -> str:
        if "broken" in program:
            raise InputError("the sandbox broke")
        self.ran.append(program)
        return "passed" if "good" in program else "timed out"


def write_problems(path: Path, *rows: dict) -> Path:
    write_jsonl(path, rows)
    return path


def count_passed(problems, completions, sandbox, folder, limits=LIMITS) -> int:
    samples = [Sample(problem.id, 0, text) for problem, text in zip(problems, completions, strict=True)]
    outcomes = run_samples(samples, problems, sandbox, limits, 2, folder)
    return sum(outcome.passed for outcome in outcomes)


# Published numbers.


def test_humaneval_solutions_pass_and_empty_bodies_fail(published_data, sandbox, tmp_path):
    problems = read_problems(published_data / "humaneval/HumanEval.jsonl.gz", "humaneval")
    require_modules(problems, sandbox)
    assert len(problems) == 164
    assert count_passed(problems, [problem.solution for problem in problems], sandbox, tmp_path / "solutions") == 164
    assert count_passed(problems, ["    pass\n"] * 164, sandbox, tmp_path / "empty") == 0


def test_humaneval_samples_get_their_published_flags(published_data, sandbox, tmp_path):
    problems = read_problems(published_data / "humaneval/HumanEval.jsonl.gz", "humaneval")
    path = published_data / "humaneval/scored_samples/samples8_results.jsonl"
    outcomes = run_samples(read_samples(path, problems), problems, sandbox, LIMITS, 2, tmp_path)
    assert {row.task_id: row.passed for row in outcomes} == {row["task_id"]: row["passed"] for row in read_jsonl(path)}
    assert scores(outcomes, [1])[0]["value"] == 85 / 164


@pytest.mark.parametrize(("file", "count"), [("mbpp.jsonl", 974), ("sanitized-mbpp.json", 427)])
def test_mbpp_reference_code_passes(published_data, sandbox, tmp_path, file, count):
    problems = read_problems(published_data / "mbpp" / file, "mbpp")
    require_modules(problems, sandbox)
    assert len(problems) == count
    solutions = [problem.solution for problem in problems]
    assert count_passed(problems, solutions, sandbox, tmp_path, MBPP_LIMITS) == count


def test_example_samples_through_the_programs(published_data, sandbox, tmp_path):
    folder = published_data / "humaneval"
    problems = ["--problems", folder / "example_problem.jsonl", "--format", "humaneval"]
    samples, items, result = tmp_path / "samples.jsonl", tmp_path / "items.jsonl", tmp_path / "result.json"
    by = tmp_path / "answered_by.json"
    call(
        "write_programs.py",
        "--take",
        folder / "example_samples.jsonl",
        *problems,
        "--samples",
        samples,
        "--answered-by",
        by,
    )
    options = [
        "--benchmark",
        "example",
        "--written",
        "published",
        "--k",
        "1",
        "--threads",
        "2",
    ]
    call(
        "run_programs.py",
        *problems,
        *options,
        "--answered-by",
        by,
        "--samples",
        samples,
        "--items",
        items,
        "--result",
        result,
    )

    assert [row["passed"] for row in read_jsonl(items)] == [False, False, False, True, True, True]
    assert [row["sample"] for row in read_jsonl(items)] == [0, 1, 2, 3, 4, 5]
    assert read_jsonl(items)[1]["result"] == "timed out"
    record = json.loads(result.read_text())
    score = {"metric": "pass@1", "value": 0.5, "standard_error": None, "n": 1, "n_valid": 1}
    assert record["scores"] == [score]
    assert record["notes"][-1] == "3 samples of each problem, 2 of all 6 the same as an earlier one."
    assert not unfinished_folder(items).exists()


def call(name: str, *arguments: object, fails: bool = False) -> str:
    """Run a program and return what it printed last on standard error."""
    command = [sys.executable, f"scripts/{name}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr


def lm_eval_task(folder: str, name: str) -> dict:
    """A task's settings as lm-eval ships them."""
    return read_task(Path(pytest.importorskip("lm_eval").__file__).parent / "tasks" / folder / f"{name}.yaml")


def read_task(path: Path) -> dict:
    """The settings in a task's file, above those that it includes."""
    yaml = pytest.importorskip("yaml")

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: node.value)
    task = yaml.load(path.read_text(), Loader)
    return (read_task(path.parent / task["include"]) if "include" in task else {}) | task


def test_humaneval_prompts_are_lm_evals(published_data):
    jinja2 = pytest.importorskip("jinja2")
    raw, chat = lm_eval_task("humaneval", "humaneval"), lm_eval_task("humaneval", "humaneval_instruct")
    render = jinja2.Environment(keep_trailing_newline=True).from_string
    path = published_data / "humaneval/HumanEval.jsonl.gz"
    with gzip.open(path, "rt") as file:
        rows = [json.loads(line) for line in file]
    for problem, row in zip(read_problems(path, "humaneval"), rows, strict=True):
        assert question(problem, [], "humaneval", chat=False) == render(raw["doc_to_text"]).render(row)
        assert question(problem, [], "humaneval", chat=True) == render(chat["doc_to_text"]).render(row)
    settings = raw["generation_kwargs"]
    sampling = protocol_sampling("humaneval", chat=False)
    assert (sampling.stop, sampling.max_tokens) == (tuple(settings["until"]), settings["max_gen_toks"])
    assert sampling.temperature == 0


def test_mbpp_prompts_are_lm_evals(published_data):
    jinja2 = pytest.importorskip("jinja2")
    task = lm_eval_task("mbpp", "mbpp")
    render = jinja2.Environment(keep_trailing_newline=True).from_string
    text, target = render(task["doc_to_text"]), render(task["doc_to_target"])
    path = published_data / "mbpp/mbpp.jsonl"
    rows = {row["task_id"]: row for row in read_jsonl(path)}
    shown = "".join(text.render(rows[n]) + target.render(rows[n], is_fewshot=True) + "\n\n" for n in (2, 3, 4))
    problems = read_problems(path, "mbpp")
    asked = select_problems(problems, (11, 510))
    shots = find_shots(problems, (2, 3, 4), asked)
    assert len(asked) == 500
    for problem in asked:
        assert question(problem, shots, "mbpp", chat=False) == shown + text.render(rows[problem.id])
    assert protocol_sampling("mbpp", chat=False).stop == tuple(task["generation_kwargs"]["until"])


# HumanEval+.


def test_solutions_compared_by_numpy_pass_and_wrong_programs_fail(sandbox, tmp_path):
    problems_file = write_problems(tmp_path / "plus.jsonl", *PLUS_ROWS)
    taken, samples, by = tmp_path / "taken.jsonl", tmp_path / "samples.jsonl", tmp_path / "by.json"
    items, result = tmp_path / "items.jsonl", tmp_path / "result.json"
    programs = [row["canonical_solution"] for row in PLUS_ROWS]
    wrong = ["    return x // 2\n", "    return [number * 2 for number in numbers]\n"]
    ids = [row["task_id"] for row in PLUS_ROWS] * 2
    rows = [{"task_id": id, "completion": text} for id, text in zip(ids, programs + wrong, strict=True)]
    write_jsonl(taken, rows)
    problems = ["--problems", problems_file, "--format", "humaneval", "--samples", samples, "--answered-by", by]
    call("write_programs.py", "--take", taken, *problems)
    running = ["--benchmark", "tiny", "--written", "published", "--items", items, "--result", result]
    call("run_programs.py", *problems, *running, "--k", 1, "--time-limit", 20)

    assert [row["passed"] for row in read_jsonl(items)] == [True, False, True, False]
    assert all("AssertionError" in row["result"] for row in read_jsonl(items) if not row["passed"])
    record = json.loads(result.read_text())
    assert record["scores"][0]["value"] == 0.5
    assert record["limits"]["cpu_seconds"] == 20


def test_the_suites_humaneval_plus_has_time_for_its_many_tests():
    assert ProgramsSettings(**suite()["humaneval_plus"]).time_limit > TIME_LIMITS["humaneval"]


# The suite's metrics.


def suite() -> dict:
    """The benchmarks of config/suite.yaml."""
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(Path("config/suite.yaml").read_text())["benchmarks"]


@pytest.mark.parametrize(
    ("benchmark", "folder", "name"),
    [
        ("boolq", "super_glue/boolq", "default"),
        ("piqa", "piqa", "piqa"),
        ("social_iqa", "siqa", "siqa"),
        ("gpqa_diamond", "gpqa/zeroshot", "gpqa_diamond_zeroshot"),
        ("hellaswag", "hellaswag", "hellaswag"),
        ("winogrande", "winogrande", "default"),
        ("arc_easy", "arc", "arc_easy"),
        ("arc_challenge", "arc", "arc_challenge"),
        ("openbookqa", "openbookqa", "openbookqa"),
        ("commonsense_qa", "commonsense_qa", "default"),
        ("mmlu", "mmlu/default", "_mmlu"),
        ("nq_open", "nq_open", "nq_open"),
        ("triviaqa", "triviaqa", "default"),
    ],
)
def test_the_suites_metrics_are_those_that_lm_eval_reports(benchmark, folder, name):
    settings, task = suite()[benchmark], lm_eval_task(folder, name)
    assert settings["task"] == task.get("group", task["task"])
    assert settings["metrics"] == reported_metrics(task)


def test_the_metrics_of_the_suites_own_task_files():
    benchmarks = suite()
    assert benchmarks["ifeval"]["metrics"] == reported_metrics(read_task(Path("config/tasks/ifeval.yaml")))
    published = pytest.importorskip("lm_eval.tasks.squadv2.task").SQuAD2
    assert benchmarks["squadv2"]["metrics"] == list(published.aggregation(None))


def test_every_lm_eval_entry_of_the_suite_says_its_metrics():
    settings = {name: LmEvalSettings(**entry) for name, entry in suite().items() if entry["kind"] == "lm_eval"}
    assert len(settings) == 15
    assert [name for name, entry in settings.items() if not entry.metrics] == []


def reported_metrics(task: dict) -> list[str]:
    """The metrics in a task's or group's settings, under the names that they have in a result record."""
    metrics = [entry["metric"] for entry in task.get("metric_list", task.get("aggregate_metric_list"))]
    filters = [entry["name"] for entry in task.get("filter_list", [{"name": "none"}])]
    return [metric if name == "none" else f"{metric},{name}" for name in filters for metric in metrics]


# Rules.


def test_what_is_run_for_a_completion(tmp_path):
    (problem,) = read_problems(write_problems(tmp_path / "he.jsonl", HUMANEVAL_ROW), "humaneval")
    assert problem.program("    return 4\n") == (
        "def twice(x):\n    return 4\n\ndef check(candidate):\n    assert candidate(2) == 4\n\ncheck(twice)"
    )
    (problem,) = read_problems(write_problems(tmp_path / "mbpp.jsonl", MBPP_ROW), "mbpp")
    assert problem.program("CODE") == "CODE\ntwo = 2\nassert twice(two) == 4\nassert twice(0) == 0"
    sanitized = {"task_id": 1, "prompt": "Double.", "code": "x", "test_list": ["T"], "test_imports": ["import math"]}
    (problem,) = read_problems(write_problems(tmp_path / "sanitized.jsonl", sanitized), "mbpp")
    assert problem.program("CODE") == "import math\nCODE\nT"


def test_a_chats_code_is_its_first_block():
    assert code_of_answer("Sure:\n```python\ndef f():\n    return 1\n```\nor\n```\nno\n```") == "def f():\n    return 1"
    assert code_of_answer("```\n    return 1") == "    return 1"
    assert code_of_answer("    return 1\n") == "    return 1\n"
    assert code_of_answer("[BEGIN]\ndef f(): pass\n") == "def f(): pass\n"
    assert protocol_sampling("humaneval", chat=True).stop == ()


def test_pass_at_k_is_the_share_of_draws_with_a_passing_sample():
    assert pass_at_k(6, 3, 1) == 0.5
    assert pass_at_k(3, 1, 2) == pytest.approx(2 / 3)
    assert pass_at_k(5, 0, 3) == 0
    assert pass_at_k(5, 3, 3) == 1


def test_scores_average_over_problems(tmp_path):
    problems = [Problem(f"T/{n}", "", "", "", "") for n in range(3)]
    samples = [Sample("T/0", 0, "good"), Sample("T/0", 1, "bad"), Sample("T/1", 0, "good"), Sample("T/1", 1, "good")]
    samples += [Sample("T/2", 0, "bad"), Sample("T/2", 1, "bad")]
    outcomes = run_samples(samples, problems, CountingSandbox(), LIMITS, 2, tmp_path)
    first, second = scores(outcomes, [1, 2])
    assert first == {"metric": "pass@1", "value": 0.5, "standard_error": pytest.approx(0.2886751), "n": 3, "n_valid": 3}
    assert second["value"] == pytest.approx(2 / 3)
    require_enough_samples(samples, [2])
    with pytest.raises(InputError, match=r"pass@2 needs 2 samples of each problem, but T/2 has 1"):
        require_enough_samples(samples[:-1], [1, 2])


def test_finished_programs_are_not_run_again(tmp_path):
    problems = [Problem(f"T/{n}", "", "", "", f"#{n}") for n in range(4)]
    samples = [Sample(f"T/{n}", 0, "broken" if n == 2 else "good") for n in range(4)]
    broken, mended = CountingSandbox(), CountingSandbox()
    with pytest.raises(InputError, match="the sandbox broke"):
        run_samples(samples, problems, broken, LIMITS, 1, tmp_path)
    samples[2] = Sample("T/2", 0, "mended")
    outcomes = run_samples(samples, problems, mended, LIMITS, 1, tmp_path)
    assert {"good#0", "good#1"} <= set(broken.ran)
    assert sorted(broken.ran + mended.ran) == ["good#0", "good#1", "good#3", "mended#2"]
    assert [row.passed for row in outcomes] == [True, True, False, True]
    elsewhere = CountingSandbox()
    run_samples(samples, problems, elsewhere, Limits(9, 1024), 1, tmp_path)
    assert len(elsewhere.ran) == 4, "results under other limits are not taken over"


def test_a_module_that_no_program_can_import_is_named(sandbox, tmp_path):
    row = HUMANEVAL_ROW | {"test": "import pytest\n" + HUMANEVAL_ROW["test"]}
    problems = read_problems(write_problems(tmp_path / "he.jsonl", row), "humaneval")
    with pytest.raises(InputError, match="problem Tiny/0 needs the module pytest"):
        require_modules(problems, sandbox)


# Bad input.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": 2, "k": (1,)}, "with temperature 0 all are the same"),
        ({"samples": 2, "temperature": 0.8, "k": (1, 5)}, "k has 5"),
        ({"shots": (2,)}, "HumanEval shows no solved problems"),
        ({"ids": (5, 1)}, "above the last"),
        ({"time_limit": 0}, "time_limit"),
        ({"format": "apps"}, "humaneval"),
        ({"shot": 3}, "shot"),
    ],
)
def test_settings_that_do_not_agree(change, message):
    with pytest.raises(ValidationError, match=message):
        ProgramsSettings(**SETTINGS | change)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"test": ""}, r"problem 2 \(Tiny/1\) has no text under 'test'"),
        ({"entry_point": None}, "no text under 'entry_point'"),
        ({"task_id": "Tiny/0"}, "problem 2 repeats the task_id Tiny/0"),
        ({"task_id": "Tiny"}, "must end with a number"),
    ],
)
def test_bad_problems_are_named(tmp_path, row, message):
    path = write_problems(tmp_path / "he.jsonl", HUMANEVAL_ROW, HUMANEVAL_ROW | {"task_id": "Tiny/1"} | row)
    with pytest.raises(InputError, match=message):
        read_problems(path, "humaneval")


def test_another_formats_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no list of texts under 'test_list'; is the format right\?"):
        read_problems(write_problems(tmp_path / "he.jsonl", HUMANEVAL_ROW), "mbpp")


def test_torn_problem_files_are_named(tmp_path):
    line = json.dumps(HUMANEVAL_ROW)
    (tmp_path / "torn.jsonl").write_text(f"{line}\n{line[:40]}")
    (tmp_path / "torn.json").write_text(f"[{line}, {line[:40]}")
    (tmp_path / "object.json").write_text(line)
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "torn.jsonl.gz").write_bytes(gzip.compress(f"{line}\n{line[:40]}".encode()))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(line.encode())[:-12])
    for name, message in {
        "torn.jsonl": "line 2 is not valid JSON",
        "torn.json": "not valid JSON",
        "object.json": "one list of objects",
        "empty.jsonl": "no problem",
        "torn.jsonl.gz": "line 2 is not valid JSON",
        "cut.jsonl.gz": "cannot be unpacked",
    }.items():
        with pytest.raises(InputError, match=f"{name}.*{message}"):
            read_problems(tmp_path / name, "humaneval")


def test_samples_of_other_problems_are_refused(tmp_path):
    rows = [HUMANEVAL_ROW, HUMANEVAL_ROW | {"task_id": "Tiny/1"}]
    problems = read_problems(write_problems(tmp_path / "he.jsonl", *rows), "humaneval")
    samples = tmp_path / "samples.jsonl"
    for written, message in [
        ([{"task_id": "Tiny/2", "completion": "x"}], "line 1 has the task_id 'Tiny/2', which is none of the 2"),
        ([{"task_id": "Tiny/0", "completion": "x"}], "1 of 2 problems have no sample, the first is Tiny/1"),
        (
            [{"task_id": f"Tiny/{n}", "completion": "x"} for n in (0, 1, 0)],
            r"Tiny/\d has \d samples \(line [123, ]+\), but most problems have \d; each must have as many",
        ),
        ([{"task_id": "Tiny/0"}], "line 1 needs a task_id and, under 'completion'"),
    ]:
        write_jsonl(samples, written)
        with pytest.raises(InputError, match=message):
            read_samples(samples, problems)


def test_a_row_that_stands_twice_is_no_further_sample(tmp_path):
    rows = [HUMANEVAL_ROW | {"task_id": f"Tiny/{number}"} for number in range(3)]
    problems = read_problems(write_problems(tmp_path / "he.jsonl", *rows), "humaneval")
    written = [{"task_id": f"Tiny/{number}", "completion": "x"} for number in (0, 1, 2, 1)]
    write_jsonl(tmp_path / "samples.jsonl", written)
    with pytest.raises(InputError, match=r"Tiny/1 has 2 samples \(line 2, 4\), but most problems have 1"):
        read_samples(tmp_path / "samples.jsonl", problems)
    write_jsonl(tmp_path / "samples.jsonl", written[:3] + [row | {"completion": "y"} for row in written[:3]])
    assert published_samples_note(read_samples(tmp_path / "samples.jsonl", problems)) == ["2 samples of each problem."]
    write_jsonl(tmp_path / "samples.jsonl", written[:3] * 2)
    note = "2 samples of each problem, 3 of all 6 the same as an earlier one."
    assert published_samples_note(read_samples(tmp_path / "samples.jsonl", problems)) == [note]


def test_worked_examples_are_not_asked(tmp_path):
    rows = [MBPP_ROW | {"task_id": number} for number in (1, 2, 3)]
    problems = read_problems(write_problems(tmp_path / "mbpp.jsonl", *rows), "mbpp")
    assert [shot.id for shot in find_shots(problems, [1], select_problems(problems, (2, 3)))] == [1]
    with pytest.raises(InputError, match="problem 1 is shown with its solution and asked too"):
        find_shots(problems, [1], problems)
    with pytest.raises(InputError, match="has no problem 7"):
        find_shots(problems, [7], problems)
    with pytest.raises(InputError, match="no problem has a number between 8 and 9"):
        select_problems(problems, (8, 9))


# A checkpoint writes.


@pytest.mark.parametrize("form", ["--raw", "--chat"])
def test_a_checkpoint_writes_and_its_programs_are_run(tiny_checkpoint, sandbox, tmp_path, form):
    rows = [MBPP_ROW | {"task_id": number} for number in (1, 2, 3)]
    problems = ["--problems", write_problems(tmp_path / "mbpp.jsonl", *rows), "--format", "mbpp", "--ids", "2", "3"]
    samples, items, result = tmp_path / "samples.jsonl", tmp_path / "items.jsonl", tmp_path / "result.json"
    by = tmp_path / "answered_by.json"
    writing = ["--checkpoint", tiny_checkpoint, "--engine", "{}", "--seed", "5", form, "--max-tokens", "8"]
    drawing = ["--samples-per-problem", "2", "--temperature", "1"]
    call("write_programs.py", *problems, *writing, *drawing, "--samples", samples, "--answered-by", by)
    written = read_jsonl(samples)
    assert [(row["task_id"], row["sample"]) for row in written] == [(2, 0), (2, 1), (3, 0), (3, 1)]
    assert len({row["completion"] for row in written}) == 4, "each sample has its own seed"

    running = ["--benchmark", "mbpp", "--written", form[2:], "--k", "1", "2"]
    call(
        "run_programs.py",
        *problems,
        *running,
        "--answered-by",
        by,
        "--samples",
        samples,
        "--items",
        items,
        "--result",
        result,
    )
    record = json.loads(result.read_text())
    assert [(row["metric"], row["value"], row["n"]) for row in record["scores"]] == [("pass@1", 0, 2), ("pass@2", 0, 2)]
    assert record["answered_by"]["seed"] == 5
    assert all(row["result"].startswith("failed: ") for row in read_jsonl(items))


def test_a_program_says_what_is_wrong_with_its_input_in_one_sentence(tmp_path):
    problems = write_problems(tmp_path / "he.jsonl", HUMANEVAL_ROW)
    samples, out = tmp_path / "taken.jsonl", tmp_path / "samples.jsonl"
    write_jsonl(samples, [{"task_id": "Other/0", "completion": "x"}])
    options = ["--problems", problems, "--format", "humaneval", "--samples", out, "--answered-by", tmp_path / "by.json"]
    said = call("write_programs.py", "--take", samples, *options, fails=True)
    assert said.startswith("Error: ")
    assert "Traceback" not in said
    assert not out.exists()

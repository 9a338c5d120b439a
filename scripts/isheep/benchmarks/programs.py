"""HumanEval, HumanEval+ and MBPP: problems, prompts, the programs that are run, and pass@k.

HumanEval: arXiv 2107.03374, github.com/openai/human-eval. MBPP: arXiv 2108.07732. Prompts, worked examples, stop texts
and lengths are those of lm-eval's tasks `humaneval` and `mbpp` (github.com/EleutherAI/lm-evaluation-harness, 0.4.13),
or OpenCompass's (programs_opencompass.py).
"""

import ast
import gzip
import hashlib
import json
import re
import statistics
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from math import comb
from pathlib import Path
from threading import Lock
from typing import Literal

from pydantic import Field, model_validator

from isheep.benchmarks import programs_opencompass
from isheep.benchmarks.sandbox import Limits, Sandbox
from isheep.engine.engine import Sampling
from isheep.engine.journal import Journal
from isheep.files.records import InputError, parse_lines, parse_list, read_jsonl, read_text
from isheep.settings import Settings, Unique
from isheep.spelling import listed

Format = Literal["humaneval", "mbpp"]
Protocol = Literal["lm_eval", "opencompass"]


class ProgramsSettings(Settings):
    """Python problems whose answers are run against the problems' own tests, in a sandbox."""

    kind: Literal["programs"]
    """Programs that a model writes: HumanEval, HumanEval+, MBPP."""
    format: Format
    """`humaneval` (HumanEval and HumanEval+: task_id, prompt, entry_point, test) or `mbpp` (MBPP and its sanitized
    part: task_id, text or prompt, code, test_list)."""
    protocol: Protocol = "lm_eval"
    """Whose prompts, worked examples, stop texts and lengths, and how a program is taken from an answer: `lm_eval`'s,
    or `opencompass`'s, of which config/tasks/opencompass/README.md has the versions."""
    problems: str
    """File of problems as published: .jsonl, .jsonl.gz, or .json with one list."""
    ids: tuple[int, int] | None = None
    """Only the problems whose number, at the end of the task_id, lies between these two, both included; null takes all
    of the file. MBPP's test split is 11 to 510 (arXiv 2108.07732 and lm-eval)."""
    shots: Unique[int] = ()
    """Numbers of the problems of the same file that are shown, solved, before each question, for `mbpp`: lm-eval and
    arXiv 2108.07732 show 2, 3, 4. HumanEval has none."""
    samples: int = Field(1, ge=1)
    """Programs written for each problem; more than one needs a temperature above 0."""
    k: Unique[int] = Field((1,), min_length=1)
    """The pass@k that are reported: the chance that at least one of k programs passes (arXiv 2107.03374, section 2.1).
    Each at most `samples`."""
    temperature: float = Field(0.0, ge=0)
    """Temperature of the sampling; lm-eval takes the most likely token, 0. For pass@64 it takes 0.2."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Draw only from the fewest most likely tokens whose probabilities add up to this. For pass@64 lm-eval takes
    0.95."""
    max_tokens: int | None = Field(None, gt=0)
    """The most tokens of an answer; null takes the protocol's: lm-eval's are 1024 for `humaneval` and 256 for `mbpp`,
    OpenCompass's 512."""
    time_limit: int | None = Field(None, ge=1)
    """Seconds of CPU time that a program may take; one that waits is ended after three times this by the clock. null
    takes 3 for `humaneval`, as its own harness (by the clock), and 10 for `mbpp`, where the published solution of
    problem 123 takes 4 seconds. The tests of HumanEval+ are long: raise it there."""
    memory_limit: int = Field(1024, ge=128)
    """MiB of memory (address space) that a program may take; HumanEval's own harness sets no limit by itself."""
    image: str | None = None
    """File of a container image with python3, for apptainer where there is no bubblewrap; null needs bubblewrap."""
    note: str | None = None
    """A sentence that the tables show below them, such as how the protocol differs from the paper's."""
    not_comparable: str | None = None
    """Why its scores cannot be compared with the paper's, as a sentence: tables mark the printed ones, show no
    difference and give this reason below. null: they can."""

    @model_validator(mode="after")
    def _keys_agree(self) -> "ProgramsSettings":
        if self.format == "humaneval" and self.shots:
            raise ValueError("shots: HumanEval shows no solved problems; leave the key out")
        if self.protocol == "opencompass" and self.shots:
            raise ValueError("shots: OpenCompass's three solved problems are part of its prompt; leave the key out")
        if self.ids and self.ids[0] > self.ids[1]:
            raise ValueError(f"ids: the first, {self.ids[0]}, is above the last, {self.ids[1]}")
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(f"samples is {self.samples}, but with temperature 0 all are the same; raise temperature")
        if not 1 <= min(self.k) <= max(self.k) <= self.samples:
            raise ValueError(f"k has {max(self.k)}, but pass@k needs at least k samples and there are {self.samples}")
        return self


@dataclass(frozen=True)
class Problem:
    """One problem. The program that is run for a completion is `head + completion + tail`."""

    id: str | int
    """The task_id as the file has it: `HumanEval/0`, or 11."""
    prompt: str
    """HumanEval: the beginning of a function. MBPP: a task in words, with its tests."""
    solution: str
    """The published solution, a completion that passes."""
    head: str
    """HumanEval: the prompt. MBPP: the imports that its sanitized problems list for their tests."""
    tail: str
    """The tests. HumanEval: as its own harness puts them. MBPP: `test_setup_code` first, where there is any."""

    @property
    def number(self) -> int:
        """The digits at the end of the id."""
        return int(re.search(r"\d+$", str(self.id)).group())

    def program(self, completion: str) -> str:
        """The program that is run."""
        return self.head + completion + self.tail


@dataclass(frozen=True)
class Sample:
    """One completion of a problem. `sample` counts those of one problem from 0."""

    task_id: str | int
    sample: int
    completion: str


@dataclass(frozen=True)
class Outcome:
    """What became of one sample's program: `result` is `passed`, `timed out`, or `failed: ` and why."""

    task_id: str | int
    sample: int
    passed: bool
    result: str


def read_problems(path: str | Path, format: Format, protocol: Protocol = "lm_eval") -> list[Problem]:
    """Read a file of problems as published, in its order.

    protocol: decides MBPP's wording, and whether more than its tests is run.

    Raises InputError, naming file and row, for a torn file, a row that is no object, a missing or empty field, a
    task_id without a number at its end, a repeated task_id, or no problem at all.
    """
    mbpp = {"lm_eval": _mbpp_problem, "opencompass": _mbpp_problem_of_opencompass}[protocol]
    parse = {"humaneval": _humaneval_problem, "mbpp": mbpp}[format]
    problems: dict[str, Problem] = {}
    for number, row in enumerate(_read_rows(Path(path)), start=1):
        where = f"{path}: problem {number}"
        if not re.search(r"\d$", str(row.get("task_id", ""))):
            raise InputError(f"{where} has the task_id {row.get('task_id')!r}; it must end with a number.")
        problem = parse(row, where)
        if str(problem.id) in problems:
            raise InputError(f"{where} repeats the task_id {problem.id}; each problem must be there once.")
        problems[str(problem.id)] = problem
    if not problems:
        raise InputError(f"{path}: the file has no problem; give a benchmark file in the format {format}.")
    return list(problems.values())


def _read_rows(path: Path) -> list[dict]:
    if path.suffix == ".gz":
        try:
            text = gzip.decompress(path.read_bytes()).decode("utf-8")
        except (OSError, EOFError, ValueError) as error:
            raise InputError(f"{path}: it cannot be unpacked ({error}); fetch the file again.") from None
        return parse_lines(text, path)
    return parse_list(read_text(path), path) if path.suffix == ".json" else read_jsonl(path)


def _humaneval_problem(row: dict, where: str) -> Problem:
    prompt, test, entry_point = (_text(row, key, where) for key in ("prompt", "test", "entry_point"))
    return Problem(
        id=row["task_id"],
        prompt=prompt,
        solution=_text(row, "canonical_solution", where),
        head=prompt,
        tail=f"\n{test}\ncheck({entry_point})",
    )


def _mbpp_problem(row: dict, where: str) -> Problem:
    task = _text(row, "text" if "text" in row else "prompt", where)
    tests = _texts(row, "test_list", where)
    if len(tests) < 1:
        raise InputError(f"{where} ({row['task_id']}) has an empty 'test_list'; restore its tests.")
    imports = _texts(row, "test_imports", where) if "test_imports" in row else []
    setup = row.get("test_setup_code") or ""
    return Problem(
        id=row["task_id"],
        prompt=MBPP_TASK.format(task=task, tests="\n".join(tests[:TESTS_SHOWN])),
        solution=_text(row, "code", where),
        head="".join(f"{line}\n" for line in imports),
        tail="\n" + "\n".join([*([setup] if setup else []), *tests]),
    )


def _mbpp_problem_of_opencompass(row: dict, where: str) -> Problem:
    """As OpenCompass has it: all tests are shown, and nothing but them is run behind the program."""
    problem, tests = _mbpp_problem(row, where), "\n".join(row["test_list"])
    task = row["text" if "text" in row else "prompt"]
    prompt = programs_opencompass.MBPP_REQUEST.format(task=task, tests=tests)
    return replace(problem, prompt=prompt, head="", tail=f"\n{tests}")


def _text(row: dict, key: str, where: str) -> str:
    if not isinstance(row.get(key), str) or not row[key]:
        raise InputError(f"{where} ({row['task_id']}) has no text under {key!r}; is the format right?")
    return row[key]


def _texts(row: dict, key: str, where: str) -> list[str]:
    texts = row.get(key)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InputError(f"{where} ({row['task_id']}) has no list of texts under {key!r}; is the format right?")
    return texts


def select_problems(problems: Sequence[Problem], ids: tuple[int, int] | None) -> list[Problem]:
    """The problems whose number lies between the two ids, both included; all where it is None.

    Raises InputError if none does.
    """
    if ids is None:
        return list(problems)
    chosen = [problem for problem in problems if ids[0] <= problem.number <= ids[1]]
    if not chosen:
        raise InputError(f"no problem has a number between {ids[0]} and {ids[1]}; correct ids.")
    return chosen


MBPP_TASK = (
    "You are an expert Python programmer, and here is your task: {task} Your code should pass these tests:\n\n"
    "{tests}\n[BEGIN]\n"
)
"""arXiv 2108.07732, figure 1, in lm-eval's wording (lm_eval/tasks/mbpp/mbpp.yaml)."""

TESTS_SHOWN = 3
"""lm-eval's prompt shows the first three tests; only the sanitized problems have more, and all are run."""

MBPP_END = "[DONE]"

HUMANEVAL_CHAT = (
    "Write a solution to the following problem and make sure that it passes the tests:\n```python\n{prompt}\n```\n"
)
"""lm-eval's wording for instructed models (lm_eval/tasks/humaneval/humaneval_instruct.yaml)."""

RAW_STOPS = {"humaneval": ("\nclass", "\ndef", "\n#", "\nif", "\nprint"), "mbpp": (MBPP_END,)}
CHAT_STOPS = {"humaneval": (), "mbpp": (MBPP_END,)}
MAX_TOKENS = {"humaneval": 1024, "mbpp": 256}
"""lm-eval's `max_gen_toks`, for mbpp its default."""

TIME_LIMITS = {"humaneval": 3, "mbpp": 10}
"""Seconds of CPU time; see ProgramsSettings.time_limit."""

CODE_BLOCK = re.compile(r"```[ \t]*\w*[ \t]*\n(.*?)(?:\n?```|\Z)", re.DOTALL)


def protocol_sampling(
    format: Format,
    chat: bool,
    temperature: float = 0.0,
    top_p: float = 1.0,
    max_tokens: int | None = None,
    protocol: Protocol = "lm_eval",
) -> Sampling:
    """How a completion is drawn: the protocol's stop texts, and its greatest length unless one is given.

    lm-eval's stop texts of HumanEval, which end the body of a function, are left out in a chat; OpenCompass has none.
    """
    stops = (CHAT_STOPS if chat else RAW_STOPS)[format] if protocol == "lm_eval" else ()
    longest = MAX_TOKENS[format] if protocol == "lm_eval" else programs_opencompass.MAX_TOKENS
    return Sampling(temperature=temperature, top_p=top_p, max_tokens=max_tokens or longest, stop=stops)


def question(problem: Problem, shots: Sequence[Problem], format: Format, chat: bool) -> str:
    """What lm-eval asks a checkpoint: its prompt, shots first; for HumanEval in a chat, its request to go on."""
    if format == "humaneval":
        return HUMANEVAL_CHAT.format(prompt=problem.prompt) if chat else problem.prompt
    solved = [f"{shot.prompt}{shot.solution}\n{MBPP_END}\n\n" for shot in shots]
    return "".join(solved) + problem.prompt


def find_shots(problems: Sequence[Problem], numbers: Sequence[int], asked: Sequence[Problem]) -> list[Problem]:
    """The problems with these numbers, in this order.

    Raises InputError if one is missing, or is asked itself.
    """
    by_number = {problem.number: problem for problem in problems}
    asked_numbers = {problem.number for problem in asked}
    for number in numbers:
        if number not in by_number:
            raise InputError(f"shots: the file of problems has no problem {number}; correct shots.")
        if number in asked_numbers:
            raise InputError(
                f"shots: problem {number} is shown with its solution and asked too; leave it out by ids, such as "
                "[11, 510] for MBPP's test split."
            )
    return [by_number[number] for number in numbers]


def code_of_answer(text: str) -> str:
    """The first code block of a chat's answer; without one, the whole answer."""
    block = CODE_BLOCK.search(text)
    return block.group(1) if block else text.removeprefix("[BEGIN]\n")


def read_samples(path: str | Path, problems: Sequence[Problem]) -> list[Sample]:
    """Read samples in human-eval's format: task_id and completion, several rows a task, in any order.

    Returns those of each problem together, in the order of the problems; other keys are ignored.

    Raises InputError, naming the file, for a missing field, an unknown task_id, a problem without a sample, or one with
    more or fewer samples than most: a row that stands there twice would count as one more sample.
    """
    by_id: dict[str, list[Sample]] = {str(problem.id): [] for problem in problems}
    lines: dict[str, list[int]] = {id: [] for id in by_id}
    for line, row in enumerate(read_jsonl(path), start=1):
        if "task_id" not in row or not isinstance(row.get("completion"), str):
            raise InputError(f"{path}: line {line} needs a task_id and, under 'completion', a text.")
        of_task = by_id.get(str(row["task_id"]))
        if of_task is None:
            raise InputError(
                f"{path}: line {line} has the task_id {row['task_id']!r}, which is none of the {len(problems)} "
                "problems that are measured; these must be samples for the same problems."
            )
        of_task.append(Sample(row["task_id"], len(of_task), row["completion"]))
        lines[str(row["task_id"])].append(line)
    missing = [id for id, samples in by_id.items() if not samples]
    if missing:
        raise InputError(
            f"{path}: {len(missing)} of {len(problems)} problems have no sample, the first is {missing[0]}; add theirs "
            "or narrow ids."
        )
    [(usual, _)] = Counter(map(len, by_id.values())).most_common(1)
    for id, found in lines.items():
        if len(found) != usual:
            raise InputError(
                f"{path}: {id} has {len(found)} samples (line {listed(found)}), but most problems have {usual}; each "
                "must have as many: remove what stands there twice, or add what is missing."
            )
    return [sample for samples in by_id.values() for sample in samples]


def published_samples_note(samples: Sequence[Sample]) -> list[str]:
    """Return a note on how many published samples each problem has, where it has several, and how many of them repeat
    an earlier one's text."""
    of_each = max(sample.sample for sample in samples) + 1
    repeats = len(samples) - len({(str(sample.task_id), sample.completion) for sample in samples})
    repeated = f", {repeats} of all {len(samples)} the same as an earlier one" if repeats else ""
    return [f"{of_each} samples of each problem{repeated}."] if of_each > 1 else []


def require_enough_samples(samples: Sequence[Sample], ks: Sequence[int]) -> None:
    """Raise InputError, naming a problem, if one has fewer samples than a pass@k needs."""
    id, fewest = min(Counter(str(sample.task_id) for sample in samples).items(), key=lambda item: item[1])
    if fewest < max(ks):
        raise InputError(f"k: pass@{max(ks)} needs {max(ks)} samples of each problem, but {id} has {fewest}; lower k.")


def require_modules(problems: Iterable[Problem], sandbox: Sandbox) -> None:
    """Raise InputError if the problems' own code imports a module that no program in the sandbox could."""
    needed = {module: problem.id for problem in problems for module in _imports(problem.program(problem.solution))}
    for module in sorted(needed.keys() - sys.stdlib_module_names):
        if not sandbox.can_import(module):
            raise InputError(
                f"problem {needed[module]} needs the module {module}, which programs in the sandbox cannot import; of "
                "modules beside the standard library they have only numpy, and only where it is installed."
            )


def _imports(program: str) -> set[str]:
    """The top-level modules that a program imports; none for one that cannot be parsed."""
    try:
        with warnings.catch_warnings(action="ignore"):
            nodes = list(ast.walk(ast.parse(program)))
    except SyntaxError:
        return set()
    named = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in named}


class FinishedPrograms(Journal):
    """The results of the programs that a killed job had run to their end."""

    def append(self, key: str, result: str) -> None:
        """Add one result; it is on its way to the disk when this returns."""
        self.append_row({"key": key, "result": result})


def run_samples(
    samples: Sequence[Sample],
    problems: Sequence[Problem],
    sandbox: Sandbox,
    limits: Limits,
    threads: int,
    folder: str | Path,
) -> list[Outcome]:
    """Run every sample's program, `threads` at once, and return their outcomes in the order of the samples.

    folder: keeps the finished ones, which are not run again after a kill. Equal programs are run once. Raises
    InputError if the sandbox fails, with all finished results kept.
    """
    by_id = {str(problem.id): problem for problem in problems}
    programs = [by_id[str(sample.task_id)].program(sample.completion) for sample in samples]
    keys = [_program_key(program, sandbox, limits) for program in programs]
    lock = Lock()

    def run(key: str, program: str) -> None:
        result = sandbox.run(program, limits)
        with lock:
            results[key] = result
            journal.append(key, result)

    with FinishedPrograms(folder) as journal, ThreadPoolExecutor(threads) as pool:
        results = {key: row["result"] for key, row in journal.read().items()}
        missing = {key: program for key, program in zip(keys, programs, strict=True) if key not in results}
        print(f"programs: {len(missing)} to run, {len(set(keys)) - len(missing)} reused", file=sys.stderr)
        running = [pool.submit(run, key, program) for key, program in missing.items()]
        try:
            for future in as_completed(running):
                future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return [
        Outcome(sample.task_id, sample.sample, results[key] == "passed", results[key])
        for sample, key in zip(samples, keys, strict=True)
    ]


def _program_key(program: str, sandbox: Sandbox, limits: Limits) -> str:
    content = [program, sandbox.identity, asdict(limits)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The unbiased estimate of the chance that one of k samples passes, from `samples` of which `passed` did.

    arXiv 2107.03374, equation 1.
    """
    return 1.0 - comb(samples - passed, k) / comb(samples, k)


def scores(outcomes: Sequence[Outcome], ks: Sequence[int]) -> list[dict]:
    """One row for each k: the mean over problems, and its standard error over problems (null for one problem).

    Each problem must have at least k outcomes: see require_enough_samples.
    """
    of_task = Counter(str(outcome.task_id) for outcome in outcomes)
    passed = Counter(str(outcome.task_id) for outcome in outcomes if outcome.passed)
    rows = []
    for k in ks:
        values = [pass_at_k(count, passed[id], k) for id, count in of_task.items()]
        error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
        rows.append(
            {
                "metric": f"pass@{k}",
                "value": statistics.fmean(values),
                "standard_error": error,
                "n": len(values),
                "n_valid": len(values),
            }
        )
    return rows

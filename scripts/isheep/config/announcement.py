"""What a run is about to measure, whom it asks to judge, and the most that this may cost: told before the first job.

Only the Snakefile uses it, in the process that plans the run.
"""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from isheep.benchmarks.alpaca_annotator import TURN_TAGS, load_annotator
from isheep.benchmarks.alpaca_eval import AlpacaEvalSettings, load_reference
from isheep.benchmarks.judges import JudgeSettings
from isheep.benchmarks.mt_bench import (
    TURNS,
    Answer,
    MtBenchSettings,
    gradings,
    load_judge_prompts,
    load_questions,
    load_references,
)
from isheep.benchmarks.sandbox import find_sandbox
from isheep.config.schema import Config
from isheep.engine.api_engine import TOKENS_AROUND_A_MESSAGE, worst_case
from isheep.engine.engine import Request
from isheep.files.records import InputError

if TYPE_CHECKING:  # it cannot be imported by itself: snakemake.api imports it, and it snakemake.api
    from snakemake.workflow import Workflow

SCORING = {
    **{"measure": "lm_eval", "measure_published": "lm_eval", "score_alpaca_eval": "alpaca_eval"},
    **{"score_mt_bench": "mt_bench", "run_programs": "programs"},
}
"""The rules whose jobs write a result record, each with its kind of benchmark."""
ASKING = ("judge_alpaca_eval", "judge_mt_bench")
"""The rules whose jobs ask a judge."""
ASKED_FROM = {"alpaca_eval": ("reference", "annotator"), "mt_bench": ("questions", "references", "judge_prompts")}
"""The keys of each kind that name what a judge is asked from, besides the answers."""


@dataclass(frozen=True)
class Planned:
    """The jobs of a run that measure: how many by benchmark."""

    results: Counter
    """Result records that are written."""
    judged: Counter
    """Sets of answers that a judge is asked about; published judgments are only read."""


@dataclass(frozen=True)
class Asked:
    """The most that one job may ask of a judge."""

    calls: int
    prompt_tokens: int
    completion_tokens: int


def tell_plan(workflow: "Workflow", config: Config) -> None:
    """Print, for each benchmark that the planned jobs measure, one line: who judges, how often, and for how much.

    Raises InputError where programs are to be run on this machine and it has no sandbox, before anything is computed.
    """
    if workflow.touch:
        return
    jobs = list(workflow.dag.needrun_jobs(exclude_finished=False))  # a dry run ends with all of them finished
    for line in plan_lines(config, planned_measurements(config, jobs)):
        print(line, file=sys.stderr)
    if workflow.local_exec or workflow.dryrun:
        check_sandbox(config, [job.wildcards.benchmark for job in jobs if job.rule.name == "run_programs"])


def tell_plan_of_dry_run(workflow: "Workflow", config: Config) -> None:
    """At the end of a dry run, print what tell_plan does, and what it would end a run with."""
    if workflow.dryrun and workflow.dag is not None:
        try:
            tell_plan(workflow, config)
        except InputError as error:
            print(f"On this machine a run would end before its first job: {error}", file=sys.stderr)


def planned_measurements(config: Config, jobs: Iterable) -> Planned:
    """Return what Snakemake's jobs measure."""
    results, judged = Counter(), Counter()
    for job in jobs:
        if job.rule.name in SCORING:
            results[job.wildcards.benchmark] += 1
        if job.rule.name in ASKING:
            kind, _, name = job.wildcards.subject.partition("/")
            baseline = config.baselines.get(name) if kind == "baselines" else None
            if baseline is None or baseline.benchmarks[job.wildcards.benchmark].judgments is None:
                judged[job.wildcards.benchmark] += 1
    return Planned(results, judged)


def plan_lines(config: Config, planned: Planned) -> list[str]:
    """Return a line for each benchmark that is measured, and one for what all judges may cost together."""
    lines, amounts = [], []
    for name in config.benchmarks:
        if not (planned.results[name] or planned.judged[name]):
            continue
        line = f"To measure: {name} ({config.benchmarks[name].kind}), {_counted(planned.results[name], 'result')}"
        if planned.judged[name]:
            text, amount = _judging(config, name, planned.judged[name])
            line = f"{line}; {text}"
            amounts.append(amount)
        lines.append(f"{line}.")
    if len(amounts) > 1 and None not in amounts:
        sums = sum(amounts, Counter())
        lines += [f"All judges together cost {_money(sums[currency], currency)} at most." for currency in sums]
    return lines


def most_asked(
    benchmark: AlpacaEvalSettings | MtBenchSettings,
    judge: JudgeSettings,
    answering: AlpacaEvalSettings | MtBenchSettings | None = None,
) -> Asked:
    """Return the most that a judge is asked about one set of answers.

    answering: the benchmark whose answers these are, where it is another one.

    A byte of a known text is counted as a token, as for the spending limit, and an answer as the most tokens that it
    may have. Raises InputError for a file that cannot be read.
    """
    found = _asked_in_mt_bench if benchmark.kind == "mt_bench" else _asked_in_alpaca_eval
    return found(benchmark, judge, answering or benchmark)


def check_sandbox(config: Config, benchmarks: Iterable[str]) -> None:
    """Raise InputError, naming the benchmark, if this machine cannot run the programs of one of them."""
    for name in dict.fromkeys(benchmarks):
        try:
            find_sandbox(config.benchmarks[name].image)
        except InputError as error:
            raise InputError(
                f"benchmarks.{name}: {str(error).rstrip('.')}; or leave {name} out of experiment.benchmarks."
            ) from None


def _asked_in_mt_bench(benchmark: MtBenchSettings, judge: JudgeSettings, answering: MtBenchSettings) -> Asked:
    questions = load_questions(benchmark.questions)
    longest = Answer("any", ("x" * answering.max_tokens,) * TURNS)
    references = load_references(benchmark.references, questions, benchmark.reference_categories)
    prompts = load_judge_prompts(benchmark.judge_prompts)
    asked = gradings(questions, {question.id: longest for question in questions}, references, prompts)
    sampling = benchmark.judge_sampling
    tokens = [worst_case(Request(one.id, one.request_prompt(judge.chat), sampling, seed=0)) for one in asked]
    prompt, completion = (benchmark.attempts * sum(side) for side in zip(*tokens, strict=True))
    return Asked(benchmark.attempts * len(asked), prompt, completion)


def _asked_in_alpaca_eval(benchmark: AlpacaEvalSettings, judge: JudgeSettings, answering: AlpacaEvalSettings) -> Asked:
    reference, annotator = load_reference(benchmark.reference), load_annotator(benchmark.annotator)
    sampling, prompt, completion = annotator.settings.completions_kwargs.sampling, 0, 0
    around = TOKENS_AROUND_A_MESSAGE * annotator.prompt.count(TURN_TAGS[0])
    for row in reference:
        text = annotator.prompt + row["instruction"] + row["output"] + "x" * answering.sampling.max_tokens
        most = worst_case(Request("any", text, sampling, seed=0))
        prompt, completion = prompt + most[0] + around, completion + most[1]
    return Asked(len(reference), prompt, completion)


def _most_asked_if_known(
    benchmark: AlpacaEvalSettings | MtBenchSettings,
    judge: JudgeSettings,
    answering: AlpacaEvalSettings | MtBenchSettings,
) -> tuple[Asked | None, str]:
    """The most that a judge is asked; else None, and why it is not known, which is no reason to end a run: its files
    are not fetched yet, or alpaca-eval, which has the prompt, is not installed where jobs are only submitted."""
    files = [getattr(benchmark, key) for key in ASKED_FROM[benchmark.kind]]
    absent = [file for file in files if file is not None and not Path(file).exists()]
    if absent:
        return None, f"as often as {absent[0]} will say"
    try:
        return most_asked(benchmark, judge, answering), ""
    except InputError as error:
        return None, f"as often as cannot be told here ({str(error).rstrip('.')})"


def _judging(config: Config, name: str, jobs: int) -> tuple[str, Counter | None]:
    """Say who judges a benchmark, how often at most and for how much; and that amount, as `_cost` returns it."""
    benchmark = config.benchmarks[name]
    judge = config.judges[benchmark.judge]
    who = f"the model {judge.model}" if judge.api is None else f"{judge.api.model} at {judge.api.base_url}"
    asked, unknown = _most_asked_if_known(benchmark, judge, config.benchmarks[benchmark.answers_of or name])
    often = f"{_counted(asked.calls * jobs, 'time')} at most" if asked else unknown
    cost, amount = _cost(config, benchmark.judge, asked, jobs)
    return f"the judge {benchmark.judge} ({who}) is asked {often}, {cost}", amount


def _cost(config: Config, name: str, asked: Asked | None, jobs: int) -> tuple[str, Counter | None]:
    """Say what a judge may cost in so many jobs; and the amount by its currency, None where it has no bound."""
    judge = config.judges[name]
    if judge.api is None:
        return "which costs nothing but time", Counter()
    if judge.api.prices is None:
        return f"at prices that are not configured (judges.{name}.api.prices)", None
    limit, currency = config.runtime.judge_spending_limit / 100, judge.api.prices.currency
    most = judge.api.prices.cost(asked.prompt_tokens, asked.completion_tokens) if asked else None
    if limit and (most is None or limit < most):
        why = f"runtime.judge_spending_limit ends each of {_counted(jobs, 'job')} at {_money(limit, currency)}"
        most = limit
    elif most is None:
        return "for an amount that has no bound: set runtime.judge_spending_limit", None
    else:
        why = "if every answer is as long as it may be, and none is lost and asked for again"
    return f"for {_money(most * jobs, currency)} at most ({why})", Counter({currency: most * jobs})


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _money(amount: float, currency: str) -> str:
    return f"{amount:,.2f} {currency}"

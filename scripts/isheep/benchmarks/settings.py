"""Settings of the benchmarks that measure a checkpoint, and of the baselines that are measured by the same rules."""

from typing import Annotated, Literal

from pydantic import Field

from isheep.benchmarks.alpaca_eval import AlpacaEvalSettings
from isheep.benchmarks.mt_bench import MtBenchSettings
from isheep.benchmarks.programs import ProgramsSettings
from isheep.settings import Settings, Unique


class LmEvalSettings(Settings):
    """One lm-eval task or group, run on every checkpoint of the experiment."""

    kind: Literal["lm_eval"]
    """A task of lm-eval: IFEval, multiple choice, questions with short answers."""
    task: str
    """lm-eval's name of the task."""
    files: Unique[str] = ()
    """The task's own files (its .yaml first, then data) if it does not come with lm-eval; a change reruns it."""
    hub: Unique[str] = ()
    """The hub data sets that the task reads, by their names in config/sources.yaml; they are fetched beforehand."""
    nltk: bool = False
    """Whether the task splits sentences with nltk's `punkt_tab`, as IFEval does; it is fetched beforehand."""
    metrics: Unique[str] = ()
    """The metrics that lm-eval reports for it, so that a table that asks for another one is refused at the start.
    Without any, those that the task's file lists; where that is not known, the table is refused when it is made."""
    num_fewshot: int | None = Field(None, ge=0)
    """Worked examples before each question; null keeps the task's own number."""
    limit: int | None = Field(None, ge=1)
    """Only the first so many items, for a quick look; null measures all."""
    exclude: dict[str, Unique[str | int]] = Field(default_factory=dict)
    """Items to skip: field → the values that exclude an item."""
    raw_suffix: str = ""
    """Put after a prompt when the untouched base model answers it raw, such as a newline."""
    note: str | None = None
    """A sentence that the tables show below them, such as how the task differs from the paper's."""
    not_comparable: str | None = None
    """Why its scores cannot be compared with the paper's, as a sentence: tables mark the printed ones, show no
    difference and give this reason below. null: they can."""


BenchmarkSettings = Annotated[
    LmEvalSettings | AlpacaEvalSettings | MtBenchSettings | ProgramsSettings, Field(discriminator="kind")
]
"""One benchmark of any kind."""

ALPACA_EVAL_METRICS = (
    *("win_rate", "length_controlled_win_rate", "discrete_win_rate"),
    *("n_wins", "n_wins_base", "n_draws", "avg_length"),
)
"""What AlpacaEval's result records hold."""

FILE_KEYS = {
    "lm_eval": ("files",),
    "alpaca_eval": ("reference", "annotator", "length_control"),
    "mt_bench": ("questions", "references", "judge_prompts"),
    "programs": ("problems", "image"),
}
"""The keys of each kind of benchmark that name files."""


def files_of(benchmark: BenchmarkSettings) -> dict[str, str | None]:
    """Return the files that a benchmark names, by key, of a list `key.number`; None where a key names none."""
    files = {}
    for key in FILE_KEYS[benchmark.kind]:
        value = getattr(benchmark, key)
        if isinstance(value, tuple):
            files |= {f"{key}.{number}": file for number, file in enumerate(value)}
        else:
            files[key] = value
    return files


def metrics_of(benchmark: BenchmarkSettings) -> tuple[str, ...]:
    """Return the metrics that a benchmark is known to report; none where only its data tell, as for MT-Bench's
    categories.
    """
    if benchmark.kind == "lm_eval":
        return benchmark.metrics
    if benchmark.kind == "alpaca_eval":
        return ALPACA_EVAL_METRICS
    return tuple(f"pass@{k}" for k in benchmark.k) if benchmark.kind == "programs" else ()


class BaselineFiles(Settings):
    """Published files that stand for a checkpoint in one benchmark."""

    answers: str | None = None
    """File of answers in the benchmark's own format (AlpacaEval: outputs; MT-Bench: model answers; lm-eval: prompt and
    response a line; programs: samples)."""
    judgments: str | None = None
    """File of judgments on them (AlpacaEval: annotations; MT-Bench: single-answer judgments); null asks the judge."""
    model: str | None = None
    """Which model's rows are meant where the files hold several."""
    missing: int = Field(0, ge=0)
    """How many of AlpacaEval's instructions each of the files may lack, such as 2 where a model was published for 803
    of 805. They count as missing: n has them, n valid has not, and the tables say so."""


class BaselineSettings(Settings):
    """A row of the tables without a checkpoint: published answers, scored by the same rules."""

    benchmarks: dict[str, BaselineFiles] = Field(min_length=1)
    """Its files for each benchmark that it has been measured by."""

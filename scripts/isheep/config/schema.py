"""The workflow's configuration: its keys, their meaning, values and defaults.

Only the Snakefile reads it (through `isheep.config.loading`). Every setting that a job uses reaches it through its
rule.
"""

import math
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from isheep.benchmarks.judges import JudgeSettings
from isheep.benchmarks.settings import BaselineSettings, BenchmarkSettings, metrics_of
from isheep.config.hardware import HardwareSettings
from isheep.data.embedding import EmbeddingSettings
from isheep.data.instructions import InstructionFilters
from isheep.data.responses import ResponseRules
from isheep.data.selection import SelectionSettings
from isheep.engine.engine import EngineSettings, Sampling
from isheep.engine.sampling_sections import OnTopOf
from isheep.fetch.hub_cache import FETCHED
from isheep.fetch.sources import FetchSettings
from isheep.report.agreement import AgreementSettings
from isheep.report.cases import CaseSettings
from isheep.report.claims import ClaimSettings
from isheep.report.figures import KINDS_WITH_SCORES, FigureSettings
from isheep.report.tables import TableSettings
from isheep.settings import Settings, Unique
from isheep.spelling import listed, nearest
from isheep.training.settings import TrainingSettings

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""A name that can be one of a folder, and a part of a target."""
Name = Annotated[str, StringConstraints(pattern=NAME)]
Count = Annotated[int, Field(ge=1)]
RESERVED_RECIPE = "base"
RESERVED_TABLES = ("claims", "contamination", "data", "scores")
RESERVED_MODELS = ("baselines", "configuration.yaml", "figures", "logs", "tables", "test_items")
"""What an experiment's results hold beside the folders of its models."""
RESERVED_EXPERIMENT = "fetched"
"""The folder of what was fetched, beside those of the experiments."""
REFILL = 4
"""So many times its first prompts a shard continues at most, where the configuration does not say it."""
PAPER_PROMPTS = {
    "simple": {
        "quality": "config/prompts/assessment/simple_quality.yaml",
        "following": "config/prompts/assessment/simple_following.yaml",
    },
    "combined": {
        "quality": "config/prompts/assessment/combined_quality.yaml",
        "following": "config/prompts/assessment/combined_following.yaml",
    },
    "icl": {"overall": "config/prompts/assessment/icl_overall.yaml"},
}
"""The assessment's prompts (paper, appendix A), by name and criterion."""
WITHOUT_EFFECT = ("runtime", "hardware")
"""Sections that cannot change a result."""
JUDGED = ("alpaca_eval", "mt_bench")
"""Kinds of benchmark whose answers a judge rates."""
CONTINUING = Sampling(temperature=1.0, top_p=0.95, max_tokens=1000, stop=("17",))
"""How the authors' scripts sample instructions."""
ANSWERING = CONTINUING.model_copy(update={"stop": ("<|endoftext|>", "<|im_start|>", "<|im_end|>")})
"""How they sample responses and assessments."""


class ExperimentSettings(Settings):
    """What is computed: every recipe on every model, once per seed."""

    name: Name
    """Folder of the results: results/<name>/. A new name starts from nothing."""
    models: Unique[Name] = ()
    """Which of `models` below take part; left out: all that do not judge."""
    recipes: Unique[Name] = ()
    """Which of `recipes` below every model goes through, in the order of the tables' rows, unless the model names its
    own; left out: all, also of included files, but of config/recipes.yaml only those that the configuration declares
    too. An empty list: only the base models."""
    baselines: Unique[Name] = ()
    """Which of `baselines` below take part, as the first rows of the tables."""
    seeds: Unique[Annotated[int, Field(ge=0)]] = Field((1,), min_length=1)
    """One replicate of everything per seed; several give the tables a standard deviation."""
    iterations: Count = 3
    """How often a checkpoint writes the data of the next one (paper: 3, for 32B 4, for 72B 6)."""
    benchmarks: Unique[Name] | None = None
    """Which of `benchmarks` below measure the base model and every iteration's checkpoint. No other is run, and no
    other judge asked: a table's column that wants another shows dashes and says so below the table. null: what tables
    and figures name is measured, on the checkpoints that they show, and nothing else."""


class ModelSettings(Settings):
    """A base model: where its weights come from, and how it is spoken to after training."""

    source: Literal["shipped", "build", "folder", "hub"]
    """shipped: a folder of this repository, `path`, verified by its SHA256SUMS. build: the demo base, trained from
    scratch. folder: `path`. hub: a snapshot of `repository`, fetched by `snakemake prefetch` where there is a network.
    """
    path: str | None = None
    """For sources shipped (the demo's base model by default) and folder: a local folder with safetensors weights,
    configuration and tokenizer."""
    repository: str | None = None
    """For source hub: owner/name."""
    revision: str | None = None
    """For source hub: a full commit hash; null takes the one in the lock file (config/sources.lock.yaml), where the
    newest is written down when the model is first fetched. So weights never change under a result."""
    parameters: Annotated[float, Field(gt=0)] | None = None
    """Billions of parameters, from which GPUs, memory and time of its jobs follow; null counts those of a local folder
    or a fetched snapshot, and takes any other model for one of a million."""
    chat_template: str | None = None
    """File with the chat template (Jinja) of all trained checkpoints; null keeps the tokenizer's own."""
    system_prompt: str | None = None
    """System text of every chat, in training and afterwards; null leaves the system turn out."""
    recipes: Unique[Name] | None = None
    """Instead of the experiment's recipes, for this model."""
    iterations: Count | None = None
    """Instead of the experiment's number of iterations, for this model."""

    @model_validator(mode="after")
    def _source_is_complete(self) -> "ModelSettings":
        needed = {"folder": ("path",), "hub": ("repository",)}.get(self.source, ())
        for key in needed:
            if getattr(self, key) is None:
                raise ValueError(f"source {self.source} needs the key {key!r}")
        return self


class InstructionSettings(Settings):
    """How a checkpoint writes instructions: raw continuation of the meta-prompt and a few seed tasks."""

    seed_tasks: str = f"{FETCHED}/self_instruct/seed_tasks.jsonl"
    """File of seed tasks, one JSON object a line in the Self-Instruct format (paper: its 175): `{"id": "mine_1",
    "instruction": "Sort these words.", "instances": [{"input": "pear, fig", "output": "fig, pear"}]}`. Each `id` stands
    once; of the instances the `input` of the first is shown, "" where the task needs none; other keys are not read."""
    meta_prompt: str = "config/prompts/meta_prompt.txt"
    """File with the text before the worked examples; `{demonstrations}` marks their place. The shipped one asks for
    what Alpaca's asks, as the paper's does, in words of our own."""
    demonstrations: Count = 5
    """Seed tasks shown in each prompt, drawn without replacement (authors' scripts: 5)."""
    shard_size: Count = 1000
    """The most instructions kept per shard, the last of which holds what is left of `recipes.<name>.instructions`; each
    shard is a job of its own, with its own seed."""
    prompts_per_shard: Count = 150
    """Prompts continued at first for a shard of `shard_size`, and in proportion for a smaller one. Raised, only the new
    ones are continued; which instructions are kept does not change by it."""
    max_prompts_per_shard: Count | None = None
    """The most prompts continued, in the same proportion, where a shard has too few instructions after the filters; it
    is refilled until then. null: four times `prompts_per_shard`."""
    sampling: Annotated[Sampling, OnTopOf(CONTINUING)] = CONTINUING
    """How the continuation is sampled (authors' scripts: temperature 1, top_p 0.95, 1000 tokens, stop at item 17). A
    key that is left out keeps its default; null switches it off: `stop: null` (or []) stops at no text."""
    filters: InstructionFilters = InstructionFilters()
    """Which candidates are dropped."""

    @model_validator(mode="after")
    def _bound_is_no_less_than_the_beginning(self) -> "InstructionSettings":
        if self.max_prompts_per_shard is not None and self.max_prompts_per_shard < self.prompts_per_shard:
            raise ValueError(
                f"max_prompts_per_shard: found {self.max_prompts_per_shard}, which is less than prompts_per_shard "
                f"{self.prompts_per_shard}"
            )
        return self

    def prompts(self, count: int) -> tuple[int, int]:
        """Return how many prompts a shard of `count` instructions continues at first, and at most."""
        most = self.max_prompts_per_shard or REFILL * self.prompts_per_shard
        first, most = (-(-prompts * count // self.shard_size) for prompts in (self.prompts_per_shard, most))
        return first, most

    def aim(self, count: int, shard: int) -> int:
        """Return how many instructions a shard of `count` should have by its own filters: from the second shard on a
        tenth more, since some will resemble those of earlier ones, which are written at the same time."""
        return count if shard == 0 else math.ceil(1.1 * count)


class ResponseSettings(Settings):
    """How a checkpoint answers: zero-shot, raw as the base model, by its chat template after training."""

    separator: str = ""
    """Between an instruction and its input (authors' scripts: nothing)."""
    sampling: Annotated[Sampling, OnTopOf(ANSWERING)] = ANSWERING
    """How responses are sampled (authors' scripts: temperature 1, top_p 0.95, 1000 tokens). A key that is left out
    keeps its default; null switches it off: `stop: null` (or []) stops at no text."""
    rules: ResponseRules = ResponseRules()
    """Which pairs are dropped before they are scored."""


class AssessmentSettings(Settings):
    """How a checkpoint scores pairs: one raw prompt per pair and criterion."""

    prompts: dict[Name, dict[Name, str]] = Field(PAPER_PROMPTS)
    """Prompt files by name, then by criterion (the default: the paper's); config/prompts/README.md says how one is
    written."""
    sampling: Annotated[Sampling, OnTopOf(ANSWERING)] = ANSWERING
    """How assessments are sampled (authors' scripts: as responses). A key that is left out keeps its default; null
    switches it off: `stop: null` (or []) stops at no text."""
    min_readable_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    """The share of the assessments whose score must be readable. A job stops early, from its 50th assessment on, where
    fewer are, and says so where that is so at its end, of 20 or more; 0 never stops one. No result depends on it."""


class RecipeSettings(Settings):
    """All that turns one checkpoint into the next."""

    iterations: Count | None = None
    """Instead of the model's or experiment's number of iterations, for this recipe."""
    instructions: Count = 10_000
    """How many instructions each checkpoint writes for the next one, after all filters (paper: 10,000)."""
    assessment: Name = "combined"
    """Which of `assessment.prompts` scores the pairs (paper, Table 1: combined). Left out where there is but one: that
    one."""
    judge: Literal["current", "base"] = "current"
    """Who scores: the checkpoint that wrote the pairs (paper, Algorithm 1), or the base (authors' scripts)."""
    selection: SelectionSettings = SelectionSettings()
    """Which pairs become training data."""
    start_from: Literal["base", "last"] = "base"
    """Train the base model anew in each iteration (paper: One_base), or go on from the last checkpoint (One_last)."""
    data: Literal["last", "all"] = "last"
    """Train on the newest checkpoint's pairs, or on those of all checkpoints so far (paper: Total_base)."""
    training: TrainingSettings = TrainingSettings()
    """Fine-tuning."""


class PublishedYield(Settings):
    """Which published yield belongs to which iteration."""

    model: Name
    """Name of the model."""
    recipe: Name
    """Name of the recipe."""
    iteration: Count
    """The iteration that is trained on the data."""
    data: str
    """Its row in the file of published yields."""


class YieldSettings(Settings):
    """How much the method's filter kept in the authors' runs."""

    published: str | None = None
    """csv file of published yields; null: the table of what the data looks like shows ours alone."""
    rows: Unique[PublishedYield] = ()
    """Which of its rows belong to which iteration."""
    notes: tuple[str, ...] = ()
    """Sentences that stand below the table of what the data looks like."""


class RuntimeSettings(Settings):
    """What cannot change a result, and so reruns nothing."""

    batch_size: Count = 128
    """Prompts that the transformers engine answers at once; less needs less memory."""
    threads: Count = 1
    """CPU threads of each job that runs a model."""
    shared_texts: str | None = None
    """A folder in which experiments share what models write: where the same checkpoint was asked for the same texts,
    with the same settings, seed, code and versions, they are taken from there. null: each experiment writes its own."""
    micro_batch_size: Count = 1
    """Pairs per device and forward pass in training; must divide training.batch_size."""
    judge_concurrency: Count = 8
    """Requests to a judge's API at the same time."""
    judge_attempts: Count = 6
    """How often a request to a judge's API is tried before the job gives up and keeps what was answered."""
    judge_timeout: Count = 120
    """Seconds that one answer of a judge's API may take."""
    judge_spending_limit: Annotated[int, Field(ge=0)] = 0
    """The most that one job may spend on a judge's API, in hundredths of the prices' currency; 0 sets no limit."""


class Config(Settings):
    """A whole configuration file."""

    experiment: ExperimentSettings
    """What is computed."""
    models: dict[Name, ModelSettings] = Field(default_factory=dict)
    """The base models, by name."""
    engine: EngineSettings = EngineSettings()
    """The program that writes every text."""
    runtime: RuntimeSettings = RuntimeSettings()
    """What cannot change a result."""
    hardware: HardwareSettings = HardwareSettings()
    """The machines that jobs run on; it cannot change a result either."""
    instructions: InstructionSettings = InstructionSettings()
    """How a checkpoint writes instructions."""
    responses: ResponseSettings = ResponseSettings()
    """How a checkpoint answers them."""
    assessment: AssessmentSettings = AssessmentSettings()
    """How a checkpoint scores its answers."""
    embedding: EmbeddingSettings = EmbeddingSettings()
    """How a pair becomes a vector, for the density filters and for projections."""
    recipes: dict[Name, RecipeSettings] = Field(default_factory=dict)
    """The recipes, by name; `extends: <name>` takes everything not written from another one."""
    judges: dict[Name, JudgeSettings] = Field(default_factory=dict)
    """The judges of AlpacaEval and MT-Bench, by name."""
    benchmarks: dict[Name, BenchmarkSettings]
    """The benchmarks, by name. A configuration that declares none includes config/defaults.yaml, which has two that
    need neither a network nor a judge."""
    baselines: dict[Name, BaselineSettings] = Field(default_factory=dict)
    """Rows of the tables without a checkpoint, by name: published answers or judgments, scored by the same rules."""
    fetch: FetchSettings = FetchSettings()
    """Where published files come from."""
    tables: dict[Name, TableSettings] = Field(default_factory=dict)
    """The tables, by name."""
    cases: dict[Name, CaseSettings] = Field(default_factory=dict)
    """Tables of single pairs, by name."""
    yields: YieldSettings = YieldSettings()
    """Published yields, beside ours in the table `data`."""
    figures: dict[Name, FigureSettings] = Field(default_factory=dict)
    """The figures, by name."""
    agreements: dict[Name, AgreementSettings] = Field(default_factory=dict)
    """How far two judges agree on the same answers, tables by name."""
    claims: dict[Name, ClaimSettings] = Field(default_factory=dict)
    """What the paper says in its text, recomputed from its printed numbers and from ours, by name."""

    @model_validator(mode="before")
    @classmethod
    def _recipes_take_what_prompts_there_are(cls, raw: object) -> object:
        """A recipe that names no prompts has the only ones there are; one that names no criteria, all of its prompts'.

        What is no section is left to the checks that follow.
        """
        recipes, assessment = section(raw, "recipes"), section(raw, "assessment")
        prompts = section(assessment, "prompts") or PAPER_PROMPTS
        only = {"assessment": next(iter(prompts))} if len(prompts) == 1 else {}
        filled = {}
        for name, recipe in recipes.items():
            if not isinstance(recipe, dict) or not isinstance(recipe.get("selection", {}), dict):
                continue
            recipe = only | recipe
            criteria = list(section(prompts, recipe.get("assessment", "combined")))
            every = {"criteria": criteria} if criteria else {}
            filled[name] = recipe | {"selection": every | recipe.get("selection", {})}
        return raw | {"recipes": recipes | filled} if filled else raw

    @model_validator(mode="after")
    def _names_exist(self) -> "Config":
        for key, defined in {
            "models": self.models,
            "recipes": self.recipes,
            "benchmarks": self.benchmarks,
            "baselines": self.baselines,
        }.items():
            for name in getattr(self.experiment, key) or ():
                _require(name, defined, f"experiment.{key}", f"add it to {key}")
        if not self.experiment.models and (self.experiment.recipes or not self.experiment.baselines):
            raise ValueError("experiment.models: found none; name a model, or only baselines and no recipe")
        for name, recipe in self.recipes.items():
            _require(
                recipe.assessment,
                self.assessment.prompts,
                f"recipes.{name}.assessment",
                "add its prompt files",
            )
            for criterion in recipe.selection.criteria if recipe.selection.method == "scores" else ():
                where = f"recipes.{name}.selection.criteria"
                advice = (
                    f"add its prompt file as assessment.prompts.{recipe.assessment}.{criterion}, or leave the key out: "
                    "all that are allowed"
                )
                _require(criterion, self.assessment.prompts[recipe.assessment], where, advice)
            if recipe.training.batch_size % self.runtime.micro_batch_size:
                raise ValueError(
                    f"runtime.micro_batch_size: found {self.runtime.micro_batch_size}, which does not divide "
                    f"recipes.{name}.training.batch_size {recipe.training.batch_size}"
                )
        self._names_are_free()
        self._judges_exist()
        self._judges_share_answers()
        for name, model in self.models.items():
            for recipe in model.recipes or ():
                _require(recipe, self.recipes, f"models.{name}.recipes", "add it to recipes")
        self._tables_and_figures_are_computed()
        return self

    def _names_are_free(self) -> None:
        """No name is that of a folder or file that the results have anyway, or that another entry has."""
        if self.experiment.name == RESERVED_EXPERIMENT:
            raise ValueError(
                f"experiment.name: {RESERVED_EXPERIMENT!r} is the folder of what was fetched, choose another name"
            )
        taken = {
            "models": (RESERVED_MODELS, "a folder of every experiment's results"),
            "recipes": ((RESERVED_RECIPE,), "the folder of the untouched base model"),
            "tables": (RESERVED_TABLES, "a table that every experiment has"),
            "agreements": ((*RESERVED_TABLES, *self.tables), "the name of a table"),
            "cases": ((*RESERVED_TABLES, *self.tables, *self.agreements), "the name of a table"),
            "figures": ((*RESERVED_TABLES, *self.tables, *self.agreements, *self.cases), "the name of a table"),
        }
        for key, (names, what) in taken.items():
            for name in getattr(self, key):
                if name in names:
                    raise ValueError(f"{key}.{name}: {name!r} is {what}, choose another name")

    def _tables_and_figures_are_computed(self) -> None:
        columns = [(f"tables.{name}.columns", c) for name, table in self.tables.items() for c in table.columns]
        figures = [
            (f"figures.{name}.panels", f.panels) for name, f in self.figures.items() if f.kind in KINDS_WITH_SCORES
        ]
        for where, column in columns + [(where, panel) for where, panels in figures for panel in panels]:
            _require(column.benchmark, self.benchmarks, where, "add it to benchmarks")
            computed = metrics_of(self.benchmarks[column.benchmark])
            if computed and "{" not in column.metric:
                advice = "name a benchmark that reports it"
                _require(column.metric, computed, where, advice)
        self._figures_are_measured()
        for name, claim in self.claims.items():
            _require(claim.table, self.tables, f"claims.{name}.table", "add it to tables")
            labels = [column.label for column in self.tables[claim.table].columns]
            for label in claim.columns:
                _require(label, labels, f"claims.{name}.columns", f"add it to the table {claim.table}")

    def _figures_are_measured(self) -> None:
        """A panel without a single score is no figure, while a table's column of dashes says something."""
        measured = self.experiment.benchmarks
        for name, figure in self.figures.items():
            for panel in figure.panels if figure.kind in KINDS_WITH_SCORES and measured is not None else ():
                if panel.benchmark not in measured:
                    raise ValueError(
                        f"figures.{name}.panels: {panel.benchmark!r} is not in experiment.benchmarks; add it there, "
                        f"leave out the panel, or the figure (figures: {{{name}: null}})"
                    )

    def _judges_share_answers(self) -> None:
        """What names another benchmark's answers, or two judges of the same ones."""
        for name, benchmark in self.benchmarks.items():
            shared = benchmark.answers_of if benchmark.kind in JUDGED else None
            if shared is None:
                continue
            where = f"benchmarks.{name}.answers_of"
            _require(shared, self.benchmarks, where, "add it to benchmarks")
            other = self.benchmarks[shared]
            if other.kind != benchmark.kind or other.answers_of is not None:
                raise ValueError(
                    f"{where}: found {shared!r}, but it must be a benchmark of kind {benchmark.kind} that has answers "
                    "of its own"
                )
            for baseline, files in self.baselines.items():
                own, others = files.benchmarks.get(name), files.benchmarks.get(shared)
                if own is not None and (others is None or own.answers != others.answers):
                    raise ValueError(
                        f"baselines.{baseline}.benchmarks.{name}.answers: {name} judges the answers of {shared}; "
                        "give both the same file"
                    )
        for name, table in self.agreements.items():
            for benchmark in table.benchmarks:
                _require(benchmark, self.benchmarks, f"agreements.{name}.benchmarks", "add it to benchmarks")
            first, second = (self.benchmarks[benchmark] for benchmark in table.benchmarks)
            if second.kind not in JUDGED or second.answers_of != table.benchmarks[0] or first.kind != second.kind:
                raise ValueError(
                    f"agreements.{name}.benchmarks: both must judge the same answers; give {table.benchmarks[1]} the "
                    f"key answers_of: {table.benchmarks[0]}"
                )

    def _judges_exist(self) -> None:
        for name, judge in self.judges.items():
            if judge.model is not None:
                _require(judge.model, self.models, f"judges.{name}.model", "add it to models")
        for name, benchmark in self.benchmarks.items():
            if benchmark.kind in JUDGED:
                _require(benchmark.judge, self.judges, f"benchmarks.{name}.judge", "add it to judges")
        for name, baseline in self.baselines.items():
            for benchmark, files in baseline.benchmarks.items():
                where = f"baselines.{name}.benchmarks"
                _require(benchmark, self.benchmarks, where, "add it to benchmarks")
                kind = self.benchmarks[benchmark].kind
                if files.judgments is not None and kind not in JUDGED:
                    raise ValueError(f"{where}.{benchmark}.judgments: a benchmark of kind {kind} has no judge")
                if files.missing and kind != "alpaca_eval":
                    raise ValueError(f"{where}.{benchmark}.missing: only AlpacaEval's files may lack items; remove it")
                if files.answers is None and (files.judgments is None or kind != "alpaca_eval"):
                    raise ValueError(f"{where}.{benchmark}.answers: missing; only AlpacaEval's judgments hold them too")


def section(content: object, key: object) -> dict:
    """Return a section of a configuration that has yet to be checked; an empty one where it is none."""
    section = content.get(key) if isinstance(content, dict) and isinstance(key, str) else None
    return section if isinstance(section, dict) else {}


def _require(name: str, defined: Iterable[str], where: str, advice: str) -> None:
    if name not in defined:
        raise ValueError(f"{where}: found {name!r}, allowed: {listed(defined)}{nearest(name, defined)}; or {advice}")

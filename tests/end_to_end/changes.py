"""What a user changes, and exactly which jobs that redoes on the finished results of small.yaml.

A job is named by its outputs below results/small/. Homes: `demo/seed1/base` and `demo/seed1/<recipe>/iter<t>`.
"""

from dataclasses import dataclass, field

CONFIG, SMALL = "config/config.yaml", "small.yaml"
BASE, SHARDS = "base", (0, 1)
ONE, TWO, LAST, PLAIN, LORA, DENSE = (
    *("one_base/iter1", "one_base/iter2", "all_last/iter2"),
    *("self_instruct/iter1", "adapter/iter1", "dense/iter1"),
)
TRAINED = (ONE, TWO, LAST, PLAIN, LORA, DENSE)
SCORED = (ONE, TWO, LAST, LORA)
"""Checkpoints that are trained on pairs with high scores."""


@dataclass(frozen=True)
class Change:
    """Replace `old` by `new` in `file`; `jobs`: rule → outputs that must be made again, and no others.

    Where there is any, the report is made again as well, and need not be named."""

    file: str
    old: str
    new: str
    jobs: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self):
        if self.jobs:
            object.__setattr__(self, "jobs", self.jobs | {"make_report": {"report"}})


def merged(*parts: dict[str, set[str]]) -> dict[str, set[str]]:
    together: dict[str, set[str]] = {}
    for part in parts:
        for rule, outputs in part.items():
            together[rule] = together.get(rule, set()) | outputs
    return {rule: outputs for rule, outputs in together.items() if outputs}


def of(homes, *names):
    """Files in homes of the only seed."""
    return {f"demo/seed1/{home}/{name}" for home in homes for name in names}


def in_shards(homes, *names):
    return of(homes, *(name.format(shard=shard) for name in names for shard in SHARDS))


def scores_of(homes, criteria=("quality", "following"), prompt="combined"):
    """The jobs that score pairs: those of the base, the checkpoint's own, and for all_last the base's judgment."""
    return {
        "assess_pairs": {
            output
            for home, judge in homes
            for criterion in criteria
            for output in in_shards([home], f"assessment/{prompt}/{judge}/{criterion}/shard{{shard}}.jsonl")
        }
    }


WRITTEN = {
    "write_instructions": ("continuations/shard{shard}.jsonl",),
    "select_instructions": ("instructions/shard{shard}.jsonl", "instructions/shard{shard}.rejected.jsonl"),
    "write_responses": ("responses/shard{shard}.jsonl",),
    "filter_responses": ("pairs/shard{shard}.jsonl",),
}


def written_by(homes, first="write_instructions"):
    """The jobs in which checkpoints write pairs, from the stage `first` on."""
    rules = list(WRITTEN)
    return {rule: in_shards(homes, *WRITTEN[rule]) for rule in rules[rules.index(first) :]}


def selected_for(homes):
    return {
        "select_pairs": of(homes, "training_set.jsonl", "validation_set.jsonl", "ledger.jsonl", "selection.json"),
        "profile_data": of(homes, "data.json"),
        "check_contamination": of(homes, "contamination.json"),
    }


def trained(homes):
    return {
        "train_all_weights": of([home for home in homes if home != LORA], "weights"),
        "train_adapter": of([home for home in homes if home == LORA], "adapter"),
    }


def measured(homes, *benchmarks):
    return {"measure": of(homes, *(f"benchmarks/{b}/{f}" for b in benchmarks for f in ("items.jsonl", "result.json")))}


def compared(homes, first="answer_alpaca_eval"):
    files = {
        "answer_alpaca_eval": ("outputs.json", "answered_by.json"),
        "judge_alpaca_eval": ("annotations.json", "usage.json"),
        "score_alpaca_eval": ("items.jsonl", "result.json"),
    }
    rules = list(files)
    return {
        rule: of(homes, *(f"benchmarks/alpaca_eval/{file}" for file in files[rule]))
        for rule in rules[rules.index(first) :]
    }


def forms(*names, suffixes=("csv", "md", "tex")):
    return {f"tables/{name}.{suffix}" for name in names for suffix in suffixes}


SIGNIFICANCE = {
    "ifeval": {"tables/main/significance.ifeval.csv"},
    "choice": {"tables/main/significance.choice.csv"},
    "alpaca_eval": {"tables/judged/significance.alpaca_eval.csv"},
}
ALL_SCORES = {"collect_scores": {"tables/scores.csv"}}
SWEEP = {"plot_sweep": {"figures/recipes.svg", "figures/recipes.pdf", "figures/recipes.csv"}}
SHARE = {"plot_share": {"figures/figure_3.svg", "figures/figure_3.pdf", "figures/figure_3.csv"}}
PLANE = {"plot_projection": {"figures/plane.svg", "figures/plane.pdf", "figures/plane.csv"}}


SHOWN_IN_SWEEP = {ONE, PLAIN}


def tables_of(homes, *benchmarks):
    """What follows from new results of these checkpoints in these benchmarks: scores, significance, tables, sweep."""
    main, judged = {"ifeval", "choice"} & set(benchmarks), "alpaca_eval" in benchmarks
    sweep = "ifeval" in benchmarks and SHOWN_IN_SWEEP & set(homes)
    parts = [name for name, shown in (("main", main), ("judged", judged), ("recipes", sweep)) if shown]
    return merged(
        ALL_SCORES,
        {"collect_scores_of_table": {f"tables/{part}/scores.csv" for part in parts}},
        {"compare_iterations": set().union(*(SIGNIFICANCE[benchmark] for benchmark in benchmarks))},
        {"make_table": forms(*(part for part in parts if part != "recipes"))},
        SWEEP if sweep else {},
    )


def reports_on(homes):
    """What follows from the new training sets of these checkpoints; the table `judged` shows one of them."""
    tables = ["main", *(["judged"] if ONE in homes else [])]
    return {
        "make_data_table": forms("data"),
        "make_contamination_table": forms("contamination"),
        "collect_contamination": {f"tables/{table}/contamination.csv" for table in tables},
    }


def from_selection(homes):
    """What follows from new training sets: everything after them, but for pairs that their checkpoints write."""
    judged = [home for home in homes if home == ONE]
    return merged(
        selected_for(homes),
        trained(homes),
        measured(homes, "ifeval", "choice"),
        compared(judged),
        tables_of(homes, "ifeval", "choice", *(["alpaca_eval"] if judged else [])),
        reports_on(homes),
    )


SCORED_AGAIN = merged(
    written_by([ONE]),
    scores_of([(ONE, "current"), (ONE, "base")]),
    from_selection(SCORED),
    SHARE,
)
"""What follows from a new training set of every recipe that keeps what is scored high."""

BASE_WRITES_AGAIN = merged(
    scores_of([(BASE, "current"), (ONE, "current"), (ONE, "base")]),
    written_by([ONE]),
    {
        "measure_perplexity": in_shards([BASE], "perplexity/current/shard{shard}.jsonl"),
        "embed_pairs": in_shards([BASE], "vectors/current/shard{shard}.npz"),
        "cluster_pairs": of([DENSE], "clusters.jsonl"),
    },
    from_selection(TRAINED),
    SHARE,
    PLANE,
)
"""What follows from new pairs of the base model: everything but the base model's own benchmarks."""

NOTHING = {
    "batch size": Change(CONFIG, "batch_size: 128", "batch_size: 7"),
    "threads": Change(CONFIG, "threads: 1 ", "threads: 2 "),
    "micro batch": Change(CONFIG, "micro_batch_size: 16", "micro_batch_size: 4"),
    "GPUs": Change(CONFIG, "  gpus_per_node: 0 ", "  gpu_memory_gib: 40\n  gpus_per_node: 8 "),
    "comment": Change("scripts/write_responses.py", "    requests = []\n", "    requests = []  # none yet\n"),
    "docstring": Change("scripts/isheep/data/selection.py", '"""Count the pairs', '"""Tell how many pairs'),
    "formatting": Change("scripts/isheep/data/prompts.py", "    return [*system", "\n    return [*system"),
    "threshold of a recipe that asks for no score": Change(SMALL, "clusters: 20}", "clusters: 20, threshold: 3}"),
}

REPORT = {"make_report": {"report"}}
"""What follows from a key that is shown with the configuration, and that no other job uses."""

EXACT = {
    "bound of prompts": Change(
        SMALL, "prompts_per_shard: 40", "prompts_per_shard: 40\n  max_prompts_per_shard: 99", REPORT
    ),
    "share of readable scores": Change(CONFIG, "\nassessment:\n", "\nassessment:\n  min_readable_share: 0.2\n", REPORT),
    "threshold": Change(CONFIG, "threshold: 8", "threshold: 7", SCORED_AGAIN),
    "assessment prompt": Change(
        "config/demo/prompts/assessment/combined_quality.yaml",
        "Strict expert",
        "Very strict expert",
        merged(SCORED_AGAIN, scores_of([(BASE, "current")], ["quality"])),
    ),
    "another assessment prompt": Change(
        CONFIG,
        "assessment: combined ",
        "assessment: simple ",
        merged(
            written_by([ONE]),
            scores_of([(BASE, "current"), (ONE, "current"), (ONE, "base")], prompt="simple"),
            from_selection(SCORED),
            SHARE,
        ),
    ),
    "judge of one recipe": Change(SMALL, "    judge: base\n", "    judge: current\n", from_selection([LAST])),
    "filter word": Change(
        CONFIG,
        "        image, images,",
        "        zebra, image, images,",
        merged(written_by([BASE], "select_instructions"), BASE_WRITES_AGAIN),
    ),
    "sampling temperature of responses": Change(
        CONFIG,
        "sampling: {temperature: 1.0, top_p: 1.0, max_tokens: 80, stop: []}",
        "sampling: {temperature: 0.9, top_p: 1.0, max_tokens: 80, stop: []}",
        merged(written_by([BASE], "write_responses"), BASE_WRITES_AGAIN),
    ),
    "response rule": Change(
        CONFIG,
        'separator: " " ',
        'rules: {chinese: false}\n  separator: " " ',
        merged(written_by([BASE], "filter_responses"), BASE_WRITES_AGAIN),
    ),
    "number of clusters": Change(
        SMALL,
        "clusters: 20",
        "clusters: 21",
        merged({"cluster_pairs": of([DENSE], "clusters.jsonl")}, from_selection([DENSE])),
    ),
    "LoRA rank": Change(
        SMALL,
        "rank: 16",
        "rank: 8",
        merged(trained([LORA]), measured([LORA], "ifeval", "choice"), tables_of([LORA], "ifeval", "choice")),
    ),
    "how adapters are served": Change(
        CONFIG,
        "engine:\n",
        "engine:\n  adapters: merged\n",
        merged(
            {"merge_adapter": of([LORA], "weights")},
            measured([LORA], "ifeval", "choice"),
            tables_of([LORA], "ifeval", "choice"),
        ),
    ),
    "how many pairs are trained on": Change(
        SMALL, "lora: {rank: 16", "max_samples: 9\n      lora: {rank: 16", from_selection([LORA])
    ),
    "shots of one task": Change(
        SMALL,
        "choice: {limit: 40}",
        "choice: {limit: 40, num_fewshot: 0}",
        merged(measured((BASE, *TRAINED), "choice"), tables_of(TRAINED, "choice")),
    ),
    "judge model": Change(
        CONFIG,
        "demo: {model: demo_judge,",
        "demo: {model: demo,",
        merged(compared([BASE, ONE], "judge_alpaca_eval"), tables_of([BASE, ONE], "alpaca_eval")),
    ),
    "one benchmark more in a table": Change(
        SMALL,
        "label: multiple choice}\n  judged",
        "label: multiple choice}\n      - {benchmark: ifeval_greedy, metric: prompt_level_strict_acc, label: greedy}\n"
        "  judged",
        merged(
            measured((BASE, *TRAINED), "ifeval_greedy"),
            {
                "list_test_items": {"test_items/ifeval_greedy.jsonl"},
                "check_contamination": of(TRAINED, "contamination.json"),
                "make_contamination_table": forms("contamination"),
                "collect_contamination": reports_on(TRAINED)["collect_contamination"],
                "collect_scores_of_table": {"tables/main/scores.csv"},
                "compare_iterations": {"tables/main/significance.ifeval_greedy.csv"},
                "make_table": forms("main", "judged"),
            },
            ALL_SCORES,
        ),
    ),
    "note of a benchmark": Change(
        SMALL,
        "choice: {limit: 40}",
        "choice: {limit: 40, note: A sentence.}",
        merged(ALL_SCORES, {"collect_scores_of_table": {"tables/main/scores.csv"}, "make_table": forms("main")}),
    ),
    "caption of a table": Change(
        CONFIG, "caption: The demo world", "caption: A demo world", {"make_table": forms("main")}
    ),
    "columns of a table": Change(
        SMALL,
        "label: multiple choice}\n  judged",
        "label: choice}\n  judged",
        {"make_table": forms("main")},
    ),
    "caption of a figure": Change(SMALL, "Share of the scored", "The share of the scored", SHARE),
    "points of a figure": Change(
        SMALL, "sample: 100", "sample: 90", merged({"embed_reference": {"figures/plane/reference.npz"}}, PLANE)
    ),
    "function of the tables": Change(
        "scripts/isheep/report/table_numbers.py", "ddof=1", "ddof=0", {"make_table": forms("main", "judged")}
    ),
    "function of the selection": Change(
        "scripts/isheep/data/selection.py",
        "<= settings.threshold",
        "< settings.threshold",
        merged(SCORED_AGAIN, from_selection(TRAINED)),
    ),
    "training program": Change(
        "scripts/train.py",
        "logging_steps=10",
        "logging_steps=20",
        merged(
            trained(TRAINED),
            written_by([ONE]),
            scores_of([(ONE, "current"), (ONE, "base")]),
            selected_for([TWO, LAST]),
            measured(TRAINED, "ifeval", "choice"),
            compared([ONE]),
            tables_of(TRAINED, "ifeval", "choice", "alpaca_eval"),
            reports_on([TWO, LAST]),
            SHARE,
        ),
    ),
    "style of the report": Change(
        "scripts/isheep/report/browser/style.css",
        "color-scheme: light dark",
        "color-scheme: light",
        REPORT,
    ),
    "function of the report": Change("scripts/isheep/report/content.py", "EXAMPLES = 3", "EXAMPLES = 4", REPORT),
}

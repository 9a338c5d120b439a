# What tables, figures and the report are made from. Input functions, no rules.
from types import SimpleNamespace

from isheep.config.kept_configuration import shown_configuration
from isheep.config.schema import WITHOUT_EFFECT
from isheep.data.ledger import SELECTION_RECORD
from isheep.report.tables import TableSettings

# Every result record of the experiment.
GRID = MATRIX.grid(RESULTS, MATRIX.needed_by_all())
FIGURES = {
    kind: [name for name, figure in CONFIG.figures.items() if figure.kind == kind]
    for kind in ("sweep", "curve", "share", "projection")
}
# The declared tables, and those that every experiment has where it has what they are about.
TABLES = [*CONFIG.tables, *CONFIG.agreements, *CONFIG.cases, *(["claims"] if CONFIG.claims else [])]
TABLES += ["data", "contamination"] if MATRIX.trained() else []
CLAIMED_TABLES = list(dict.fromkeys(claim.table for claim in CONFIG.claims.values()))


def of_trained(file, checkpoints=None):
    """Where a file of each trained checkpoint lies, with what it is of."""
    return [
        {
            "model": model,
            "seed": seed,
            **dict(zip(("recipe", "iteration"), recipe_and_iteration(checkpoint))),
            "path": f"{RESULTS}/{model}/seed{seed}/{checkpoint}/{file}",
        }
        for model, checkpoint in (MATRIX.trained() if checkpoints is None else checkpoints)
        for seed in CONFIG.experiment.seeds
    ]


def profiles_of_trained():
    """The profile of each training set, and the published yield that belongs to it, if any."""
    published = {
        (entry.model, MATRIX.checkpoint(entry.model, entry.recipe, entry.iteration)): entry.data
        for entry in CONFIG.yields.rows
    }
    return [
        place | {"published": published.get((place["model"], f"{place['recipe']}/iter{place['iteration']}"))}
        for place in of_trained("data.json")
    ]


def grid_of(wildcards):
    """The result records of one table or figure."""
    name = wildcards.part
    needed = MATRIX.needed_by_table(name) if name in CONFIG.tables else MATRIX.needed_by_figure(name)
    return MATRIX.grid(RESULTS, needed)


def grid_of_agreement(wildcards):
    """The result records of one table of two judges' agreement."""
    return MATRIX.grid(RESULTS, MATRIX.needed_by_agreement(wildcards.agreement))


def judged_by_two(wildcards):
    """The items that two judges have rated, and their result records."""
    results = [path for path, _ in grid_of_agreement(wildcards).records()]
    return [*results, *(str(Path(path).with_name("items.jsonl")) for path in results)]


def configured_of_part(wildcards):
    """What the configuration says of the results in one table or figure."""
    return CONFIGURED.restricted_to(grid_of(wildcards)).model_dump_json()


def rows_of_table(wildcards):
    return MATRIX.rows(CONFIG.tables[wildcards.table])


def benchmarks_of_table(wildcards):
    """The benchmarks of a table's columns that are measured."""
    named = dict.fromkeys(column.benchmark for column in CONFIG.tables[wildcards.table].columns)
    return [name for name in named if MATRIX.is_measured(name)]


def comparisons(wildcards):
    """Each checkpoint of a table and the one before it, where both are measured; their items, a file a seed."""
    items = f"{RESULTS}/{{model}}/seed{{seed}}/{{owner}}/benchmarks/{wildcards.benchmark}/items.jsonl"
    measured = GRID.measured
    pairs = {
        (row.model, row.checkpoint, row.previous)
        for row in rows_of_table(wildcards)
        if row.previous is not None
        and all(wildcards.benchmark in measured[row.model].get(c, ()) for c in (row.checkpoint, row.previous))
    }
    return [
        {
            "model": model,
            "checkpoint": checkpoint,
            "previous": previous,
            "items": expand(items, model=model, seed=CONFIG.experiment.seeds, owner=checkpoint),
            "previous_items": expand(items, model=model, seed=CONFIG.experiment.seeds, owner=previous),
        }
        for model, checkpoint, previous in sorted(pairs)
    ]


def compared_items(wildcards):
    """The items that are compared, and the records that say which metrics are means over them."""
    pairs = comparisons(wildcards)
    items = sorted({file for pair in pairs for file in [*pair["items"], *pair["previous_items"]]})
    return [*items, *(str(Path(file).with_name("result.json")) for file in items)]


def significance_of_table(wildcards):
    """The tests of a table's benchmarks, of those in which two of its checkpoints follow each other."""
    files = [f"{RESULTS}/tables/{wildcards.table}/significance.{name}.csv" for name in benchmarks_of_table(wildcards)]
    compared = any(row.previous is not None for row in rows_of_table(wildcards))
    return files if compared else []


def trained_in_table(wildcards):
    """The trained checkpoints in a table, each once."""
    rows = rows_of_table(wildcards)
    return dict.fromkeys((row.model, row.checkpoint) for row in rows if row.previous is not None)


def contamination_of_table(wildcards):
    """The contamination reports of the trained checkpoints in a table."""
    return of_trained("contamination.json", trained_in_table(wildcards))


def selections_of_table(wildcards):
    """The records that say which pairs the trained checkpoints in a table are trained on."""
    return of_trained("selection.json", trained_in_table(wildcards))


def contamination_csv_of_table(wildcards):
    return [f"{RESULTS}/tables/{wildcards.table}/contamination.csv"] if contamination_of_table(wildcards) else []


def contamination_flag(wildcards):
    return as_flags({"contamination": next(iter(contamination_csv_of_table(wildcards)), None)})


def published_of_table(wildcards):
    """The paper's numbers, and the remarks on them."""
    published = CONFIG.tables[wildcards.table].published
    return [published, str(Path(published).with_name("remarks.csv"))] if published else []


def published_flag(wildcards):
    return as_flags({"published": CONFIG.tables[wildcards.table].published})


def figure_settings(wildcards):
    return MATRIX.figure(wildcards.figure).model_dump_json()


def sweep_points(wildcards):
    """Whose scores stand where in a figure of kind sweep."""
    figure = MATRIX.figure(wildcards.figure)
    return [
        {
            "x": point.x,
            "iteration": iteration,
            "model": figure.model,
            "checkpoint": MATRIX.checkpoint(figure.model, point.recipe, iteration),
        }
        for point in figure.points
        for iteration in figure.iterations
    ]


def selections_of_sweep(wildcards):
    """The records that say which pairs the checkpoints in a figure of kind sweep are trained on."""
    shown = dict.fromkeys((point["model"], point["checkpoint"]) for point in sweep_points(wildcards))
    return of_trained("selection.json", shown)


def with_selections(ledgers):
    """These ledgers, and the records of their selections, which have their checksums."""
    return [file for ledger in ledgers for file in (ledger, str(Path(ledger).with_name(SELECTION_RECORD)))]


def ledgers_of_figure(wildcards):
    """The ledgers of the iterations in a figure of kind share."""
    figure = MATRIX.figure(wildcards.figure)
    shown = [(figure.model, MATRIX.checkpoint(figure.model, figure.recipe, t)) for t in figure.iterations]
    return [{key: place[key] for key in ("iteration", "seed", "path")} for place in of_trained("ledger.jsonl", shown)]


def files_of_cases(wildcards):
    """The ledgers of the iterations in a table of single pairs, and the pairs that are new in each."""
    cases = CONFIG.cases[wildcards.cases]
    seed = CONFIG.experiment.seeds[0]
    files = []
    for iteration in cases.iterations:
        owner = MATRIX.checkpoint(cases.model, cases.recipe, iteration)
        author = MATRIX.checkpoint(cases.model, cases.recipe, iteration - 1)
        home = f"{RESULTS}/{cases.model}/seed{seed}"
        pairs = [f"{home}/{author}/pairs/shard{shard}.jsonl" for shard in MATRIX.shards(cases.recipe)]
        files.append({"iteration": iteration, "ledger": f"{home}/{owner}/ledger.jsonl", "pairs": pairs})
    return files


def vectors_of_figure(wildcards):
    """The vectors, in the base model, of the pairs that each iteration in a figure of kind projection is made from."""
    figure = MATRIX.figure(wildcards.figure)
    home = f"{RESULTS}/{figure.model}/seed{CONFIG.experiment.seeds[0]}"
    return [
        {
            "iteration": iteration,
            "paths": [
                f"{home}/{owner}/vectors/{'current' if owner == 'base' else 'base'}/shard{shard}.npz"
                for owner in [MATRIX.checkpoint(figure.model, figure.recipe, iteration - 1)]
                for shard in MATRIX.shards(figure.recipe)
            ],
        }
        for iteration in figure.iterations
    ]


def reference_of_figure(wildcards):
    """The reference set of a figure of kind projection: a file, or a hub data set that is fetched."""
    reference = CONFIG.figures[wildcards.figure].reference
    return f"{HUB_CACHE}/{SOURCES.hub[reference].folder}" if reference in SOURCES.hub else reference


def test_item_source(wildcards):
    """The file that a benchmark's test items are read from; the files of an lm-eval task of our own."""
    keys = {"lm_eval": "files", "alpaca_eval": "reference", "mt_bench": "questions", "programs": "problems"}
    settings = benchmark(wildcards)
    return getattr(settings, keys[settings.kind])


def test_item_flags(wildcards):
    """Flags that say where the test items are read from, and which of them count."""
    settings = benchmark(wildcards)
    source = as_flags({"source": test_item_source(wildcards)})
    if settings.kind == "programs":
        return f"{source} {chosen_problems(wildcards)}"
    if settings.kind != "lm_eval":
        return source
    flags = {
        "task": settings.task,
        "hub-data": HUB_CACHE if settings.hub else None,
        "limit": settings.limit,
        "exclude": excluded_items(settings),
    }
    return f"{source} {as_flags(flags)}"


# What the report's page is put together from, so that a change of it makes the report again.
PAGE_FILES = [shipped(f"scripts/isheep/report/browser/{name}") for name in ("page.html", "style.css", "report.js")]
# The trained checkpoints, with those that wrote the pairs which each was chosen from.
ITERATIONS = [
    {
        "model": model,
        "recipe": recipe,
        "iteration": iteration,
        "sources": source_checkpoints(SimpleNamespace(model=model, recipe=recipe, iteration=iteration)),
        "shards": len(MATRIX.shards(recipe)),
    }
    for model, checkpoint in MATRIX.trained()
    for recipe, iteration in [recipe_and_iteration(checkpoint)]
]


def every_row():
    """A row for each baseline, each base model, and each iteration of each recipe."""
    return MATRIX.rows(TableSettings(caption="", columns=()))


def benchmarks_shown():
    """Each benchmark that measures anything, with the metric that stands first for it in the tables."""
    columns = [column for table in CONFIG.tables.values() for column in table.columns if "{" not in column.metric]
    first = {column.benchmark: column for column in reversed(columns)}
    shown = []
    for name in dict.fromkeys(what["benchmark"] for _, what in GRID.records()):
        column, settings = first.get(name), CONFIG.benchmarks[name]
        keys = {"mt_bench": ("questions", "answers_of"), "programs": ("problems", "format")}.get(settings.kind, ())
        of_tables = {"metric": column.metric, "percent": column.percent} if column else {}
        shown.append({"name": name, "kind": settings.kind, **of_tables} | {key: getattr(settings, key) for key in keys})
    return shown


def configuration_shown():
    """The configuration, section by section, without what cannot change a result."""
    content = shown_configuration(CONFIG)
    return as_values([{key: section} for key, section in content.items() if key not in WITHOUT_EFFECT])


def figures_shown():
    return [
        {"path": f"{RESULTS}/figures/{name}.svg", "caption": figure.caption} for name, figure in CONFIG.figures.items()
    ]


def answered_items(result, name):
    """The items of a result record and, where these have no texts, the files with answers and judgments."""
    folder, settings = Path(result).parent, CONFIG.benchmarks[name]
    files = [folder / "items.jsonl"]
    if settings.kind == "mt_bench":
        files += [folder.with_name(settings.answers_of or name) / "answers.jsonl", folder / "judgments.jsonl"]
    if settings.kind == "programs":
        files.append(folder / "samples.jsonl")
    return [str(file) for file in files]


def read_with_items():
    """The files that hold the questions of items without texts."""
    keys = ("questions", "problems")
    return list(dict.fromkeys(shown[key] for shown in benchmarks_shown() for key in keys if key in shown))


def written_in(entry):
    """What became of the data of one iteration, over all seeds: its account, ledger, instructions and pairs."""
    files = []
    for seed in CONFIG.experiment.seeds:
        home = f"{RESULTS}/{entry['model']}/seed{seed}"
        own = f"{home}/{entry['recipe']}/iter{entry['iteration']}"
        files += [f"{own}/data.json", *with_selections([f"{own}/ledger.jsonl"])]
        for source in entry["sources"]:
            for shard in range(entry["shards"]):
                files += [f"{home}/{source}/instructions/shard{shard}.rejected.jsonl"]
                files += [f"{home}/{source}/pairs/shard{shard}.jsonl"]
    return files

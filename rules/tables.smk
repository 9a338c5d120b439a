# Tables: from the result records alone.
#
# needs    <subject>/benchmarks/<benchmark>/result.json of every checkpoint and baseline
# writes   results/<experiment>/tables/scores.csv               every score, one a row
#          results/<experiment>/tables/<table>.csv, .md, .tex    the declared tables
import json

from isheep.tables import PUBLISHED, Grid, Row

# The rows of a table: the baselines; per model the base, then each recipe's iterations. Recipes may share a checkpoint.
TABLE_ROWS = [
    Row(model=baseline, recipe="", iteration=0, checkpoint=PUBLISHED) for baseline in CONFIG.experiment.baselines
] + [
    Row(model=model, recipe=recipe, iteration=iteration, checkpoint=CONFIG.checkpoint(recipe, iteration))
    for model in CONFIG.experiment.models
    for recipe, iteration in [("", 0)]
    + [
        (recipe, iteration)
        for recipe in CONFIG.experiment.recipes
        for iteration in range(1, CONFIG.iterations(model, recipe) + 1)
    ]
]
GRID = Grid(
    results=RESULTS,
    checkpoints={
        model: list(dict.fromkeys(row.checkpoint for row in TABLE_ROWS if row.model == model))
        for model in CONFIG.experiment.models
    },
    seeds=CONFIG.experiment.seeds,
    benchmarks=CONFIG.experiment.benchmarks,
    baselines={
        baseline: [name for name in CONFIG.experiment.benchmarks if name in CONFIG.baselines[baseline].benchmarks]
        for baseline in CONFIG.experiment.baselines
    },
)


rule collect_scores:
    input:
        results=[path for path, _ in GRID.records()],
    output:
        scores=f"{RESULTS}/tables/scores.csv",
    log:
        f"{RESULTS}/logs/scores.log",
    benchmark:
        f"{RESULTS}/logs/scores.benchmark.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        code=program_digest("scripts/collect_scores.py"),
        grid=GRID.model_dump_json(),
    message:
        "Collect the scores of all result records"
    shell:
        "python scripts/collect_scores.py --grid {params.grid:q} --scores {output.scores:q} 2> {log:q}"


rule make_table:
    input:
        scores=rules.collect_scores.output.scores,
    output:
        csv=f"{RESULTS}/tables/{{table}}.csv",
        markdown=f"{RESULTS}/tables/{{table}}.md",
        latex=f"{RESULTS}/tables/{{table}}.tex",
    log:
        f"{RESULTS}/logs/{{table}}.log",
    benchmark:
        f"{RESULTS}/logs/{{table}}.benchmark.tsv"
    wildcard_constraints:
        table=any_of(CONFIG.tables),
    conda:
        "../envs/tables.yaml"
    params:
        code=program_digest("scripts/make_table.py"),
        table=lambda wildcards: CONFIG.tables[wildcards.table].model_dump_json(),
        rows=json.dumps([row.model_dump() for row in TABLE_ROWS]),
    message:
        "Make the table {wildcards.table}"
    shell:
        "python scripts/make_table.py --scores {input.scores:q} --table {params.table:q} --rows {params.rows:q}"
        " --csv {output.csv:q} --markdown {output.markdown:q} --latex {output.latex:q} 2> {log:q}"

# Tables: from the result records alone.
#
# needs    <subject>/benchmarks/<benchmark>/result.json and items.jsonl of every checkpoint and baseline in the table
# writes   results/<experiment>/tables/<table>/           what one table is made from: its scores, the significance of
#                                                         each iteration's change, the contamination of its training data
#          results/<experiment>/tables/<table>.csv, .md, .tex
#          results/<experiment>/tables/<agreement>.csv, .md, .tex    how far two judges agree on the same answers
#          results/<experiment>/tables/scores.csv         every score of the experiment, one a row
#          results/<experiment>/tables/<cases>.csv, .md, .tex     single pairs, from ledgers and pairs
#          results/<experiment>/tables/claims.csv, .md, .tex    what the paper's text says, from its numbers and ours


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
        grid=literally(GRID.model_dump_json()),
        configured=literally(CONFIGURED.restricted_to(GRID).model_dump_json()),
    message:
        "Collect the scores of all result records"
    shell:
        f"python {SCRIPTS}/collect_scores.py"
        " --grid={params.grid:q} --configured={params.configured:q}"
        " --scores={output.scores:q} 2> {log:q}"


use rule collect_scores as collect_scores_of_table with:
    input:
        results=lambda wildcards: [path for path, _ in grid_of(wildcards).records()],
    output:
        scores=f"{RESULTS}/tables/{{part}}/scores.csv",
    log:
        f"{RESULTS}/logs/{{part}}.scores.log",
    benchmark:
        f"{RESULTS}/logs/{{part}}.scores.benchmark.tsv"
    wildcard_constraints:
        part=any_of([*CONFIG.tables, *FIGURES["sweep"], *FIGURES["curve"]]),
    params:
        code=program_digest("scripts/collect_scores.py"),
        grid=lambda wildcards: grid_of(wildcards).model_dump_json(),
        configured=configured_of_part,
    message:
        "Collect the scores of {wildcards.part}"


rule compare_iterations:
    input:
        measured=compared_items,
    output:
        significance=f"{RESULTS}/tables/{{table}}/significance.{{benchmark}}.csv",
    log:
        f"{RESULTS}/logs/{{table}}.significance.{{benchmark}}.log",
    benchmark:
        f"{RESULTS}/logs/{{table}}.significance.{{benchmark}}.benchmark.tsv"
    wildcard_constraints:
        table=any_of(CONFIG.tables),
        benchmark=any_of(BENCHMARKS),
    conda:
        "../envs/tables.yaml"
    params:
        code=program_digest("scripts/compare_iterations.py"),
        comparisons=lambda wildcards: as_values(comparisons(wildcards)),
    message:
        "Test what each iteration changes: {wildcards.benchmark} in {wildcards.table}"
    shell:
        f"python {SCRIPTS}/compare_iterations.py"
        " --benchmark={wildcards.benchmark:q}"
        " --comparisons {params.comparisons:q} --output={output.significance:q} 2> {log:q}"


rule collect_contamination:
    input:
        reports=lambda wildcards: [place["path"] for place in contamination_of_table(wildcards)],
    output:
        csv=f"{RESULTS}/tables/{{table}}/contamination.csv",
    log:
        f"{RESULTS}/logs/{{table}}.contamination.log",
    benchmark:
        f"{RESULTS}/logs/{{table}}.contamination.benchmark.tsv"
    wildcard_constraints:
        table=any_of(CONFIG.tables),
    conda:
        "../envs/tables.yaml"
    params:
        code=program_digest("scripts/collect_contamination.py"),
        reports=lambda wildcards: as_values(contamination_of_table(wildcards)),
    message:
        "Collect the contamination of the training data in {wildcards.table}"
    shell:
        f"python {SCRIPTS}/collect_contamination.py" " --reports {params.reports:q} --csv={output.csv:q} 2> {log:q}"


rule make_table:
    input:
        scores=f"{RESULTS}/tables/{{table}}/scores.csv",
        significance=significance_of_table,
        contamination=contamination_csv_of_table,
        selections=lambda wildcards: [place["path"] for place in selections_of_table(wildcards)],
        published=published_of_table,
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
        table=lambda wildcards: MATRIX.table(wildcards.table).model_dump_json(),
        rows=lambda wildcards: json.dumps([row.model_dump() for row in rows_of_table(wildcards)]),
        published=published_flag,
        contamination=contamination_flag,
        selections=lambda wildcards: as_values(selections_of_table(wildcards)),
    message:
        "Make the table {wildcards.table}"
    shell:
        f"python {SCRIPTS}/make_table.py"
        " --scores {input.scores:q} --significance {input.significance:q}"
        " {params.contamination} {params.published} --table={params.table:q} --rows={params.rows:q}"
        " --selections {params.selections:q}"
        " --csv={output.csv:q} --markdown={output.markdown:q} --latex={output.latex:q} 2> {log:q}"


rule make_agreement_table:
    input:
        judged=judged_by_two,
    output:
        csv=f"{RESULTS}/tables/{{agreement}}.csv",
        markdown=f"{RESULTS}/tables/{{agreement}}.md",
        latex=f"{RESULTS}/tables/{{agreement}}.tex",
    log:
        f"{RESULTS}/logs/{{agreement}}.log",
    benchmark:
        f"{RESULTS}/logs/{{agreement}}.benchmark.tsv"
    wildcard_constraints:
        agreement=any_of(CONFIG.agreements),
    conda:
        "../envs/tables.yaml"
    params:
        code=program_digest("scripts/make_agreement_table.py"),
        agreement=lambda wildcards: CONFIG.agreements[wildcards.agreement].model_dump_json(),
        rows=lambda wildcards: json.dumps(
            [row.model_dump() for row in MATRIX.rows(CONFIG.agreements[wildcards.agreement])]
        ),
        grid=lambda wildcards: grid_of_agreement(wildcards).model_dump_json(),
        configured=lambda wildcards: CONFIGURED.restricted_to(grid_of_agreement(wildcards)).model_dump_json(),
    message:
        "Compare the judges in {wildcards.agreement}"
    shell:
        f"python {SCRIPTS}/make_agreement_table.py"
        " --agreement={params.agreement:q} --rows={params.rows:q}"
        " --grid={params.grid:q} --configured={params.configured:q}"
        " --csv={output.csv:q} --markdown={output.markdown:q} --latex={output.latex:q} 2> {log:q}"


rule make_cases:
    input:
        ledgers=lambda wildcards: with_selections(entry["ledger"] for entry in files_of_cases(wildcards)),
        pairs=lambda wildcards: [file for entry in files_of_cases(wildcards) for file in entry["pairs"]],
    output:
        csv=f"{RESULTS}/tables/{{cases}}.csv",
        markdown=f"{RESULTS}/tables/{{cases}}.md",
        latex=f"{RESULTS}/tables/{{cases}}.tex",
    log:
        f"{RESULTS}/logs/{{cases}}.log",
    benchmark:
        f"{RESULTS}/logs/{{cases}}.benchmark.tsv"
    wildcard_constraints:
        cases=any_of(CONFIG.cases),
    conda:
        "../envs/tables.yaml"
    params:
        code=program_digest("scripts/make_cases.py"),
        cases=lambda wildcards: CONFIG.cases[wildcards.cases].model_dump_json(),
        files=lambda wildcards: json.dumps(files_of_cases(wildcards)),
        seed=lambda wildcards: derive_seed(CONFIG.experiment.seeds[0], "cases", wildcards.cases),
    message:
        "Draw the pairs of {wildcards.cases}"
    shell:
        f"python {SCRIPTS}/make_cases.py"
        " --cases={params.cases:q} --files={params.files:q} --seed={params.seed:q}"
        " --csv={output.csv:q} --markdown={output.markdown:q} --latex={output.latex:q} 2> {log:q}"


rule check_claims:
    input:
        tables=[f"{RESULTS}/tables/{name}.csv" for name in CLAIMED_TABLES],
    output:
        csv=f"{RESULTS}/tables/claims.csv",
        markdown=f"{RESULTS}/tables/claims.md",
        latex=f"{RESULTS}/tables/claims.tex",
    log:
        f"{RESULTS}/logs/claims.log",
    benchmark:
        f"{RESULTS}/logs/claims.benchmark.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        code=program_digest("scripts/check_claims.py"),
        claims=literally(json.dumps([claim.model_dump() for claim in CONFIG.claims.values()])),
        named=[f"{name}={RESULTS}/tables/{name}.csv" for name in CLAIMED_TABLES],
    message:
        "Recompute the claims of the paper's text"
    shell:
        f"python {SCRIPTS}/check_claims.py"
        " --claims={params.claims:q} --tables {params.named:q}"
        " --csv={output.csv:q} --markdown={output.markdown:q} --latex={output.latex:q} 2> {log:q}"

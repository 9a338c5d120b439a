# The report: one page in which the results of an experiment are browsed, without a network.
#
# needs    tables, figures, the result records with items and answers; ledgers, instructions and pairs of each iteration
# writes   results/<experiment>/report/index.html    tables, figures, scores, what became of the data, costs
#          results/<experiment>/report/items/        the items of each result record, which the page loads when asked
#
# What the page shows of the jobs' times is read where it lies: they change no result.


rule make_report:
    input:
        tables=expand(f"{RESULTS}/tables/{{table}}.md", table=TABLES),
        numbers=expand(f"{RESULTS}/tables/{{table}}.csv", table=TABLES),
        scores=rules.collect_scores.output.scores,
        figures=expand(f"{RESULTS}/figures/{{figure}}.svg", figure=CONFIG.figures),
        results=[path for path, _ in GRID.records()],
        answers=[file for path, what in GRID.records() for file in answered_items(path, what["benchmark"])],
        read=read_with_items(),
        written=[file for entry in ITERATIONS for file in written_in(entry)],
        page=PAGE_FILES,
    output:
        report=directory(f"{RESULTS}/report"),
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/logs/report.benchmark.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        code=program_digest("scripts/make_report.py"),
        name=literally(CONFIG.experiment.name),
        grid=literally(GRID.model_dump_json()),
        rows=literally(as_values([row.model_dump() for row in every_row()])),
        benchmarks=literally(as_values(benchmarks_shown())),
        iterations=literally(as_values(ITERATIONS)),
        figures=literally(as_values(figures_shown())),
        configuration=literally(configuration_shown()),
    message:
        "Make the report"
    shell:
        f"python {SCRIPTS}/make_report.py"
        " --name={params.name:q} --grid={params.grid:q} --rows {params.rows:q} --benchmarks {params.benchmarks:q}"
        " --iterations {params.iterations:q} --figures {params.figures:q} --tables {input.tables:q}"
        " --scores={input.scores:q} --configuration {params.configuration:q} --page {input.page:q}"
        " --report={output.report:q} 2> {log:q}"

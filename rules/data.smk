# What the generated data looks like, and whether test items are among it.
#
# needs    the data of every trained checkpoint; the benchmarks' test items
# writes   <recipe>/iter<t>/data.json, contamination.json       of one training set
#          results/<experiment>/test_items/<benchmark>.jsonl    what is looked for
#          results/<experiment>/tables/data.*                   yield, lengths, duplicates, diversity, beside the paper's
#          results/<experiment>/tables/contamination.*          overlap of each training set with each benchmark


rule profile_data:
    input:
        instructions=lambda wildcards: of_sources("instructions/shard{shard}.jsonl", wildcards),
        rejected=lambda wildcards: of_sources("instructions/shard{shard}.rejected.jsonl", wildcards),
        pairs=written_pairs,
        ledger=rules.select_pairs.output.ledger,
        selection=rules.select_pairs.output.record,
        training_set=rules.select_pairs.output.training_set,
    output:
        profile=f"{ITERATION}/data.json",
    log:
        f"{ITERATION}/logs/data.log",
    benchmark:
        f"{ITERATION}/logs/data.benchmark.tsv"
    conda:
        "../envs/data.yaml"
    params:
        code=program_digest("scripts/profile_data.py"),
    message:
        "Describe the data of {wildcards.recipe}, iteration {wildcards.iteration}"
    shell:
        f"python {SCRIPTS}/profile_data.py"
        " --instructions {input.instructions:q} --rejected {input.rejected:q}"
        " --pairs {input.pairs:q} --ledger={input.ledger:q} --training-set={input.training_set:q}"
        " --profile={output.profile:q} 2> {log:q}"


rule make_data_table:
    input:
        profiles=[place["path"] for place in of_trained("data.json")],
        yields=literally(CONFIG.yields.published or []),
    output:
        csv=f"{RESULTS}/tables/data.csv",
        markdown=f"{RESULTS}/tables/data.md",
        latex=f"{RESULTS}/tables/data.tex",
    log:
        f"{RESULTS}/logs/data.log",
    benchmark:
        f"{RESULTS}/logs/data.benchmark.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        code=program_digest("scripts/make_data_table.py"),
        profiles=literally(as_values(profiles_of_trained())),
        yields=literally(as_flags({"yields": CONFIG.yields.published, "note": CONFIG.yields.notes})),
    message:
        "Make the table of what the data looks like"
    shell:
        f"python {SCRIPTS}/make_data_table.py"
        " --profiles {params.profiles:q} {params.yields}"
        " --csv={output.csv:q} --markdown={output.markdown:q} --latex={output.latex:q} 2> {log:q}"


rule list_test_items:
    input:
        source=test_item_source,
        fetched=lambda wildcards: fetched_data(wildcards) if benchmark(wildcards).kind == "lm_eval" else [],
    output:
        items_to_find=f"{RESULTS}/test_items/{{benchmark}}.jsonl",
    log:
        f"{RESULTS}/logs/test_items.{{benchmark}}.log",
    benchmark:
        f"{RESULTS}/logs/test_items.{{benchmark}}.benchmark.tsv"
    wildcard_constraints:
        benchmark=any_of(BENCHMARKS),
    conda:
        "../envs/transformers.yaml"
    params:
        code=program_digest("scripts/list_test_items.py"),
        kind=lambda wildcards: benchmark(wildcards).kind,
        flags=test_item_flags,
    message:
        "List the test items of {wildcards.benchmark}"
    shell:
        f"python {SCRIPTS}/list_test_items.py"
        " --kind={params.kind:q} {params.flags}"
        " --output={output.items_to_find:q} 2> {log:q}"


rule check_contamination:
    input:
        training_set=rules.select_pairs.output.training_set,
        selection=rules.select_pairs.output.record,
        test_items=expand(f"{RESULTS}/test_items/{{benchmark}}.jsonl", benchmark=BENCHMARKS),
    output:
        report=f"{ITERATION}/contamination.json",
    log:
        f"{ITERATION}/logs/contamination.log",
    benchmark:
        f"{ITERATION}/logs/contamination.benchmark.tsv"
    conda:
        "../envs/data.yaml"
    params:
        code=program_digest("scripts/check_contamination.py"),
        named=[f"{name}={RESULTS}/test_items/{name}.jsonl" for name in BENCHMARKS],
    message:
        "Look for test items among the data of {wildcards.recipe}, iteration {wildcards.iteration}"
    shell:
        f"python {SCRIPTS}/check_contamination.py"
        " --training-set={input.training_set:q} --selection={input.selection:q}"
        " --test-items {params.named:q} --report={output.report:q} 2> {log:q}"


rule make_contamination_table:
    input:
        reports=[place["path"] for place in of_trained("contamination.json")],
    output:
        csv=f"{RESULTS}/tables/contamination.csv",
        markdown=f"{RESULTS}/tables/contamination.md",
        latex=f"{RESULTS}/tables/contamination.tex",
    log:
        f"{RESULTS}/logs/contamination.log",
    benchmark:
        f"{RESULTS}/logs/contamination.benchmark.tsv"
    conda:
        "../envs/tables.yaml"
    params:
        code=program_digest("scripts/collect_contamination.py"),
        reports=literally(as_values(of_trained("contamination.json"))),
    message:
        "Make the table of overlaps between training data and test items"
    shell:
        f"python {SCRIPTS}/collect_contamination.py"
        " --reports {params.reports:q}"
        " --csv={output.csv:q} --markdown={output.markdown:q} --latex={output.latex:q} 2> {log:q}"

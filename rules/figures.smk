# Figures: from scores, ledgers and vectors.
#
# needs    the scores, ledgers or vectors of the checkpoints in the figure
# writes   results/<experiment>/figures/<figure>.svg, .pdf, .csv    the figure, and every number in it


rule plot_sweep:
    input:
        scores=f"{RESULTS}/tables/{{figure}}/scores.csv",
        selections=lambda wildcards: [place["path"] for place in selections_of_sweep(wildcards)],
    output:
        svg=f"{RESULTS}/figures/{{figure}}.svg",
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        csv=f"{RESULTS}/figures/{{figure}}.csv",
    log:
        f"{RESULTS}/logs/{{figure}}.log",
    benchmark:
        f"{RESULTS}/logs/{{figure}}.benchmark.tsv"
    wildcard_constraints:
        figure=any_of(FIGURES["sweep"]),
    conda:
        "../envs/tables.yaml"
    params:
        code=program_digest("scripts/plot_sweep.py"),
        figure=figure_settings,
        points=lambda wildcards: json.dumps(sweep_points(wildcards)),
        selections=lambda wildcards: as_values(selections_of_sweep(wildcards)),
    message:
        "Draw {wildcards.figure}"
    shell:
        f"python {SCRIPTS}/plot_sweep.py"
        " --scores {input.scores:q} --figure={params.figure:q} --points={params.points:q}"
        " --selections {params.selections:q}"
        " --svg={output.svg:q} --pdf={output.pdf:q} --csv={output.csv:q} 2> {log:q}"


rule plot_curve:
    input:
        scores=f"{RESULTS}/tables/{{figure}}/scores.csv",
    output:
        svg=f"{RESULTS}/figures/{{figure}}.svg",
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        csv=f"{RESULTS}/figures/{{figure}}.csv",
    log:
        f"{RESULTS}/logs/{{figure}}.log",
    benchmark:
        f"{RESULTS}/logs/{{figure}}.benchmark.tsv"
    wildcard_constraints:
        figure=any_of(FIGURES["curve"]),
    conda:
        "../envs/tables.yaml"
    params:
        code=program_digest("scripts/plot_curve.py"),
        figure=figure_settings,
        points=lambda wildcards: json.dumps(MATRIX.curve_points(wildcards.figure)),
    message:
        "Draw {wildcards.figure}"
    shell:
        f"python {SCRIPTS}/plot_curve.py"
        " --scores={input.scores:q} --figure={params.figure:q} --points={params.points:q}"
        " --svg={output.svg:q} --pdf={output.pdf:q} --csv={output.csv:q} 2> {log:q}"


rule plot_share:
    input:
        ledgers=lambda wildcards: with_selections(ledger["path"] for ledger in ledgers_of_figure(wildcards)),
    output:
        svg=f"{RESULTS}/figures/{{figure}}.svg",
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        csv=f"{RESULTS}/figures/{{figure}}.csv",
    log:
        f"{RESULTS}/logs/{{figure}}.log",
    benchmark:
        f"{RESULTS}/logs/{{figure}}.benchmark.tsv"
    wildcard_constraints:
        figure=any_of(FIGURES["share"]),
    conda:
        "../envs/tables.yaml"
    params:
        code=program_digest("scripts/plot_share.py"),
        figure=figure_settings,
        ledgers=lambda wildcards: as_values(ledgers_of_figure(wildcards)),
    message:
        "Draw {wildcards.figure}"
    shell:
        f"python {SCRIPTS}/plot_share.py"
        " --figure={params.figure:q} --ledgers {params.ledgers:q}"
        " --svg={output.svg:q} --pdf={output.pdf:q} --csv={output.csv:q} 2> {log:q}"


rule embed_reference:
    input:
        weights=lambda wildcards: weights_of(CONFIG.figures[wildcards.figure].model, None, "base"),
        reference=reference_of_figure,
    output:
        vectors=f"{RESULTS}/figures/{{figure}}/reference.npz",
    log:
        f"{RESULTS}/logs/{{figure}}.reference.log",
    benchmark:
        f"{RESULTS}/logs/{{figure}}.reference.benchmark.tsv"
    wildcard_constraints:
        figure=any_of(FIGURES["projection"]),
    conda:
        "../envs/transformers.yaml"
    threads: CONFIG.runtime.threads
    resources:
        batch_size=CONFIG.runtime.batch_size,
        gpu=lambda wildcards: generation_gpus(CONFIG.figures[wildcards.figure].model),
        cpus_per_gpu=CPUS_PER_GPU,
    params:
        code=program_digest("scripts/embed_pairs.py"),
        embedding=literally(EMBEDDING),
        sample=lambda wildcards: CONFIG.figures[wildcards.figure].sample,
        seed=lambda wildcards: derive_seed(CONFIG.experiment.seeds[0], "reference", wildcards.figure),
    message:
        "Embed the reference set of {wildcards.figure}"
    shell:
        f"python {SCRIPTS}/embed_pairs.py"
        " --checkpoint={input.weights:q} --reference={input.reference:q} {params.embedding}"
        " --sample={params.sample:q} --seed={params.seed:q} --threads={threads:q} --batch-size={resources.batch_size:q}"
        " --gpus={resources.gpu:q}"
        " --vectors={output.vectors:q} 2> {log:q}"


rule plot_projection:
    input:
        vectors=lambda wildcards: [file for entry in vectors_of_figure(wildcards) for file in entry["paths"]],
        reference=rules.embed_reference.output.vectors,
    output:
        svg=f"{RESULTS}/figures/{{figure}}.svg",
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        csv=f"{RESULTS}/figures/{{figure}}.csv",
    log:
        f"{RESULTS}/logs/{{figure}}.log",
    benchmark:
        f"{RESULTS}/logs/{{figure}}.benchmark.tsv"
    wildcard_constraints:
        figure=any_of(FIGURES["projection"]),
    conda:
        "../envs/tables.yaml"
    params:
        code=program_digest("scripts/plot_projection.py"),
        figure=figure_settings,
        vectors=lambda wildcards: json.dumps(vectors_of_figure(wildcards)),
        seed=lambda wildcards: derive_seed(CONFIG.experiment.seeds[0], "projection", wildcards.figure),
    message:
        "Draw {wildcards.figure}"
    shell:
        f"python {SCRIPTS}/plot_projection.py"
        " --figure={params.figure:q} --vectors={params.vectors:q}"
        " --reference={input.reference:q} --seed={params.seed:q}"
        " --svg={output.svg:q} --pdf={output.pdf:q} --csv={output.csv:q} 2> {log:q}"

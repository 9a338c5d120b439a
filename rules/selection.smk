# Selection: the recipe's filter turns scored pairs into a training set.
#
# needs    <checkpoint>/pairs/ of the checkpoints that wrote the recipe's data; their assessment/, perplexity/ or vectors/
# writes   <recipe>/iter<t>/clusters.jsonl        density recipes: which cluster each pair belongs to
#          <recipe>/iter<t>/training_set.jsonl    the kept pairs that are trained on
#          <recipe>/iter<t>/validation_set.jsonl  the kept pairs that are held out; empty where none are
#          <recipe>/iter<t>/ledger.jsonl          every pair that was written: kept or not, why, what for, and its scores
#          <recipe>/iter<t>/selection.json        by which settings and files they were selected


rule cluster_pairs:
    input:
        pairs=written_pairs,
        vectors=their_vectors,
    output:
        clusters=f"{ITERATION}/clusters.jsonl",
    log:
        f"{ITERATION}/logs/clusters.log",
    benchmark:
        f"{ITERATION}/logs/clusters.benchmark.tsv"
    conda:
        "../envs/data.yaml"
    threads: CONFIG.runtime.threads
    params:
        code=program_digest("scripts/cluster_pairs.py"),
        clusters=lambda wildcards: recipe_of(wildcards).selection.clusters,
        asked=lambda wildcards: recipe_of(wildcards).instructions,
        seed=job_seed("clusters"),
    message:
        "Cluster the pairs of {wildcards.recipe}, iteration {wildcards.iteration}"
    shell:
        f"python {SCRIPTS}/cluster_pairs.py"
        " --vectors {input.vectors:q} --pairs {input.pairs:q} --count={params.asked:q}"
        " --clusters={params.clusters:q} --seed={params.seed:q} --threads={threads:q} --output={output.clusters:q} 2> {log:q}"


rule select_pairs:
    input:
        pairs=written_pairs,
        scores=their_scores,
        perplexities=their_perplexities,
        clusters=their_clusters,
    output:
        training_set=f"{ITERATION}/training_set.jsonl",
        validation_set=f"{ITERATION}/validation_set.jsonl",
        ledger=f"{ITERATION}/ledger.jsonl",
        record=f"{ITERATION}/selection.json",
    log:
        f"{ITERATION}/logs/training_set.log",
    benchmark:
        f"{ITERATION}/logs/training_set.benchmark.tsv"
    conda:
        "../envs/data.yaml"
    params:
        code=program_digest("scripts/select_pairs.py"),
        selection=lambda wildcards: recipe_of(wildcards).selection.model_dump_json(),
        rows=lambda wildcards: recipe_of(wildcards).training.row_choice().model_dump_json(),
        asked=lambda wildcards: recipe_of(wildcards).instructions,
        seed=job_seed("selection"),
    message:
        "Select the training set of {wildcards.recipe}, iteration {wildcards.iteration}"
    shell:
        f"python {SCRIPTS}/select_pairs.py"
        " --pairs {input.pairs:q} --scores {input.scores:q}"
        " --perplexities {input.perplexities:q} --clusters {input.clusters:q} --selection={params.selection:q}"
        " --rows={params.rows:q} --count={params.asked:q} --seed={params.seed:q}"
        " --training-set={output.training_set:q} --validation-set={output.validation_set:q}"
        " --ledger={output.ledger:q} --record={output.record:q} 2> {log:q}"

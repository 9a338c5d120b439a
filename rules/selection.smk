# Selection: the recipe's filter turns scored pairs into a training set.
#
# needs    <checkpoint>/pairs/ and <checkpoint>/assessment/ of the checkpoints that wrote the recipe's data
# writes   <recipe>/iter<t>/training_set.jsonl    the pairs that are kept
#          <recipe>/iter<t>/ledger.jsonl          every pair that was written: kept or not, why, and its scores


rule select_pairs:
    input:
        pairs=written_pairs,
        scores=their_scores,
    output:
        training_set=f"{ITERATION}/training_set.jsonl",
        ledger=f"{ITERATION}/ledger.jsonl",
    log:
        f"{ITERATION}/logs/training_set.log",
    benchmark:
        f"{ITERATION}/logs/training_set.benchmark.tsv"
    conda:
        "../envs/data.yaml"
    params:
        code=program_digest("scripts/select_pairs.py"),
        selection=lambda wildcards: CONFIG.recipes[wildcards.recipe].selection.model_dump_json(),
        asked=lambda wildcards: CONFIG.recipes[wildcards.recipe].instructions,
    message:
        "Select the training set of {wildcards.recipe}, iteration {wildcards.iteration}"
    shell:
        "python scripts/select_pairs.py --pairs {input.pairs:q} --scores {input.scores:q}"
        " --selection {params.selection:q} --count {params.asked}"
        " --training-set {output.training_set:q} --ledger {output.ledger:q} 2> {log:q}"

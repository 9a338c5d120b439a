# Selection: the recipe's filter turns scored pairs into a training set.
#
# needs    <checkpoint>/pairs/ and <checkpoint>/assessment/ of the checkpoints that wrote the recipe's data
# writes   <recipe>/iter<t>/training_set.jsonl    the pairs that are kept
#          <recipe>/iter<t>/ledger.jsonl          every pair that was written: kept or not, why, and its scores


def written_pairs(wildcards):
    """The pairs that an iteration chooses from."""
    return expand(
        f"{CHECKPOINT}/pairs/shard{{shard}}.jsonl",
        model=wildcards.model,
        seed=wildcards.seed,
        checkpoint=source_checkpoints(wildcards),
        shard=CONFIG.shards(wildcards.recipe),
    )


def their_scores(wildcards):
    """Their scores on the criteria that the recipe asks for; the base model's judge is the base model."""
    recipe = CONFIG.recipes[wildcards.recipe]
    criteria = recipe.selection.criteria if recipe.selection.method == "scores" else ()
    return [
        f"{RESULTS}/{wildcards.model}/seed{wildcards.seed}/{checkpoint}/assessment/{recipe.assessment}"
        f"/{'current' if checkpoint == 'base' else recipe.judge}/{criterion}/shard{shard}.jsonl"
        for checkpoint in source_checkpoints(wildcards)
        for criterion in criteria
        for shard in CONFIG.shards(wildcards.recipe)
    ]


rule select_pairs:
    message:
        "Select the training set of {wildcards.recipe}, iteration {wildcards.iteration}"
    input:
        pairs=written_pairs,
        scores=their_scores,
    output:
        training_set=f"{ITERATION}/training_set.jsonl",
        ledger=f"{ITERATION}/ledger.jsonl",
    params:
        code=program_digest("scripts/select_pairs.py"),
        selection=lambda wildcards: CONFIG.recipes[wildcards.recipe].selection.model_dump_json(),
        count=lambda wildcards: CONFIG.recipes[wildcards.recipe].instructions,
    log:
        f"{ITERATION}/logs/training_set.log",
    benchmark:
        f"{ITERATION}/logs/training_set.benchmark.tsv"
    conda:
        "../envs/data.yaml"
    shell:
        "python scripts/select_pairs.py --pairs {input.pairs:q} --scores {input.scores:q}"
        " --selection {params.selection:q} --count {params.count}"
        " --training-set {output.training_set:q} --ledger {output.ledger:q} 2> {log:q}"

# Training: supervised fine-tuning of the base (or last) weights on the selected pairs.
#
# needs    weights to start from, <recipe>/iter<t>/training_set.jsonl
# writes   <recipe>/iter<t>/adapter/    LoRA recipes: what was learned
#          <recipe>/iter<t>/weights/    full weights; of LoRA recipes merged when a consumer needs them, then removed


def starting_weights(wildcards):
    """The weights that an iteration starts from: the base model's, or the last checkpoint's."""
    from_last = CONFIG.recipes[wildcards.recipe].start_from == "last"
    checkpoint = previous_checkpoint(wildcards.recipe, wildcards.iteration) if from_last else "base"
    return weights_of(wildcards.model, wildcards.seed, checkpoint)


def training_settings(wildcards):
    return CONFIG.recipes[wildcards.recipe].training.model_dump_json()


def system_prompt_flag(wildcards):
    system_prompt = CONFIG.models[wildcards.model].system_prompt
    return "" if system_prompt is None else f"--system-prompt {shlex.quote(system_prompt)}"


rule train_adapter:
    message:
        "Train the adapter of {wildcards.recipe}, iteration {wildcards.iteration}"
    input:
        weights=starting_weights,
        training_set=rules.select_pairs.output.training_set,
    output:
        adapter=directory(f"{ITERATION}/adapter"),
    wildcard_constraints:
        recipe=any_of(recipes_trained_by("lora")),
    params:
        code=program_digest("scripts/train.py"),
        training=training_settings,
        separator=CONFIG.responses.separator,
        system_prompt=system_prompt_flag,
        seed=job_seed("training"),
    log:
        f"{ITERATION}/logs/training.log",
    benchmark:
        f"{ITERATION}/logs/training.benchmark.tsv"
    conda:
        "../envs/training.yaml"
    threads: CONFIG.runtime.threads
    resources:
        micro_batch_size=CONFIG.runtime.micro_batch_size,
    shell:
        "accelerate launch --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no"
        " scripts/train.py --weights {input.weights:q} --training-set {input.training_set:q}"
        " --training {params.training:q} --separator {params.separator:q} {params.system_prompt}"
        " --seed {params.seed} --threads {threads} --micro-batch-size {resources.micro_batch_size}"
        " --output {output.adapter:q} 2> {log:q}"


rule merge_adapter:
    message:
        "Merge the adapter of {wildcards.recipe}, iteration {wildcards.iteration}, into the weights it started from"
    input:
        weights=starting_weights,
        adapter=rules.train_adapter.output.adapter,
    output:
        weights=temp(directory(f"{ITERATION}/weights")),
    wildcard_constraints:
        recipe=any_of(recipes_trained_by("lora")),
    params:
        code=program_digest("scripts/merge_adapter.py"),
    log:
        f"{ITERATION}/logs/merging.log",
    benchmark:
        f"{ITERATION}/logs/merging.benchmark.tsv"
    conda:
        "../envs/training.yaml"
    shell:
        "python scripts/merge_adapter.py --weights {input.weights:q} --adapter {input.adapter:q}"
        " --output {output.weights:q} 2> {log:q}"


use rule train_adapter as train_all_weights with:
    output:
        weights=directory(f"{ITERATION}/weights"),
    wildcard_constraints:
        recipe=any_of(recipes_trained_by("full")),

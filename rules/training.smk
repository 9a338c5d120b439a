# Training: supervised fine-tuning of the base (or last) weights on the selected pairs.
#
# needs    weights to start from, <recipe>/iter<t>/training_set.jsonl, validation_set.jsonl
# writes   <recipe>/iter<t>/adapter/    LoRA recipes: what was learned; engines run it on the weights it was trained on
#          <recipe>/iter<t>/weights/    full weights; of LoRA recipes merged where they are needed, then removed


rule train_adapter:
    input:
        weights=starting_weights,
        training_set=rules.select_pairs.output.training_set,
        validation_set=rules.select_pairs.output.validation_set,
    output:
        trained=directory(f"{ITERATION}/adapter"),
    log:
        f"{ITERATION}/logs/training.log",
    benchmark:
        f"{ITERATION}/logs/training.benchmark.tsv"
    wildcard_constraints:
        recipe=any_of(recipes_trained_by("lora")),
    conda:
        "../envs/training.yaml"
    threads: CONFIG.runtime.threads
    resources:
        micro_batch_size=CONFIG.runtime.micro_batch_size,
        gpu=training_gpu,
        cpus_per_gpu=CPUS_PER_GPU,
        layout=training_layout,
        mem_mb=training_mem_mb,
        runtime=training_runtime,
        disk_mb=training_disk_mb,
    params:
        code=program_digest("scripts/train.py"),
        training=training_settings,
        system_prompt=system_prompt_flag,
        seed=job_seed("training"),
    message:
        "Train {wildcards.recipe}, iteration {wildcards.iteration}"
    shell:
        f"python {SCRIPTS}/launch_training.py"
        " --layout={resources.layout:q} --gpus={resources.gpu:q} --threads={threads:q} --"
        " --weights={input.weights:q} --training-set={input.training_set:q}"
        " --validation-set={input.validation_set:q} --training={params.training:q} {params.system_prompt}"
        " --seed={params.seed:q} --micro-batch-size={resources.micro_batch_size:q}"
        " --output={output.trained:q} 2> {log:q}"


rule merge_adapter:
    input:
        weights=starting_weights,
        adapter=rules.train_adapter.output.trained,
    output:
        weights=temp(directory(f"{ITERATION}/weights")),
    log:
        f"{ITERATION}/logs/merging.log",
    benchmark:
        f"{ITERATION}/logs/merging.benchmark.tsv"
    wildcard_constraints:
        recipe=any_of(recipes_trained_by("lora")),
    conda:
        "../envs/training.yaml"
    resources:
        mem_mb=merging_mem_mb,
        runtime=rewriting_runtime,
        disk_mb=merging_disk_mb,
    params:
        code=program_digest("scripts/merge_adapter.py"),
    message:
        "Merge the adapter of {wildcards.recipe}, iteration {wildcards.iteration}, into the weights it started from"
    shell:
        f"python {SCRIPTS}/merge_adapter.py"
        " --weights={input.weights:q} --adapter={input.adapter:q}"
        " --output={output.weights:q} 2> {log:q}"


use rule train_adapter as train_all_weights with:
    output:
        trained=directory(f"{ITERATION}/weights"),
    wildcard_constraints:
        recipe=any_of(recipes_trained_by("full")),

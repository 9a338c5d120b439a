# Instructions: a checkpoint continues the meta-prompt and a few seed tasks; what it wrote is filtered. A job that finds
# too few leaves what it rejected beside its log.
#
# needs    weights, seed tasks, meta-prompt
# writes   <checkpoint>/continuations/shard<k>.jsonl            raw continuations, one a prompt
#          <checkpoint>/instructions/shard<k>.jsonl             exactly the instructions that are asked for
#          <checkpoint>/instructions/shard<k>.rejected.jsonl    every other candidate, with its reason


rule write_instructions:
    input:
        weights=checkpoint_weights,
        seed_tasks=literally(CONFIG.instructions.seed_tasks),
        meta_prompt=literally(CONFIG.instructions.meta_prompt),
    output:
        continuations=f"{CHECKPOINT}/continuations/shard{{shard}}.jsonl",
    log:
        f"{CHECKPOINT}/logs/continuations.shard{{shard}}.log",
    benchmark:
        f"{CHECKPOINT}/logs/continuations.shard{{shard}}.benchmark.tsv"
    conda:
        ENGINE_ENVIRONMENT
    threads: CONFIG.runtime.threads
    resources:
        batch_size=CONFIG.runtime.batch_size,
        gpu=generation_gpu,
        cpus_per_gpu=CPUS_PER_GPU,
        mem_mb=generation_mem_mb,
        runtime=generation_runtime(prompts_at_first),
    params:
        code=program_digest("scripts/write_instructions.py"),
        engine=ENGINE,
        sampling=literally(CONFIG.instructions.sampling.model_dump_json()),
        demonstrations=CONFIG.instructions.demonstrations,
        prompts=prompts_at_first,
        asked=shard_size,
        refilling=refilling,
        seed=job_seed("instructions"),
    message:
        "Let {wildcards.owner} write instructions, shard {wildcards.shard}"
    shell:
        f"python {SCRIPTS}/write_instructions.py"
        " --checkpoint {input.weights:q} --seed-tasks={input.seed_tasks:q}"
        " --meta-prompt={input.meta_prompt:q} --demonstrations={params.demonstrations:q} --prompts={params.prompts:q}"
        " --engine={params.engine:q} --sampling={params.sampling:q} --seed={params.seed:q}"
        " --threads={threads:q} --batch-size={resources.batch_size:q} --gpus={resources.gpu:q}"
        " --count={params.asked:q} {params.refilling} --left={log:q}.rejected.jsonl --continuations={output.continuations:q} 2> {log:q}"


rule select_instructions:
    input:
        continuations=rules.write_instructions.output.continuations,
        seed_tasks=literally(CONFIG.instructions.seed_tasks),
        earlier=earlier_instructions,
    output:
        instructions=f"{CHECKPOINT}/instructions/shard{{shard}}.jsonl",
        rejected=f"{CHECKPOINT}/instructions/shard{{shard}}.rejected.jsonl",
    log:
        f"{CHECKPOINT}/logs/instructions.shard{{shard}}.log",
    benchmark:
        f"{CHECKPOINT}/logs/instructions.shard{{shard}}.benchmark.tsv"
    conda:
        "../envs/data.yaml"
    params:
        code=program_digest("scripts/select_instructions.py"),
        filters=literally(CONFIG.instructions.filters.model_dump_json()),
        demonstrations=CONFIG.instructions.demonstrations,
        asked=shard_size,
    message:
        "Filter the instructions of {wildcards.owner}, shard {wildcards.shard}"
    shell:
        f"python {SCRIPTS}/select_instructions.py"
        " --continuations={input.continuations:q}"
        " --seed-tasks={input.seed_tasks:q} --demonstrations={params.demonstrations:q}"
        " --earlier {input.earlier:q} --filters={params.filters:q} --count={params.asked:q}"
        " --name={wildcards.owner:q}:{wildcards.shard}"
        " --left={log:q}.rejected.jsonl"
        " --instructions={output.instructions:q} --rejected={output.rejected:q} 2> {log:q}"

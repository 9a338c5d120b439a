# Responses: a checkpoint answers its own instructions, zero-shot; rules drop what is plainly broken.
#
# needs    weights, <checkpoint>/instructions/shard<k>.jsonl
# writes   <checkpoint>/responses/shard<k>.jsonl    one response an instruction
#          <checkpoint>/pairs/shard<k>.jsonl        instruction, response, and the rule that the pair breaks, if any


rule write_responses:
    input:
        weights=checkpoint_weights,
        instructions=rules.select_instructions.output.instructions,
    output:
        responses=f"{CHECKPOINT}/responses/shard{{shard}}.jsonl",
    log:
        f"{CHECKPOINT}/logs/responses.shard{{shard}}.log",
    benchmark:
        f"{CHECKPOINT}/logs/responses.shard{{shard}}.benchmark.tsv"
    conda:
        ENGINE_ENVIRONMENT
    threads: CONFIG.runtime.threads
    resources:
        batch_size=CONFIG.runtime.batch_size,
        gpu=generation_gpu,
        cpus_per_gpu=CPUS_PER_GPU,
        mem_mb=generation_mem_mb,
        runtime=generation_runtime(shard_size),
    params:
        code=program_digest("scripts/write_responses.py"),
        engine=ENGINE,
        sampling=literally(CONFIG.responses.sampling.model_dump_json()),
        separator=literally(CONFIG.responses.separator),
        prompting=prompting,
        seed=job_seed("responses"),
    message:
        "Let {wildcards.owner} answer its instructions, shard {wildcards.shard}"
    shell:
        f"python {SCRIPTS}/write_responses.py"
        " --checkpoint {input.weights:q} --instructions={input.instructions:q}"
        " {params.prompting} --separator={params.separator:q}"
        " --engine={params.engine:q} --sampling={params.sampling:q} --seed={params.seed:q}"
        " --threads={threads:q} --batch-size={resources.batch_size:q} --gpus={resources.gpu:q} --responses={output.responses:q} 2> {log:q}"


rule filter_responses:
    input:
        instructions=rules.select_instructions.output.instructions,
        responses=rules.write_responses.output.responses,
    output:
        pairs=f"{CHECKPOINT}/pairs/shard{{shard}}.jsonl",
    log:
        f"{CHECKPOINT}/logs/pairs.shard{{shard}}.log",
    benchmark:
        f"{CHECKPOINT}/logs/pairs.shard{{shard}}.benchmark.tsv"
    conda:
        "../envs/data.yaml"
    params:
        code=program_digest("scripts/filter_responses.py"),
        rules=literally(CONFIG.responses.rules.model_dump_json()),
    message:
        "Apply the response rules to the pairs of {wildcards.owner}, shard {wildcards.shard}"
    shell:
        f"python {SCRIPTS}/filter_responses.py"
        " --instructions={input.instructions:q} --responses={input.responses:q}"
        " --rules={params.rules:q} --pairs={output.pairs:q} 2> {log:q}"

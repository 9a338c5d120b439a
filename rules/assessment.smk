# Self-assessment: a judge scores every pair that broke no rule, one criterion at a time; for the filters that ask for no
# score it says how much a pair surprises it, and where the pair lies among the others.
#
# needs    the judge's weights, <checkpoint>/pairs/shard<k>.jsonl, a prompt file
# writes   <checkpoint>/assessment/<prompt>/<judge>/<criterion>/shard<k>.jsonl    raw text and score of each pair
#          <checkpoint>/perplexity/<judge>/shard<k>.jsonl    perplexity of each response and pair
#          <checkpoint>/vectors/<judge>/shard<k>.npz         vector of each pair in the last layer


rule assess_pairs:
    input:
        weights=judge_weights,
        pairs=rules.filter_responses.output.pairs,
        prompt=lambda wildcards: CONFIG.assessment.prompts[wildcards.prompt][wildcards.criterion],
    output:
        scores=f"{CHECKPOINT}/assessment/{{prompt}}/{{judge}}/{{criterion}}/shard{{shard}}.jsonl",
    log:
        f"{CHECKPOINT}/logs/assessment.{{prompt}}.{{judge}}.{{criterion}}.shard{{shard}}.log",
    benchmark:
        f"{CHECKPOINT}/logs/assessment.{{prompt}}.{{judge}}.{{criterion}}.shard{{shard}}.benchmark.tsv"
    wildcard_constraints:
        prompt=any_of(CONFIG.assessment.prompts),
        criterion=any_of({criterion for prompt in CONFIG.assessment.prompts.values() for criterion in prompt}),
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
        code=program_digest("scripts/assess_pairs.py"),
        # Made with `resources`, since Snakemake follows no change of such a parameter: it changes no score.
        least=lambda wildcards, resources: CONFIG.assessment.min_readable_share,
        engine=ENGINE,
        sampling=literally(CONFIG.assessment.sampling.model_dump_json()),
        seed=job_seed("assessment"),
    message:
        "Score the pairs of {wildcards.owner}: {wildcards.criterion}, shard {wildcards.shard}"
    shell:
        f"python {SCRIPTS}/assess_pairs.py"
        " --judge {input.weights:q} --pairs={input.pairs:q} --prompt={input.prompt:q}"
        " --min-readable-share={params.least:q}"
        " --engine={params.engine:q} --sampling={params.sampling:q} --seed={params.seed:q}"
        " --threads={threads:q} --batch-size={resources.batch_size:q} --gpus={resources.gpu:q} --scores={output.scores:q} 2> {log:q}"


rule measure_perplexity:
    input:
        weights=judge_weights,
        pairs=rules.filter_responses.output.pairs,
    output:
        perplexities=f"{CHECKPOINT}/perplexity/{{judge}}/shard{{shard}}.jsonl",
    log:
        f"{CHECKPOINT}/logs/perplexity.{{judge}}.shard{{shard}}.log",
    benchmark:
        f"{CHECKPOINT}/logs/perplexity.{{judge}}.shard{{shard}}.benchmark.tsv"
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
        code=program_digest("scripts/measure_perplexity.py"),
        engine=ENGINE,
        separator=literally(CONFIG.responses.separator),
    message:
        "Measure how much the pairs of {wildcards.owner} surprise their judge, shard {wildcards.shard}"
    shell:
        f"python {SCRIPTS}/measure_perplexity.py"
        " --checkpoint {input.weights:q} --pairs={input.pairs:q}"
        " --separator={params.separator:q} --engine={params.engine:q} --threads={threads:q}"
        " --batch-size={resources.batch_size:q} --gpus={resources.gpu:q} --perplexities={output.perplexities:q} 2> {log:q}"


rule embed_pairs:
    input:
        weights=judge_weights,
        pairs=rules.filter_responses.output.pairs,
    output:
        vectors=f"{CHECKPOINT}/vectors/{{judge}}/shard{{shard}}.npz",
    log:
        f"{CHECKPOINT}/logs/vectors.{{judge}}.shard{{shard}}.log",
    benchmark:
        f"{CHECKPOINT}/logs/vectors.{{judge}}.shard{{shard}}.benchmark.tsv"
    conda:
        "../envs/transformers.yaml"
    threads: CONFIG.runtime.threads
    resources:
        batch_size=CONFIG.runtime.batch_size,
        gpu=generation_gpu,
        cpus_per_gpu=CPUS_PER_GPU,
        mem_mb=generation_mem_mb,
        runtime=generation_runtime(shard_size),
    params:
        code=program_digest("scripts/embed_pairs.py"),
        embedding=literally(EMBEDDING),
    message:
        "Embed the pairs of {wildcards.owner}, shard {wildcards.shard}"
    shell:
        f"python {SCRIPTS}/embed_pairs.py"
        " --checkpoint {input.weights:q} --pairs={input.pairs:q} {params.embedding}"
        " --threads={threads:q} --batch-size={resources.batch_size:q} --gpus={resources.gpu:q} --vectors={output.vectors:q} 2> {log:q}"

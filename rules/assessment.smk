# Self-assessment: a judge scores every pair that broke no rule, one criterion at a time.
#
# needs    the judge's weights, <checkpoint>/pairs/shard<k>.jsonl, a prompt file
# writes   <checkpoint>/assessment/<prompt>/<judge>/<criterion>/shard<k>.jsonl    raw text and score of each pair


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
    params:
        code=program_digest("scripts/assess_pairs.py"),
        engine=ENGINE,
        sampling=CONFIG.assessment.sampling.model_dump_json(),
        seed=job_seed("assessment"),
    message:
        "Score the pairs of {wildcards.owner}: {wildcards.criterion}, shard {wildcards.shard}"
    shell:
        "python scripts/assess_pairs.py --judge {input.weights:q} --pairs {input.pairs:q} --prompt {input.prompt:q}"
        " --engine {params.engine:q} --sampling {params.sampling:q} --seed {params.seed}"
        " --threads {threads} --batch-size {resources.batch_size} --scores {output.scores:q} 2> {log:q}"

# Benchmarks: the base model and every iteration's checkpoint, measured by lm-eval.
#
# needs    weights, the benchmark's task files where they are our own
# writes   <checkpoint>/benchmarks/<benchmark>/items.jsonl    one row an item: response and metrics
#          <checkpoint>/benchmarks/<benchmark>/result.json    the result record


rule measure:
    input:
        weights=checkpoint_weights,
        task_files=lambda wildcards: benchmark(wildcards).files,
    output:
        responses=f"{CHECKPOINT}/benchmarks/{{benchmark}}/items.jsonl",
        result=f"{CHECKPOINT}/benchmarks/{{benchmark}}/result.json",
    log:
        f"{CHECKPOINT}/logs/benchmarks.{{benchmark}}.log",
    benchmark:
        f"{CHECKPOINT}/logs/benchmarks.{{benchmark}}.benchmark.tsv"
    wildcard_constraints:
        benchmark=any_of(CONFIG.experiment.benchmarks),
    conda:
        ENGINE_ENVIRONMENT
    threads: CONFIG.runtime.threads
    resources:
        batch_size=CONFIG.runtime.batch_size,
    params:
        code=program_digest("scripts/measure.py"),
        engine=ENGINE,
        task=lambda wildcards: benchmark(wildcards).task,
        prompting=prompting,
        flags=benchmark_flags,
        seed=job_seed("benchmarks"),
    message:
        "Measure {wildcards.owner}: {wildcards.benchmark}"
    shell:
        "python scripts/measure.py --checkpoint {input.weights:q} --benchmark {wildcards.benchmark}"
        " --task {params.task:q} --task-files {input.task_files:q} {params.prompting} {params.flags}"
        " --engine {params.engine:q} --seed {params.seed} --threads {threads}"
        " --batch-size {resources.batch_size} --items {output.responses:q} --result {output.result:q} 2> {log:q}"

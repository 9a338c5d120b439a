# Benchmarks: the base model and every iteration's checkpoint, measured by lm-eval.
#
# needs    weights, the benchmark's task files where they are our own
# writes   <checkpoint>/benchmarks/<benchmark>/items.jsonl    one row an item: response and metrics
#          <checkpoint>/benchmarks/<benchmark>/result.json    the result record


def benchmark(wildcards):
    return CONFIG.benchmarks[wildcards.benchmark]


def benchmark_flags(wildcards):
    """Flags for the keys of a benchmark that are set."""
    settings = benchmark(wildcards)
    flags = {"num-fewshot": settings.num_fewshot, "limit": settings.limit}
    if wildcards.checkpoint == "base" and settings.raw_suffix:
        flags["raw-suffix"] = settings.raw_suffix
    return " ".join(f"--{flag} {shlex.quote(str(value))}" for flag, value in flags.items() if value is not None)


rule measure:
    message:
        "Measure {wildcards.checkpoint}: {wildcards.benchmark}"
    input:
        weights=checkpoint_weights,
        task_files=lambda wildcards: benchmark(wildcards).files,
    output:
        items=f"{CHECKPOINT}/benchmarks/{{benchmark}}/items.jsonl",
        result=f"{CHECKPOINT}/benchmarks/{{benchmark}}/result.json",
    wildcard_constraints:
        benchmark=any_of(CONFIG.experiment.benchmarks),
    params:
        code=program_digest("scripts/evaluate.py"),
        engine=ENGINE,
        task=lambda wildcards: benchmark(wildcards).task,
        prompting=prompting,
        flags=benchmark_flags,
        seed=job_seed("benchmarks"),
    log:
        f"{CHECKPOINT}/logs/benchmarks.{{benchmark}}.log",
    benchmark:
        f"{CHECKPOINT}/logs/benchmarks.{{benchmark}}.benchmark.tsv"
    conda:
        ENGINE_ENVIRONMENT
    threads: CONFIG.runtime.threads
    resources:
        batch_size=CONFIG.runtime.batch_size,
    shell:
        "python scripts/evaluate.py --checkpoint {input.weights:q} --benchmark {wildcards.benchmark}"
        " --task {params.task:q} --task-files {input.task_files:q} {params.prompting} {params.flags}"
        " --engine {params.engine:q} --seed {params.seed} --threads {threads}"
        " --batch-size {resources.batch_size} --items {output.items:q} --result {output.result:q} 2> {log:q}"

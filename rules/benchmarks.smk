# lm-eval: the base model and every iteration's checkpoint, measured on tasks and groups of tasks.
#
# needs    weights, or a baseline's published responses; the task's files where they are our own; its fetched data
# writes   <subject>/benchmarks/<benchmark>/items.jsonl    one row an item: response and metrics
#          <subject>/benchmarks/<benchmark>/result.json    the result record


rule measure:
    input:
        weights=checkpoint_weights,
        task_files=task_files,
        fetched=fetched_data,
    output:
        responses=f"{CHECKPOINT}/benchmarks/{{benchmark}}/items.jsonl",
        result=f"{CHECKPOINT}/benchmarks/{{benchmark}}/result.json",
    log:
        f"{CHECKPOINT}/logs/benchmarks.{{benchmark}}.log",
    benchmark:
        f"{CHECKPOINT}/logs/benchmarks.{{benchmark}}.benchmark.tsv"
    wildcard_constraints:
        benchmark=any_of(benchmarks_of("lm_eval")),
    conda:
        ENGINE_ENVIRONMENT
    threads: CONFIG.runtime.threads
    resources:
        batch_size=CONFIG.runtime.batch_size,
        gpu=generation_gpu,
        cpus_per_gpu=CPUS_PER_GPU,
        mem_mb=generation_mem_mb,
        runtime=generation_runtime(benchmark_requests),
    params:
        code=program_digest("scripts/measure.py"),
        settings=result_settings,
        engine=ENGINE,
        task=lambda wildcards: benchmark(wildcards).task,
        prompting=prompting,
        flags=benchmark_flags,
        seed=job_seed("benchmarks"),
    message:
        "Measure {wildcards.owner}: {wildcards.benchmark}"
    shell:
        f"python {SCRIPTS}/measure.py"
        " --checkpoint {input.weights:q} --benchmark={wildcards.benchmark:q}"
        " --settings={params.settings:q}"
        " --task={params.task:q} {params.prompting} {params.flags}"
        " --engine={params.engine:q} --seed={params.seed:q} --threads={threads:q}"
        " --batch-size={resources.batch_size:q} --gpus={resources.gpu:q} --items={output.responses:q} --result={output.result:q} 2> {log:q}"


rule measure_published:
    input:
        published=published_answers,
        task_files=task_files,
        fetched=fetched_data,
    output:
        responses=f"{BASELINE}/benchmarks/{{benchmark}}/items.jsonl",
        result=f"{BASELINE}/benchmarks/{{benchmark}}/result.json",
    log:
        f"{BASELINE}/logs/benchmarks.{{benchmark}}.log",
    benchmark:
        f"{BASELINE}/logs/benchmarks.{{benchmark}}.benchmark.tsv"
    wildcard_constraints:
        benchmark=any_of(benchmarks_of("lm_eval")),
    conda:
        "../envs/transformers.yaml"
    params:
        code=program_digest("scripts/measure.py"),
        settings=result_settings,
        task=lambda wildcards: benchmark(wildcards).task,
        flags=benchmark_flags,
        rows=published_rows,
    message:
        "Measure the published responses of {wildcards.baseline}: {wildcards.benchmark}"
    shell:
        f"python {SCRIPTS}/measure.py"
        " --take={input.published:q} {params.rows} --benchmark={wildcards.benchmark:q}"
        " --settings={params.settings:q}"
        " --task={params.task:q} {params.flags}"
        " --items={output.responses:q} --result={output.result:q} 2> {log:q}"

# Programs that a model writes (HumanEval, HumanEval+, MBPP), run against the problems' tests in a sandbox.
#
# needs    weights, or a baseline's published samples; the problems; bubblewrap or apptainer
# writes   <subject>/benchmarks/<benchmark>/samples.jsonl    the programs
#          <subject>/benchmarks/<benchmark>/items.jsonl      what became of each
#          <subject>/benchmarks/<benchmark>/result.json      pass@k


rule write_programs:
    input:
        weights=checkpoint_weights,
        problems=lambda wildcards: benchmark(wildcards).problems,
    output:
        samples=f"{CHECKPOINT}/benchmarks/{{benchmark}}/samples.jsonl",
        answered_by=f"{CHECKPOINT}/benchmarks/{{benchmark}}/answered_by.json",
    log:
        f"{CHECKPOINT}/logs/benchmarks.{{benchmark}}.answers.log",
    benchmark:
        f"{CHECKPOINT}/logs/benchmarks.{{benchmark}}.answers.benchmark.tsv"
    wildcard_constraints:
        benchmark=any_of(benchmarks_of("programs")),
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
        code=program_digest("scripts/write_programs.py"),
        engine=ENGINE,
        problems=problem_flags,
        sampling=program_sampling,
        prompting=prompting,
        seed=job_seed("benchmarks"),
    message:
        "Let {wildcards.owner} write programs: {wildcards.benchmark}"
    shell:
        f"python {SCRIPTS}/write_programs.py"
        " --checkpoint {input.weights:q} --problems={input.problems:q}"
        " {params.problems} {params.sampling} {params.prompting} --engine={params.engine:q} --seed={params.seed:q}"
        " --threads={threads:q} --batch-size={resources.batch_size:q} --gpus={resources.gpu:q} --answered-by={output.answered_by:q}"
        " --samples={output.samples:q} 2> {log:q}"


rule take_programs:
    input:
        published=published_answers,
        problems=lambda wildcards: benchmark(wildcards).problems,
    output:
        samples=f"{BASELINE}/benchmarks/{{benchmark}}/samples.jsonl",
        answered_by=f"{BASELINE}/benchmarks/{{benchmark}}/answered_by.json",
    log:
        f"{BASELINE}/logs/benchmarks.{{benchmark}}.answers.log",
    benchmark:
        f"{BASELINE}/logs/benchmarks.{{benchmark}}.answers.benchmark.tsv"
    wildcard_constraints:
        benchmark=any_of(benchmarks_of("programs")),
    conda:
        "../envs/transformers.yaml"
    params:
        code=program_digest("scripts/write_programs.py"),
        problems=problem_flags,
    message:
        "Take the published programs of {wildcards.baseline}: {input.published}"
    shell:
        f"python {SCRIPTS}/write_programs.py"
        " --take={input.published:q} --problems={input.problems:q}"
        " {params.problems} --answered-by={output.answered_by:q}"
        " --samples={output.samples:q} 2> {log:q}"


rule run_programs:
    input:
        samples=f"{SUBJECT}/benchmarks/{{benchmark}}/samples.jsonl",
        answered_by=f"{SUBJECT}/benchmarks/{{benchmark}}/answered_by.json",
        problems=lambda wildcards: benchmark(wildcards).problems,
    output:
        scored=f"{SUBJECT}/benchmarks/{{benchmark}}/items.jsonl",
        result=f"{SUBJECT}/benchmarks/{{benchmark}}/result.json",
    log:
        f"{SUBJECT}/logs/benchmarks.{{benchmark}}.log",
    benchmark:
        f"{SUBJECT}/logs/benchmarks.{{benchmark}}.benchmark.tsv"
    wildcard_constraints:
        benchmark=any_of(benchmarks_of("programs")),
    conda:
        "../envs/transformers.yaml"
    threads: CONFIG.runtime.threads
    resources:
        runtime=programs_runtime,
    params:
        code=program_digest("scripts/run_programs.py"),
        settings=result_settings,
        problems=problem_flags,
        running=program_running,
    message:
        "Run the programs of {wildcards.subject}: {wildcards.benchmark}"
    shell:
        f"python {SCRIPTS}/run_programs.py"
        " --benchmark={wildcards.benchmark:q}"
        " --settings={params.settings:q} --samples={input.samples:q}"
        " --answered-by={input.answered_by:q}"
        " --problems={input.problems:q} {params.problems} {params.running} --threads={threads:q}"
        " --items={output.scored:q} --result={output.result:q} 2> {log:q}"

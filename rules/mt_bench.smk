# MT-Bench: two-turn conversations, each answer rated by a judge.
#
# needs    weights, or a baseline's published answers and judgments; questions, references, judge prompts; a judge
# writes   <subject>/benchmarks/<benchmark>/answers.jsonl      both answers to each question
#          <subject>/benchmarks/<benchmark>/judgments.jsonl    one judgment per answer
#          <subject>/benchmarks/<benchmark>/usage.json         what the judge read and wrote, and its price
#          <subject>/benchmarks/<benchmark>/items.jsonl, result.json


rule answer_mt_bench:
    input:
        weights=checkpoint_weights,
        questions=lambda wildcards: benchmark(wildcards).questions,
    output:
        answers=f"{CHECKPOINT}/benchmarks/{{benchmark}}/answers.jsonl",
        answered_by=f"{CHECKPOINT}/benchmarks/{{benchmark}}/answered_by.json",
    log:
        f"{CHECKPOINT}/logs/benchmarks.{{benchmark}}.answers.log",
    benchmark:
        f"{CHECKPOINT}/logs/benchmarks.{{benchmark}}.answers.benchmark.tsv"
    wildcard_constraints:
        benchmark=any_of(benchmarks_of("mt_bench")),
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
        code=program_digest("scripts/answer_mt_bench.py"),
        engine=ENGINE,
        name=checkpoint_name,
        temperatures=lambda wildcards: json.dumps(benchmark(wildcards).temperatures, sort_keys=True),
        max_tokens=lambda wildcards: benchmark(wildcards).max_tokens,
        raw_suffix=lambda wildcards: benchmark(wildcards).raw_suffix,
        prompting=prompting,
        seed=job_seed("benchmarks"),
    message:
        "Let {wildcards.owner} answer {wildcards.benchmark}"
    shell:
        f"python {SCRIPTS}/answer_mt_bench.py"
        " --checkpoint {input.weights:q} --questions={input.questions:q}"
        " --model-id={params.name:q} --temperatures={params.temperatures:q} --max-tokens={params.max_tokens:q}"
        " {params.prompting} --raw-suffix={params.raw_suffix:q} --engine={params.engine:q} --seed={params.seed:q}"
        " --threads={threads:q} --batch-size={resources.batch_size:q} --gpus={resources.gpu:q} --answered-by={output.answered_by:q}"
        " --answers={output.answers:q} 2> {log:q}"


rule take_mt_bench_answers:
    input:
        published=published_answers,
        questions=lambda wildcards: benchmark(wildcards).questions,
    output:
        answers=f"{BASELINE}/benchmarks/{{benchmark}}/answers.jsonl",
        answered_by=f"{BASELINE}/benchmarks/{{benchmark}}/answered_by.json",
    log:
        f"{BASELINE}/logs/benchmarks.{{benchmark}}.answers.log",
    benchmark:
        f"{BASELINE}/logs/benchmarks.{{benchmark}}.answers.benchmark.tsv"
    wildcard_constraints:
        benchmark=any_of(benchmarks_of("mt_bench")),
    conda:
        "../envs/transformers.yaml"
    params:
        code=program_digest("scripts/answer_mt_bench.py"),
        rows=published_rows,
    message:
        "Take the published answers of {wildcards.baseline}: {input.published}"
    shell:
        f"python {SCRIPTS}/answer_mt_bench.py"
        " --take={input.published:q} {params.rows}"
        " --questions={input.questions:q} --answered-by={output.answered_by:q}"
        " --answers={output.answers:q} 2> {log:q}"


rule judge_mt_bench:
    input:
        answers=answers_to_judge("answers.jsonl"),
        published=published_judgments,
        questions=lambda wildcards: benchmark(wildcards).questions,
        references=lambda wildcards: benchmark(wildcards).references or [],
        judge_prompts=lambda wildcards: benchmark(wildcards).judge_prompts,
        judge=judge_weights_of_our_own,
    output:
        judgments=f"{SUBJECT}/benchmarks/{{benchmark}}/judgments.jsonl",
        usage=f"{SUBJECT}/benchmarks/{{benchmark}}/usage.json",
    log:
        f"{SUBJECT}/logs/benchmarks.{{benchmark}}.judge.log",
    benchmark:
        f"{SUBJECT}/logs/benchmarks.{{benchmark}}.judge.benchmark.tsv"
    wildcard_constraints:
        benchmark=any_of(benchmarks_of("mt_bench")),
    localrule: judged_elsewhere("mt_bench")
    conda:
        ENGINE_ENVIRONMENT
    threads: CONFIG.runtime.threads
    resources:
        batch_size=CONFIG.runtime.batch_size,
        gpu=judge_gpu,
        cpus_per_gpu=CPUS_PER_GPU,
        mem_mb=judge_mem_mb,
        runtime=judge_runtime,
        judge_concurrency=CONFIG.runtime.judge_concurrency,
        judge_attempts=CONFIG.runtime.judge_attempts,
        judge_timeout=CONFIG.runtime.judge_timeout,
        judge_spending_limit=CONFIG.runtime.judge_spending_limit,
    params:
        code=program_digest("scripts/judge_mt_bench.py"),
        references=mt_bench_references,
        asking=mt_bench_asking,
        judged_by=judged_by,
        source=judgment_source,
    message:
        "Judge {wildcards.subject}: {wildcards.benchmark}"
    shell:
        f"python {SCRIPTS}/judge_mt_bench.py"
        " --questions={input.questions:q} {params.references}"
        " --judge-prompts={input.judge_prompts:q} --answers={input.answers:q} {params.asking} {params.source}"
        " --judgments={output.judgments:q} --usage={output.usage:q} 2> {log:q}"


rule score_mt_bench:
    input:
        judgments=rules.judge_mt_bench.output.judgments,
        usage=rules.judge_mt_bench.output.usage,
        answered_by=answers_to_judge("answered_by.json"),
    output:
        scored=f"{SUBJECT}/benchmarks/{{benchmark}}/items.jsonl",
        result=f"{SUBJECT}/benchmarks/{{benchmark}}/result.json",
    log:
        f"{SUBJECT}/logs/benchmarks.{{benchmark}}.log",
    benchmark:
        f"{SUBJECT}/logs/benchmarks.{{benchmark}}.benchmark.tsv"
    wildcard_constraints:
        benchmark=any_of(benchmarks_of("mt_bench")),
    conda:
        "../envs/transformers.yaml"
    params:
        code=program_digest("scripts/score_mt_bench.py"),
        settings=result_settings,
    message:
        "Score {wildcards.subject}: {wildcards.benchmark}"
    shell:
        f"python {SCRIPTS}/score_mt_bench.py"
        " --judgments={input.judgments:q} --usage={input.usage:q}"
        " --answered-by={input.answered_by:q} --benchmark={wildcards.benchmark:q}"
        " --settings={params.settings:q}"
        " --items={output.scored:q} --result={output.result:q} 2> {log:q}"

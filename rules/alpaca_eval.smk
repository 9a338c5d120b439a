# AlpacaEval: outputs compared with reference outputs by a judge, through the alpaca-eval package.
#
# needs    weights, or a baseline's published outputs or annotations; reference outputs; an annotator's folder; a judge
# writes   <subject>/benchmarks/<benchmark>/outputs.json        one output per instruction
#          <subject>/benchmarks/<benchmark>/annotations.json    one comparison per instruction
#          <subject>/benchmarks/<benchmark>/usage.json          what the judge read and wrote, and its price
#          <subject>/benchmarks/<benchmark>/items.jsonl, result.json


rule answer_alpaca_eval:
    input:
        weights=checkpoint_weights,
        reference=lambda wildcards: benchmark(wildcards).reference,
    output:
        outputs=f"{CHECKPOINT}/benchmarks/{{benchmark}}/outputs.json",
        answered_by=f"{CHECKPOINT}/benchmarks/{{benchmark}}/answered_by.json",
    log:
        f"{CHECKPOINT}/logs/benchmarks.{{benchmark}}.answers.log",
    benchmark:
        f"{CHECKPOINT}/logs/benchmarks.{{benchmark}}.answers.benchmark.tsv"
    wildcard_constraints:
        benchmark=any_of(benchmarks_of("alpaca_eval")),
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
        code=program_digest("scripts/answer_alpaca_eval.py"),
        engine=ENGINE,
        name=checkpoint_name,
        sampling=lambda wildcards: benchmark(wildcards).sampling.model_dump_json(),
        prompting=prompting,
        raw_suffix=lambda wildcards: benchmark(wildcards).raw_suffix,
        seed=job_seed("benchmarks"),
    message:
        "Let {wildcards.owner} answer {wildcards.benchmark}"
    shell:
        f"python {SCRIPTS}/answer_alpaca_eval.py"
        " --checkpoint {input.weights:q} --reference={input.reference:q}"
        " --generator={params.name:q} --sampling={params.sampling:q} {params.prompting}"
        " --raw-suffix={params.raw_suffix:q} --engine={params.engine:q} --seed={params.seed:q} --threads={threads:q}"
        " --batch-size={resources.batch_size:q} --gpus={resources.gpu:q} --answered-by={output.answered_by:q}"
        " --outputs={output.outputs:q} 2> {log:q}"


rule take_alpaca_eval_outputs:
    input:
        published=published_answers,
        reference=lambda wildcards: benchmark(wildcards).reference,
    output:
        outputs=f"{BASELINE}/benchmarks/{{benchmark}}/outputs.json",
        answered_by=f"{BASELINE}/benchmarks/{{benchmark}}/answered_by.json",
    log:
        f"{BASELINE}/logs/benchmarks.{{benchmark}}.answers.log",
    benchmark:
        f"{BASELINE}/logs/benchmarks.{{benchmark}}.answers.benchmark.tsv"
    wildcard_constraints:
        benchmark=any_of(benchmarks_of("alpaca_eval")),
    conda:
        "../envs/transformers.yaml"
    params:
        code=program_digest("scripts/answer_alpaca_eval.py"),
        rows=published_rows,
    message:
        "Take the published outputs of {wildcards.baseline}: {input.published}"
    shell:
        f"python {SCRIPTS}/answer_alpaca_eval.py"
        " --take={input.published:q} {params.rows} --reference={input.reference:q}"
        " --answered-by={output.answered_by:q}"
        " --outputs={output.outputs:q} 2> {log:q}"


rule judge_alpaca_eval:
    input:
        outputs=answers_to_judge("outputs.json"),
        published=published_judgments,
        reference=lambda wildcards: benchmark(wildcards).reference,
        annotator=lambda wildcards: annotator_files(benchmark(wildcards).annotator),
        judge=judge_weights_of_our_own,
    output:
        annotations=f"{SUBJECT}/benchmarks/{{benchmark}}/annotations.json",
        usage=f"{SUBJECT}/benchmarks/{{benchmark}}/usage.json",
    log:
        f"{SUBJECT}/logs/benchmarks.{{benchmark}}.judge.log",
    benchmark:
        f"{SUBJECT}/logs/benchmarks.{{benchmark}}.judge.benchmark.tsv"
    wildcard_constraints:
        benchmark=any_of(benchmarks_of("alpaca_eval")),
    localrule: judged_elsewhere("alpaca_eval")
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
        code=program_digest("scripts/judge_alpaca_eval.py"),
        asking=alpaca_eval_asking,
        judged_by=judged_by,
        source=judgment_source,
    message:
        "Judge {wildcards.subject}: {wildcards.benchmark}"
    shell:
        f"python {SCRIPTS}/judge_alpaca_eval.py"
        " --reference={input.reference:q} {params.asking} {params.source}"
        " --annotations={output.annotations:q} --usage={output.usage:q} 2> {log:q}"


rule score_alpaca_eval:
    input:
        annotations=rules.judge_alpaca_eval.output.annotations,
        usage=rules.judge_alpaca_eval.output.usage,
        answered_by=answers_to_judge("answered_by.json"),
        length_control=length_control,
    output:
        scored=f"{SUBJECT}/benchmarks/{{benchmark}}/items.jsonl",
        result=f"{SUBJECT}/benchmarks/{{benchmark}}/result.json",
    log:
        f"{SUBJECT}/logs/benchmarks.{{benchmark}}.log",
    benchmark:
        f"{SUBJECT}/logs/benchmarks.{{benchmark}}.benchmark.tsv"
    wildcard_constraints:
        benchmark=any_of(benchmarks_of("alpaca_eval")),
    conda:
        "../envs/alpaca-eval.yaml"
    params:
        code=program_digest("scripts/score_alpaca_eval.py"),
        settings=result_settings,
        optional=alpaca_eval_scoring,
    message:
        "Score {wildcards.subject}: {wildcards.benchmark}"
    shell:
        f"python {SCRIPTS}/score_alpaca_eval.py"
        " --annotations={input.annotations:q} --usage={input.usage:q}"
        " --benchmark={wildcards.benchmark:q}"
        " --settings={params.settings:q} {params.optional}"
        " --items={output.scored:q} --result={output.result:q} 2> {log:q}"

# Who judges AlpacaEval's and MT-Bench's answers, and what baselines have published. Input functions, no rules.


def published_files(wildcards):
    """What a baseline has published for a benchmark; None for a checkpoint."""
    baseline = wildcards.get("baseline") or re.sub("^baselines/", "", wildcards.subject)
    published = CONFIG.baselines.get(baseline)
    return published and published.benchmarks[wildcards.benchmark]


def published_answers(wildcards):
    return published_files(wildcards).answers


def published_rows(wildcards):
    """Flags that say which rows of a published file are taken, and how many it may lack."""
    published = published_files(wildcards)
    return as_flags({"model": published.model, "missing": published.missing or None})


def published_judgments(wildcards):
    """The file of a baseline's judgments, where it has published some."""
    published = published_files(wildcards)
    return published and published.judgments or []


def answers_to_judge(name):
    """The answers that are judged; a baseline's published judgments may hold them too."""

    def answers(wildcards):
        published = published_files(wildcards)
        if published and published.answers is None:
            return []
        answered = benchmark(wildcards).answers_of or wildcards.benchmark
        return f"{RESULTS}/{wildcards.subject}/benchmarks/{answered}/{name}"

    return answers


def judged_elsewhere(kind):
    """Whether APIs judge all benchmarks of a kind: their jobs need a network, and no machine of the cluster."""
    judges = [CONFIG.judges[CONFIG.benchmarks[name].judge] for name in benchmarks_of(kind)]
    return all(judge.api for judge in judges)


def own_model_of_judge(wildcards):
    """The base model that judges; None for an API, or where published judgments are taken."""
    return None if published_judgments(wildcards) else CONFIG.judges[benchmark(wildcards).judge].model


def judge_weights_of_our_own(wildcards):
    """The weights of a judge of our own."""
    model = own_model_of_judge(wildcards)
    return weights_of(model, None, "base") if model else []


def judge_settings(name):
    """The judge of a benchmark, without what no judgment depends on: what its key is called, and its prices."""
    judge = CONFIG.judges[CONFIG.benchmarks[name].judge].model_dump(exclude={"api": {"key_variable", "prices"}})
    return judge | {"engine": ENGINE if judge["model"] else None}


def judged_by(wildcards):
    """All that a judgment depends on besides its prompt."""
    published = published_files(wildcards)
    if published and published.judgments:
        return json.dumps({"published": published.judgments, "model": published.model})
    return json.dumps(judge_settings(wildcards.benchmark))


def judgment_source(wildcards, resources):
    """Flags that say where judgments come from: a published file, our own weights or an API.

    Snakemake follows no change of a parameter that is made with `resources`; so what is not in `judged_by` is changed
    without asking, and paying, again.
    """
    published = published_files(wildcards)
    if published and published.judgments:
        flags = {"take": published.judgments, "model": published.model}
    else:
        judge = CONFIG.judges[benchmark(wildcards).judge]
        flags = {
            "judge": judge.model_dump_json(),
            "seed": derive_seed(wildcards.benchmark, "judge"),
            "threads": CONFIG.runtime.threads,
            "judge-weights": judge_weights_of_our_own(wildcards) or None,
            "engine": ENGINE if judge.model else None,
            "batch-size": resources.batch_size,
            "gpus": resources.gpu,
            "concurrency": resources.judge_concurrency,
            "attempts": resources.judge_attempts,
            "timeout": resources.judge_timeout,
            "spending-limit": resources.judge_spending_limit,
        }
    return as_flags(flags)


def alpaca_eval_asking(wildcards):
    """Flags of what is compared, and how the judge is asked; published judgments are only checked against them."""
    outputs = answers_to_judge("outputs.json")(wildcards) or None
    published = published_files(wildcards)
    missing = published and published.missing or None
    return as_flags({"outputs": outputs, "annotator": benchmark(wildcards).annotator, "missing": missing})


def alpaca_eval_scoring(wildcards):
    """Flags of what not every set of outputs has: who wrote them, and the file for length control."""
    answered_by = answers_to_judge("answered_by.json")(wildcards) or None
    return as_flags({"answered-by": answered_by, "length-control": benchmark(wildcards).length_control})


def mt_bench_references(wildcards):
    """Flags of the reference answers, and of the categories that are judged against them."""
    settings = benchmark(wildcards)
    if settings.references is None:
        return ""
    return as_flags({"references": settings.references, "reference-categories": settings.reference_categories})


def mt_bench_asking(wildcards):
    """Flags of how the judge is asked; none where published judgments are taken."""
    settings = benchmark(wildcards)
    if published_judgments(wildcards):
        return ""
    return as_flags(
        {
            "sampling": settings.judge_sampling.model_dump_json(),
            "judgment-attempts": settings.attempts,
            "retry-temperature": settings.retry_temperature,
        }
    )

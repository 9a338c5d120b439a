# What benchmarks are read from, and the flags of their settings. Input functions, no rules.


def benchmark(wildcards):
    return CONFIG.benchmarks[wildcards.benchmark]


def task_files(wildcards):
    """An lm-eval task's own files; those that are fetched come with the data."""
    return [file for file in benchmark(wildcards).files if not file.startswith(f"{FETCHED}/")]


def fetched_data(wildcards):
    """What a benchmark reads of what was fetched: files, and hub data sets."""
    settings = benchmark(wildcards)
    files = [file for file in settings.files if file.startswith(f"{FETCHED}/")]
    if settings.nltk:
        files += [f"{FETCHED}/{name}" for name in SOURCES.files if name.startswith("nltk_data/")]
    return files + [f"{HUB_CACHE}/{SOURCES.hub[name].folder}" for name in settings.hub]


def chosen_problems(wildcards):
    """Flags that say which problems there are."""
    settings = benchmark(wildcards)
    ids = f" --ids {settings.ids[0]} {settings.ids[1]}" if settings.ids else ""
    return f"{as_flags({'format': settings.format})}{ids}"


def problem_flags(wildcards):
    """Flags that say which problems programs are written for, and by whose protocol where it is not lm-eval's."""
    protocol = benchmark(wildcards).protocol
    flags = "" if protocol == "lm_eval" else f" {as_flags({'protocol': protocol})}"
    return f"{chosen_problems(wildcards)}{flags}"


def program_sampling(wildcards):
    """Flags that say how programs are written."""
    settings = benchmark(wildcards)
    return as_flags(
        {
            "samples-per-problem": settings.samples,
            "temperature": settings.temperature,
            "top-p": settings.top_p,
            "max-tokens": settings.max_tokens,
            "shots": settings.shots,
        }
    )


def program_running(wildcards):
    """Flags that say how programs are run, and how they came about."""
    settings = benchmark(wildcards)
    taken = wildcards.subject.startswith("baselines/")
    return as_flags(
        {
            "written": "published" if taken else "raw" if Path(wildcards.subject).name == "base" else "chat",
            "time-limit": settings.time_limit,
            "memory-limit": settings.memory_limit,
            "image": settings.image,
            "k": settings.k,
        }
    )


def excluded_items(settings):
    """The items that an lm-eval benchmark leaves out, if any."""
    return json.dumps(settings.exclude, sort_keys=True) if settings.exclude else None


def benchmark_flags(wildcards):
    """Flags for the keys of an lm-eval benchmark that are set."""
    settings = benchmark(wildcards)
    raw_suffix = settings.raw_suffix if wildcards.get("owner") == "base" else ""
    return as_flags(
        {
            "num-fewshot": settings.num_fewshot,
            "limit": settings.limit,
            "exclude": excluded_items(settings),
            "raw-suffix": raw_suffix or None,
            "task-files": task_files(wildcards),
            "nltk-data": NLTK_DATA if settings.nltk else None,
            "hub-data": HUB_CACHE if settings.hub else None,
        }
    )

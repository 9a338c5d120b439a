# Paths and input functions that several rule files share. No rules here.
#
# results/<experiment>/<model>/weights/                     the untouched base model
# results/<experiment>/<model>/seed<s>/base/                what the base model writes, and its benchmarks
# results/<experiment>/<model>/seed<s>/<recipe>/iter<t>/    the checkpoint of iteration t, and what it writes
# results/<experiment>/baselines/<baseline>/                published answers, and their benchmarks
#
# The wildcard `owner` is the folder of the checkpoint below its seed: `base`, or `<recipe>/iter<t>`;
# `subject` is the folder, below the experiment's, of anything that is measured: a checkpoint or a baseline.
import json
import re
import shlex
from pathlib import Path

from isheep.config_file import check_files, load_config
from isheep.digest import program_digest
from isheep.records import InputError
from isheep.seeds import derive_seed

try:
    CONFIG = load_config(config, workflow.configfiles)
    check_files(CONFIG)
except InputError as error:
    sys.exit(f"Error: {error}")

RESULTS = f"results/{CONFIG.experiment.name}"
CHECKPOINT = f"{RESULTS}/{{model}}/seed{{seed}}/{{owner}}"
BASELINE = f"{RESULTS}/baselines/{{baseline}}"
SUBJECT = f"{RESULTS}/{{subject}}"
ITERATION = f"{RESULTS}/{{model}}/seed{{seed}}/{{recipe}}/iter{{iteration}}"


def any_of(names):
    """The regular expression that matches exactly these names, or nothing where there are none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


# The models of the experiment, and those that judge.
MODELS = list(dict.fromkeys([*CONFIG.experiment.models, *CONFIG.judging_models()]))


def recipes_trained_by(method):
    return [name for name in CONFIG.experiment.recipes if CONFIG.recipes[name].training.method == method]


def models_from(source):
    return [name for name in MODELS if CONFIG.models[name].source == source]


def benchmarks_of(kind):
    return [name for name in CONFIG.experiment.benchmarks if CONFIG.benchmarks[name].kind == kind]


CHECKPOINTS = f"base|({any_of(CONFIG.experiment.recipes)})/iter[1-9][0-9]*"


wildcard_constraints:
    model=any_of(MODELS),
    seed="[0-9]+",
    recipe=any_of(CONFIG.experiment.recipes),
    iteration="[1-9][0-9]*",
    owner=CHECKPOINTS,
    baseline=any_of(CONFIG.experiment.baselines),
    subject=f"({any_of(CONFIG.experiment.models)})/seed[0-9]+/({CHECKPOINTS})"
    f"|baselines/({any_of(CONFIG.experiment.baselines)})",
    shard="[0-9]+",
    judge="current|base",


def weights_of(model, seed, checkpoint):
    """The folder with a checkpoint's full weights; the untouched base model's is shared by all seeds."""
    home = f"{RESULTS}/{model}" if checkpoint == "base" else f"{RESULTS}/{model}/seed{seed}/{checkpoint}"
    return f"{home}/weights"


def checkpoint_weights(wildcards):
    return weights_of(wildcards.model, wildcards.seed, wildcards.owner)


def shipped_folder(wildcards):
    return CONFIG.models[wildcards.model].path or "config/demo/base"


def judge_weights(wildcards):
    judge = "base" if wildcards.judge == "base" else wildcards.owner
    return weights_of(wildcards.model, wildcards.seed, judge)


def previous_checkpoint(recipe, iteration):
    """The checkpoint that writes the data of this iteration: `base` for the first, else the iteration before."""
    return CONFIG.checkpoint(recipe, int(iteration) - 1)


def source_checkpoints(wildcards):
    """The checkpoints whose pairs an iteration is trained on: the previous one, or all so far."""
    newest = int(wildcards.iteration)
    oldest = 1 if CONFIG.recipes[wildcards.recipe].data == "all" else newest
    return [previous_checkpoint(wildcards.recipe, iteration) for iteration in range(oldest, newest + 1)]


def checkpoint_name(wildcards):
    """What a checkpoint is called in files that name their author."""
    return f"{wildcards.model}/seed{wildcards.seed}/{wildcards.owner}"


def prompting(wildcards):
    """Flags that say how a checkpoint is spoken to: raw as the base model, by its chat template after training."""
    if wildcards.owner == "base":
        return "--raw"
    system_prompt = CONFIG.models[wildcards.model].system_prompt
    return "--chat" if system_prompt is None else f"--chat --system-prompt {shlex.quote(system_prompt)}"


def job_seed(stage):
    """The seed of a stage's job: by replicate, iteration and shard, and so the same for every recipe."""

    def seed(wildcards):
        owner = wildcards.get("owner", wildcards.get("iteration"))
        return derive_seed(wildcards.seed, stage, Path(owner).name, wildcards.get("shard", ""))

    return seed


ENGINE_ENVIRONMENT = f"../envs/{CONFIG.engine.kind}.yaml"
ENGINE = CONFIG.engine.model_dump_json()


def chat_template_flag(wildcards):
    template = CONFIG.models[wildcards.model].chat_template
    return "" if template is None else f"--chat-template {shlex.quote(template)}"


def earlier_instructions(wildcards):
    """The shards kept before: an instruction may resemble none of them."""
    return expand(f"{CHECKPOINT}/instructions/shard{{earlier}}.jsonl", earlier=range(int(wildcards.shard)), **wildcards)


def written_pairs(wildcards):
    """The pairs that an iteration chooses from."""
    return expand(
        f"{CHECKPOINT}/pairs/shard{{shard}}.jsonl",
        model=wildcards.model,
        seed=wildcards.seed,
        owner=source_checkpoints(wildcards),
        shard=CONFIG.shards(wildcards.recipe),
    )


def their_scores(wildcards):
    """Their scores on the criteria that the recipe asks for; the base model's only judge is the base model."""
    recipe = CONFIG.recipes[wildcards.recipe]
    criteria = recipe.selection.criteria if recipe.selection.method == "scores" else ()
    pattern = f"{CHECKPOINT}/assessment/{recipe.assessment}/{{judge}}/{{criterion}}/shard{{shard}}.jsonl"
    return [
        pattern.format(
            model=wildcards.model,
            seed=wildcards.seed,
            owner=owner,
            judge="current" if owner == "base" else recipe.judge,
            criterion=criterion,
            shard=shard,
        )
        for owner in source_checkpoints(wildcards)
        for criterion in criteria
        for shard in CONFIG.shards(wildcards.recipe)
    ]


def starting_weights(wildcards):
    """The weights that an iteration starts from: the base model's, or the last checkpoint's."""
    from_last = CONFIG.recipes[wildcards.recipe].start_from == "last"
    owner = previous_checkpoint(wildcards.recipe, wildcards.iteration) if from_last else "base"
    return weights_of(wildcards.model, wildcards.seed, owner)


def training_settings(wildcards):
    return CONFIG.recipes[wildcards.recipe].training.model_dump_json()


def system_prompt_flag(wildcards):
    system_prompt = CONFIG.models[wildcards.model].system_prompt
    return "" if system_prompt is None else f"--system-prompt {shlex.quote(system_prompt)}"


def benchmark(wildcards):
    return CONFIG.benchmarks[wildcards.benchmark]


def as_flags(values):
    """Command-line flags of the values that are set."""
    return " ".join(f"--{flag} {shlex.quote(str(value))}" for flag, value in values.items() if value is not None)


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


def problem_flags(wildcards):
    """Flags that say which problems programs are written for."""
    settings = benchmark(wildcards)
    ids = f" --ids {settings.ids[0]} {settings.ids[1]}" if settings.ids else ""
    return f"--format {settings.format}{ids}"


def program_sampling(wildcards):
    """Flags that say how programs are written."""
    settings = benchmark(wildcards)
    flags = {
        "samples-per-problem": settings.samples,
        "temperature": settings.temperature,
        "top-p": settings.top_p,
        "max-tokens": settings.max_tokens,
    }
    return " ".join(["--shots", *map(str, settings.shots), as_flags(flags)])


def program_running(wildcards):
    """Flags that say how programs are run, and how they came about."""
    settings = benchmark(wildcards)
    taken = wildcards.subject.startswith("baselines/")
    flags = {
        "written": "published" if taken else "raw" if Path(wildcards.subject).name == "base" else "chat",
        "time-limit": settings.time_limit,
        "memory-limit": settings.memory_limit,
        "image": settings.image,
        "note": settings.note,
    }
    return " ".join(["--k", *map(str, settings.k), as_flags(flags)])


def benchmark_flags(wildcards):
    """Flags for the keys of an lm-eval benchmark that are set."""
    settings = benchmark(wildcards)
    raw_suffix = settings.raw_suffix if wildcards.get("owner") == "base" else ""
    excluded = json.dumps(settings.exclude, sort_keys=True) if settings.exclude else None
    return as_flags(
        {
            "num-fewshot": settings.num_fewshot,
            "limit": settings.limit,
            "exclude": excluded,
            "note": settings.note,
            "raw-suffix": raw_suffix or None,
            "nltk-data": NLTK_DATA if settings.nltk else None,
            "hub-data": HUB_CACHE if settings.hub else None,
        }
    )

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
import os
import re
import shlex
from pathlib import Path

from isheep.benchmarks.alpaca_eval import annotator_files
from isheep.config.checks import check_experiment
from isheep.config.schema import JUDGED
from isheep.config.loading import load_config
from isheep.digest import program_digest
from isheep.fetch.hub_cache import MODEL_FILES, folder_name
from isheep.engine.journal import SHARED_TEXTS
from isheep.config.matrix import Matrix, recipe_and_iteration
from isheep.config.model_checks import asked_of_models, folder_of_base
from isheep.project import located, shipped
from isheep.files.records import InputError, file_sha256, listed_checksums
from isheep.seeding import derive_seed
from isheep.data.selection import METHODS_WITH_CLUSTERS, METHODS_WITH_PERPLEXITIES

try:
    # Those of a workflow that has this one as its module are its own.
    CONFIG = load_config(config, [] if IN_MODULE else workflow.configfiles)
    MATRIX = Matrix(CONFIG)
    if workflow.is_main_process:
        top_file = os.path.relpath(workflow.configfiles[-1]) if workflow.configfiles else "the configuration"
        check_experiment(MATRIX, top_file)
        for warning in [*MATRIX.warm_up_warnings(), *MATRIX.unmeasured_warnings()]:
            print(f"Warning: {warning}", file=sys.stderr)
except InputError as error:
    sys.exit(f"Error: {error}")

if CONFIG.runtime.shared_texts:
    # For the jobs, which inherit it; no part of a command, since it changes no result.
    os.environ[SHARED_TEXTS] = str(Path(CONFIG.runtime.shared_texts).absolute())
BENCHMARKS = MATRIX.benchmarks()
# The programs, as commands name them.
SCRIPTS = shlex.quote(shipped("scripts")).replace("{", "{{").replace("}", "}}")
RESULTS = f"results/{CONFIG.experiment.name}"
CHECKPOINT = f"{RESULTS}/{{model}}/seed{{seed}}/{{owner}}"
BASELINE = f"{RESULTS}/baselines/{{baseline}}"
SUBJECT = f"{RESULTS}/{{subject}}"
ITERATION = f"{RESULTS}/{{model}}/seed{{seed}}/{{recipe}}/iter{{iteration}}"


def literally(text):
    """A parameter or input that is this text of the configuration as it stands: braces in it are no wildcards."""
    return lambda wildcards: text


def any_of(names):
    """The regular expression that matches exactly these names, or nothing where there are none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


# The models of the experiment, and those that judge.
MODELS = list(dict.fromkeys([*CONFIG.experiment.models, *MATRIX.judging_models()]))


# Of them, those that are spoken to by a chat template.
CHATTING_MODELS = MATRIX.chatting_models()


RECIPES = list(dict.fromkeys(recipe for model in CONFIG.experiment.models for recipe in MATRIX.recipes(model)))


def recipes_trained_by(method):
    return [name for name in RECIPES if CONFIG.recipes[name].training.method == method]


def models_from(source):
    return [name for name in MODELS if CONFIG.models[name].source == source]


def benchmarks_of(kind):
    return [name for name in BENCHMARKS if CONFIG.benchmarks[name].kind == kind]


CHECKPOINTS = f"base|({any_of(RECIPES)})/iter[1-9][0-9]*"


wildcard_constraints:
    model=any_of(MODELS),
    seed="[0-9]+",
    recipe=any_of(RECIPES),
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


def checkpoint_of(model, seed, checkpoint):
    """What an engine opens: the folder of a checkpoint's full weights; or its adapter, and the weights below it."""
    recipe, iteration = recipe_and_iteration(checkpoint)
    if iteration:
        settings = CONFIG.recipes[recipe]
        on_base = settings.start_from == "base" or iteration == 1
        if settings.training.method == "lora" and on_base and CONFIG.engine.adapters == "served":
            return [f"{RESULTS}/{model}/seed{seed}/{checkpoint}/adapter", weights_of(model, seed, "base")]
    return [weights_of(model, seed, checkpoint)]


def checkpoint_weights(wildcards):
    return checkpoint_of(wildcards.model, wildcards.seed, wildcards.owner)


def shipped_folder(wildcards):
    return CONFIG.models[wildcards.model].path or located("config/demo/base")


def shipped_weights(wildcards):
    """The weights of a shipped model. Where they are those that its checksums tell of, their time says nothing: a clone
    has files as new as itself."""
    folder = Path(shipped_folder(wildcards))
    file, checksums = folder / "model.safetensors", folder / "SHA256SUMS"
    known = checksums.exists() and listed_checksums(checksums).get(file.name)
    return ancient(str(file)) if known and file.exists() and file_sha256(file) == known else str(file)


def judge_weights(wildcards):
    judge = "base" if wildcards.judge == "base" else wildcards.owner
    return checkpoint_of(wildcards.model, wildcards.seed, judge)


def previous_checkpoint(wildcards, iteration=None):
    """The checkpoint that writes the data of an iteration: `base` for the first, else the iteration before."""
    return MATRIX.checkpoint(wildcards.model, wildcards.recipe, int(iteration or wildcards.iteration) - 1)


def source_checkpoints(wildcards):
    """The checkpoints whose pairs an iteration is trained on: the previous one, or all so far."""
    newest = int(wildcards.iteration)
    oldest = 1 if recipe_of(wildcards).data == "all" else newest
    return [previous_checkpoint(wildcards, iteration) for iteration in range(oldest, newest + 1)]


def checkpoint_name(wildcards):
    """What a checkpoint is called in files that name their author."""
    return f"{wildcards.model}/seed{wildcards.seed}/{wildcards.owner}"


def prompting(wildcards):
    """Flags that say how a checkpoint is spoken to: raw as the base model, by its chat template after training."""
    return "--raw" if wildcards.owner == "base" else f"--chat {system_prompt_flag(wildcards)}"


def job_seed(stage):
    """The seed of a stage's job: by replicate, iteration and shard, and so the same for every recipe."""

    def seed(wildcards):
        owner = wildcards.get("owner", wildcards.get("iteration"))
        return derive_seed(wildcards.seed, stage, Path(owner).name, wildcards.get("shard", ""))

    return seed


ENGINE_ENVIRONMENT = f"../envs/{CONFIG.engine.kind}.yaml"
# How adapters are served is told by the files of the checkpoint: base and full weights do not depend on it.
ENGINE_SETTINGS = CONFIG.engine.model_dump(mode="json", exclude={"adapters"})
ENGINE = json.dumps(ENGINE_SETTINGS)


def as_flags(values):
    """Command-line flags of the values that are set, one for each value of a list.

    In commands every value stands as `--flag=value`, quoted: so no value is taken for a flag, or left out where it is
    empty. Rules write `--flag={value:q}` themselves; `--flag {files:q}` only for files that the workflow has named.
    """
    given = [
        (flag, value)
        for flag, values_of_flag in values.items()
        for value in (values_of_flag if isinstance(values_of_flag, list | tuple) else [values_of_flag])
    ]
    return " ".join(f"--{flag}={shlex.quote(str(value))}" for flag, value in given if value is not None)


def as_values(entries):
    """One JSON value for each entry, for a flag that takes several: a single one may not be longer than 128 KiB, which
    a list reaches at some ten seeds of the paper."""
    return [json.dumps(entry) for entry in entries]


EMBEDDING = as_flags(
    {
        "separator": CONFIG.responses.separator,
        "pooling": CONFIG.embedding.pooling,
        "max-length": CONFIG.embedding.max_length,
        "dtype": CONFIG.embedding.dtype,
    }
)


def chat_template_of(wildcards):
    """The file with a model's chat template, where it is not the tokenizer's own."""
    return CONFIG.models[wildcards.model].chat_template or []


def files_of_model_folder(wildcards):
    """The files that a model of source `folder` is made of."""
    folder = Path(CONFIG.models[wildcards.model].path)
    return sorted({str(file) for pattern in MODEL_FILES for file in folder.glob(pattern)})


def chat_template_flag(wildcards):
    return as_flags({"chat-template": CONFIG.models[wildcards.model].chat_template})


def shard_size(wildcards):
    """How many instructions a shard holds."""
    return MATRIX.shard_size(wildcards.model, wildcards.owner, int(wildcards.shard))


def prompts_at_first(wildcards):
    return CONFIG.instructions.prompts(shard_size(wildcards))[0]


def refilling(wildcards, resources):
    """Flags that say until when a shard is refilled. They change no instruction that is kept; and Snakemake follows no
    change of a parameter that is made with `resources`."""
    count = shard_size(wildcards)
    settings = CONFIG.instructions
    aim, (_, most) = settings.aim(count, int(wildcards.shard)), settings.prompts(count)
    return as_flags({"aim": aim, "max-prompts": most, "filters": settings.filters.model_dump_json()})


def earlier_instructions(wildcards):
    """The shards kept before: an instruction may resemble none of them."""
    return expand(f"{CHECKPOINT}/instructions/shard{{earlier}}.jsonl", earlier=range(int(wildcards.shard)), **wildcards)


def recipe_of(wildcards):
    return CONFIG.recipes[wildcards.recipe]


def of_sources(pattern, wildcards):
    """Files of the checkpoints whose pairs an iteration chooses from, shard by shard. The base model's only judge is
    the base model."""
    return [
        f"{CHECKPOINT}/{pattern}".format(
            model=wildcards.model,
            seed=wildcards.seed,
            owner=owner,
            shard=shard,
            judge="current" if owner == "base" else recipe_of(wildcards).judge,
        )
        for owner in source_checkpoints(wildcards)
        for shard in MATRIX.shards(wildcards.recipe)
    ]


def written_pairs(wildcards):
    """The pairs that an iteration chooses from."""
    return of_sources("pairs/shard{shard}.jsonl", wildcards)


def their_scores(wildcards):
    """Their scores on the criteria that the recipe asks for."""
    recipe = recipe_of(wildcards)
    criteria = recipe.selection.criteria if recipe.selection.method == "scores" else ()
    return [
        file
        for criterion in criteria
        for file in of_sources(f"assessment/{recipe.assessment}/{{judge}}/{criterion}/shard{{shard}}.jsonl", wildcards)
    ]


def their_perplexities(wildcards):
    """Their perplexities, where the recipe filters by them."""
    filtered = recipe_of(wildcards).selection.method in METHODS_WITH_PERPLEXITIES
    return of_sources("perplexity/{judge}/shard{shard}.jsonl", wildcards) if filtered else []


def their_vectors(wildcards):
    return of_sources("vectors/{judge}/shard{shard}.npz", wildcards)


def their_clusters(wildcards):
    """Their clusters, where the recipe takes one pair of each."""
    filtered = recipe_of(wildcards).selection.method in METHODS_WITH_CLUSTERS
    return f"{ITERATION}/clusters.jsonl".format(**wildcards) if filtered else []


def starting_weights(wildcards):
    """The weights that an iteration starts from: the base model's, or the last checkpoint's."""
    from_last = recipe_of(wildcards).start_from == "last"
    owner = previous_checkpoint(wildcards) if from_last else "base"
    return weights_of(wildcards.model, wildcards.seed, owner)


def training_settings(wildcards):
    return recipe_of(wildcards).training.fit().model_dump_json()


def system_prompt_flag(wildcards):
    return as_flags({"system-prompt": CONFIG.models[wildcards.model].system_prompt})

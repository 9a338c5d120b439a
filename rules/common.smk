# Paths and input functions that several rule files share. No rules here.
#
# results/<experiment>/<model>/weights/                     the untouched base model
# results/<experiment>/<model>/seed<s>/base/                what the base model writes, and its benchmarks
# results/<experiment>/<model>/seed<s>/<recipe>/iter<t>/    the checkpoint of iteration t, and what it writes
import re
import shlex

from isheep.config_file import load_config
from isheep.digest import program_digest
from isheep.records import InputError
from isheep.seeds import derive_seed

try:
    CONFIG = load_config(config, workflow.configfiles)
except InputError as error:
    sys.exit(f"Error: {error}")

RESULTS = f"results/{CONFIG.experiment.name}"
CHECKPOINT = f"{RESULTS}/{{model}}/seed{{seed}}/{{checkpoint}}"
ITERATION = f"{RESULTS}/{{model}}/seed{{seed}}/{{recipe}}/iter{{iteration}}"


def any_of(names):
    """The regular expression that matches exactly these names, or nothing where there are none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def recipes_trained_by(method):
    return [name for name in CONFIG.experiment.recipes if CONFIG.recipes[name].training.method == method]


def models_from(source):
    return [name for name in CONFIG.experiment.models if CONFIG.models[name].source == source]


wildcard_constraints:
    model=any_of(CONFIG.experiment.models),
    seed=r"\d+",
    recipe=any_of(CONFIG.experiment.recipes),
    iteration=r"[1-9]\d*",
    checkpoint=rf"base|({any_of(CONFIG.experiment.recipes)})/iter[1-9]\d*",
    shard=r"\d+",
    judge="current|base",


def weights_of(model, seed, checkpoint):
    """The folder with a checkpoint's full weights; the untouched base model's is shared by all seeds."""
    home = f"{RESULTS}/{model}" if checkpoint == "base" else f"{RESULTS}/{model}/seed{seed}/{checkpoint}"
    return f"{home}/weights"


def checkpoint_weights(wildcards):
    return weights_of(wildcards.model, wildcards.seed, wildcards.checkpoint)


def judge_weights(wildcards):
    judge = "base" if wildcards.judge == "base" else wildcards.checkpoint
    return weights_of(wildcards.model, wildcards.seed, judge)


def previous_checkpoint(recipe, iteration):
    """The checkpoint that writes the data of this iteration: `base` for the first, else the iteration before."""
    return CONFIG.checkpoint(recipe, int(iteration) - 1)


def source_checkpoints(wildcards):
    """The checkpoints whose pairs an iteration is trained on: the previous one, or all so far."""
    newest = int(wildcards.iteration)
    oldest = 1 if CONFIG.recipes[wildcards.recipe].data == "all" else newest
    return [previous_checkpoint(wildcards.recipe, iteration) for iteration in range(oldest, newest + 1)]


def prompting(wildcards):
    """Flags that say how a checkpoint is spoken to: raw as the base model, by its chat template after training."""
    if wildcards.checkpoint == "base":
        return "--raw"
    system_prompt = CONFIG.models[wildcards.model].system_prompt
    return "--chat" if system_prompt is None else f"--chat --system-prompt {shlex.quote(system_prompt)}"


def job_seed(stage):
    """The seed of a stage's job: by replicate, iteration and shard, and so the same for every recipe."""

    def seed(wildcards):
        iteration = wildcards.get("checkpoint", "").split("/")[-1] or wildcards.get("iteration")
        return derive_seed(wildcards.seed, stage, iteration, wildcards.get("shard", ""))

    return seed


ENGINE_ENVIRONMENT = f"../envs/{CONFIG.engine.kind}.yaml"
ENGINE = CONFIG.engine.model_dump_json()


def chat_template_flag(wildcards):
    template = CONFIG.models[wildcards.model].chat_template
    return "" if template is None else f"--chat-template {shlex.quote(template)}"

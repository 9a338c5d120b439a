# What jobs ask of the machines, from the size of the model. Functions, no rules; the numbers are isheep.config.hardware's.
#
# `gpu`, `mem_mb` and `runtime` (minutes) are what Snakemake's executors understand; they grow with each attempt where a
# profile has retries. They are no part of a result.
from functools import cache

from snakemake.logging import logger
from snakemake.settings.types import DeploymentMethod

from isheep.config import hardware
from isheep.engine.base_models import billions_of_parameters
from isheep.workflow.cluster import runs_elsewhere
from isheep.config.machine import left_out, look_at_machine, told, told_elsewhere, with_detected
from isheep.benchmarks.programs import TIME_LIMITS

DEFAULT_REQUESTS = 5000  # of a benchmark whose number of items only its data tell
PROBLEMS = 1000  # of a set of programming problems whose number only its data tell; MBPP has 974
UNSIZED = 0.001  # billions of parameters of a model whose size is not known: one that a CPU runs


def tell(line):
    """Tell something once, where a person has started the run."""
    if line and workflow.is_main_process:
        logger.info(line)


def hardware_of_jobs():
    """The machines that jobs run on: as configured, and what is left out there as found on this machine, if it is the
    one. What was found also limits how many jobs run at a time, unless --resources does."""
    given = CONFIG.hardware
    keys = left_out(given) if MODELS else []
    if not keys:
        return given
    if runs_elsewhere(workflow):
        tell(told_elsewhere(given))
        return given
    by_conda = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
    machine = look_at_machine(torch_version="" if by_conda else None)
    tell(told(given, machine))
    used = with_detected(given, machine)
    if "gpus_per_node" in keys and used.gpus_per_node:
        limit_jobs("gpu", used.gpus_per_node)
    if "node_memory_gib" in keys:
        limit_jobs("mem_mb", round(1024 * used.node_memory_gib))
    return used


def limit_jobs(resource, most):
    """As `--resources <resource>=<most>`, where the command line does not say it."""
    if resource not in workflow.global_resources:
        workflow.global_resources[resource] = most


HARDWARE = hardware_of_jobs()
CPUS_PER_GPU = HARDWARE.cpus_per_gpu if HARDWARE.gpus_per_node else 0


@cache
def model_size(name):
    """Billions of parameters of a model: as configured, else counted where its weights lie here already."""
    configured = CONFIG.models[name].parameters
    folder = None if configured else folder_of_base(CONFIG.models[name])
    return configured or (billions_of_parameters(folder) if folder else 0) or UNSIZED


@cache
def generation_gpus(model):
    engine = CONFIG.engine
    return hardware.generation_gpus(HARDWARE, model, model_size(model), engine.kind, engine.dtype)


def memory_of_writing(model, attempt=1):
    size, gpus, dtype = model_size(model), generation_gpus(model), CONFIG.engine.dtype
    return hardware.generation_memory_mib(HARDWARE, model, size, gpus, attempt, dtype)


def own_model(wildcards):
    """The model whose weights a job runs: a checkpoint's own."""
    return wildcards.get("model") or wildcards.subject.split("/")[0]


def generation_gpu(wildcards):
    return generation_gpus(own_model(wildcards))


def generation_mem_mb(wildcards, attempt):
    model = own_model(wildcards)
    return memory_of_writing(model, attempt)


def generation_runtime(requests):
    """The time limit of a job in which a model answers so many requests; `requests` may be a function of wildcards."""

    def runtime(wildcards, attempt):
        model = own_model(wildcards)
        asked = requests(wildcards) if callable(requests) else requests
        return hardware.generation_minutes(HARDWARE, model_size(model), generation_gpus(model), asked, attempt)

    return runtime


def benchmark_requests(wildcards):
    return getattr(benchmark(wildcards), "limit", None) or DEFAULT_REQUESTS


def programs_runtime(wildcards, attempt):
    settings = benchmark(wildcards)
    seconds = settings.time_limit or TIME_LIMITS[settings.format]
    programs = PROBLEMS * settings.samples
    return hardware.programs_minutes(HARDWARE, programs, seconds, CONFIG.runtime.threads, attempt)


@cache
def training_by(model, recipe):
    """The settings, size and layout of a recipe's training."""
    settings, size = CONFIG.recipes[recipe].training, model_size(model)
    layout = hardware.training_layout(HARDWARE, model, size, settings, CONFIG.runtime.micro_batch_size)
    return settings, size, layout


def training_of(wildcards):
    return training_by(wildcards.model, wildcards.recipe)


def training_gpu(wildcards):
    return training_of(wildcards)[2].gpus


def training_layout(wildcards):
    return training_of(wildcards)[2].name


def training_mem_mb(wildcards, attempt):
    settings, size, layout = training_of(wildcards)
    return hardware.training_memory_mib(HARDWARE, wildcards.model, size, settings, layout, attempt)


def training_disk_mb(wildcards):
    settings, size, _ = training_of(wildcards)
    return hardware.saved_steps_disk_mib(size, settings)


def training_runtime(wildcards, attempt):
    settings, size, layout = training_of(wildcards)
    recipe = CONFIG.recipes[wildcards.recipe]
    pairs = recipe.instructions * (int(wildcards.iteration) if recipe.data == "all" else 1)
    return hardware.training_minutes(HARDWARE, size, settings, layout, pairs, CONFIG.runtime.micro_batch_size, attempt)


def merging_mem_mb(wildcards, attempt):
    size = model_size(wildcards.model)
    return hardware.merging_memory_mib(HARDWARE, wildcards.model, size, attempt)


def rewriting_runtime(wildcards, attempt):
    return hardware.rewriting_minutes(HARDWARE, model_size(wildcards.model), attempt)


def merging_disk_mb(wildcards):
    return hardware.merged_disk_mib(model_size(wildcards.model))


def judge_size(wildcards):
    """The model that judges, its size and its GPUs; none where an API judges, or where judgments are published."""
    model = own_model_of_judge(wildcards)
    return (model, model_size(model), generation_gpus(model)) if model else (None, UNSIZED, 0)


def judge_gpu(wildcards):
    return judge_size(wildcards)[2]


def judge_mem_mb(wildcards, attempt):
    model, size, gpus = judge_size(wildcards)
    return hardware.generation_memory_mib(HARDWARE, model, size, gpus, attempt, CONFIG.engine.dtype)


def judge_runtime(wildcards, attempt):
    _, size, gpus = judge_size(wildcards)
    return hardware.generation_minutes(HARDWARE, size, gpus, DEFAULT_REQUESTS, attempt)


# A model that fits on no machine is refused before anything starts.
try:
    for name in MODELS:
        memory_of_writing(name)
    for name in CONFIG.experiment.models:
        for recipe in MATRIX.recipes(name):
            settings, size, layout = training_by(name, recipe)
            hardware.training_memory_mib(HARDWARE, name, size, settings, layout)
except InputError as error:
    sys.exit(f"Error: {error}")

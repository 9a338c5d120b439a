"""What a model of a given size asks of the machines: GPUs, training layout, memory, time and disk.

Sizes are in billions of parameters. All numbers are requests and limits, never part of a result: they grow with the
model and with the attempt, so that a job that was killed for its memory or its time gets more of it when it is tried
again. A model that fits on no node is refused before anything starts.
"""

from typing import Literal, NamedTuple

from pydantic import Field

from isheep.files.records import InputError
from isheep.settings import Settings
from isheep.training.settings import TrainingSettings

BYTES = {"auto": 2, "bfloat16": 2, "float16": 2, "float32": 4}
"""Bytes of one number; `auto` is the checkpoint's own, and large models are published in 16 bits."""
USABLE_SHARE = 0.9
"""Share of a GPU's memory that is planned with; the rest is the driver's and the libraries' (vLLM's default too)."""
FULL_TRAINING_BYTES = 16
"""Bytes a parameter of AdamW in mixed precision: weight, gradient and two moments in float32 (ZeRO, arXiv 1910.02054,
section 3.1, counts 16 as well)."""
GRADIENT_BUCKET_BYTES = 4
"""Data parallelism keeps one more copy of the gradients, to send."""
ADAPTER_BYTES = 0.01
"""Bytes a parameter of the model and rank of the adapter, its optimizer included: Qwen1.5-1.8B has 0.94 million adapter
parameters a rank (0.0083 bytes at 16 each), larger models relatively fewer."""
FIXED_TRAINING_GIB, ACTIVATIONS_GIB = 6.0, 6.0
"""A GPU's memory for libraries and gathered layers, and for the activations of 1,024 tokens under gradient
checkpointing: Qwen1.5-72B keeps 80 x 8,192 bfloat16 numbers a token, 1.3 GiB, and needs a few times that in a layer."""
GPU_SECONDS_PER_REQUEST, GPU_SECONDS_PER_PAIR = 0.03, 0.05
"""GPU seconds a billion parameters, for one request of generation and one pass over a training pair. In the paper
(appendix E) an iteration of the 72B model takes about 4 hours on 8 A800: 1,600 GPU seconds a billion parameters, for
40,000 requests (instructions, responses, two assessments) and 5,400 passes over pairs; by these rates, 1,470."""
CPU_SECONDS = 100.0
"""The same on a CPU core: 800 tokens are 1.6e12 operations a billion parameters, at 16e9 a second."""
TIME_MARGIN = 2.0
"""A time limit is so many times the estimate: a job that hits it has to start again."""
PROGRAMS_PER_ENDLESS_ONE = 2.0
"""At most one model-written program in this many is assumed never to end by itself."""
START_MINUTES = 15.0
"""Starting the libraries, and compiling or capturing graphs."""
GIB_PER_MINUTE = 15.0
"""Weights read from a shared file system (0.25 GiB/s)."""

OTHER_MODELS = "take the model out of experiment.models, or take a smaller one"


class HardwareSettings(Settings):
    """The machines that jobs run on. Cannot change a result, and so reruns nothing.

    On one machine a key that is left out is what this machine has: its GPUs as nvidia-smi tells them, its memory, its
    cores; a run tells at its start what it found. Where jobs run on a cluster's nodes, a key that is left out has its
    default, since the machine that submits them says nothing about the nodes.
    """

    gpus_per_node: int = Field(0, ge=0)
    """GPUs of one machine; 0: there are none, or they shall not be used, and everything runs on the CPU (paper: 8)."""
    gpu_memory_gib: float = Field(80, gt=0)
    """Memory of one GPU in GiB (paper: 80)."""
    cpus_per_gpu: int = Field(6, ge=1)
    """CPUs that a job asks for with each of its GPUs: one for its process, the others for data and libraries."""
    training_gpus: int = Field(1, ge=1)
    """GPUs that train a model which fits on one of them, on different pairs (paper: 8); larger ones take the node."""
    cache_share: float = Field(0.55, ge=0, lt=1)
    """Least share of the memory of the GPUs in use that generation keeps for its key-value cache. Without grouped-query
    attention a token takes much: Qwen1.5-72B 2.6 MB, so that 8 GPUs of 80 GiB write 110 texts of 1,500 tokens at once,
    and 4 only 40. Lower it for models with grouped-query attention, or to make a model fit that is refused."""
    node_memory_gib: float | None = Field(None, gt=0)
    """Main memory of one machine in GiB: no job asks for more. null: not known, jobs ask for what they need."""
    program_memory_gib: float = Field(4, gt=0)
    """Main memory of one process beside the weights it holds; also that of jobs without a model."""
    longest_job_minutes: int | None = Field(None, ge=1)
    """The queue's time limit: no job asks for more, and one that needs more goes on at its next attempt. null: none."""


class TrainingLayout(NamedTuple):
    """How a training is spread: a file config/accelerate/<name>.yaml, and the number of GPUs (0: on the CPU)."""

    name: Literal["single", "ddp", "fsdp"]
    gpus: int


def weights_gib(parameters: float, dtype: str = "bfloat16") -> float:
    """Memory or disk of a model's weights, in GiB."""
    return _gib(parameters, BYTES[dtype])


def generation_gpus(
    hardware: HardwareSettings, model: str, parameters: float, engine: str = "vllm", dtype: str = "auto"
) -> int:
    """Return on how many GPUs (1, 2, 4, 8 …) one model writes: the fewest that leave room for the key-value cache.

    model: its name, for the error. engine: "transformers" runs on one GPU at most. dtype: as in the engine's settings.
    Raises InputError if the model does not fit on a node.
    """
    if not hardware.gpus_per_node:
        return 0
    held = weights_gib(parameters, dtype)
    needed = held / (1 - hardware.cache_share)
    vllm = engine == "vllm"
    for count in _powers(hardware.gpus_per_node if vllm else 1):
        if needed <= count * _usable_gib(hardware):
            return count
    where = f"a node has {_node(hardware)}" if vllm else f"the engine {engine} uses one GPU of {_node(hardware)}"
    raise InputError(
        f"models.{model}: {parameters:g} billion parameters take {held:.0f} GiB, {needed:.0f} GiB "
        f"with their key-value cache, but {where}, {_usable_gib(hardware):.0f} of each usable; {OTHER_MODELS} or "
        f"larger GPUs, {'lower hardware.cache_share' if vllm else 'take the engine vllm'}, or correct the key hardware."
    )


def training_layout(
    hardware: HardwareSettings, model: str, parameters: float, training: TrainingSettings, micro_batch_size: int = 1
) -> TrainingLayout:
    """Return how a model is trained: whole on one GPU or on each of several (ddp), or cut over the node's GPUs (fsdp).

    Raises InputError if it does not fit, or if the GPUs do not divide the training's batch.
    """
    if not hardware.gpus_per_node:
        return TrainingLayout("single", 0)
    usable, fixed = _usable_gib(hardware), _activations_gib(training, micro_batch_size)
    state = _gib(parameters, training_bytes(training))
    copies = min(hardware.training_gpus, hardware.gpus_per_node)
    buckets = _gib(parameters, GRADIENT_BUCKET_BYTES) if training.method == "full" and copies > 1 else 0.0
    if state + buckets + fixed <= usable:
        return _dividing(TrainingLayout("ddp" if copies > 1 else "single", copies), training, micro_batch_size)
    node = _powers(hardware.gpus_per_node)[-1]
    if node > 1 and state / node + fixed <= usable:
        return _dividing(TrainingLayout("fsdp", node), training, micro_batch_size)
    raise InputError(
        f"models.{model}: {parameters:g} billion parameters need {state / node + fixed:.0f} GiB on each of {node} GPUs "
        f"to be trained (method {training.method}), but a node has {_node(hardware)}, {usable:.0f} of each usable; "
        f"{OTHER_MODELS} or larger GPUs{', or the method lora' if training.method == 'full' else ''}."
    )


def training_bytes(training: TrainingSettings) -> float:
    """Bytes a parameter that are held while training: all of AdamW's, or frozen weights and an adapter."""
    if training.method == "full":
        return FULL_TRAINING_BYTES
    return BYTES[training.precision] + ADAPTER_BYTES * training.lora.rank


def generation_memory_mib(
    hardware: HardwareSettings, model: str, parameters: float, gpus: int, attempt: int = 1, dtype: str = "float32"
) -> int:
    """Main memory that a job needs in which a model writes: weights pass through it; on a CPU they stay, as `dtype`,
    which is that of the engine's settings."""
    if not gpus:
        return _memory_mib(hardware, model, weights_gib(parameters, dtype), 1, attempt)
    return _memory_mib(hardware, model, weights_gib(parameters), 1 + gpus, attempt)


def training_memory_mib(
    hardware: HardwareSettings,
    model: str,
    parameters: float,
    training: TrainingSettings,
    layout: TrainingLayout,
    attempt: int = 1,
) -> int:
    """Main memory that a training needs: weights pass through it to the GPUs; under fsdp the first process gathers
    there what is saved, and on a CPU all that is trained stays there."""
    held = training_bytes(training) if layout.name == "fsdp" or not layout.gpus else _loaded_bytes(training)
    return _memory_mib(hardware, model, _gib(parameters, held), 1 + layout.gpus, attempt)


def merging_memory_mib(hardware: HardwareSettings, model: str, parameters: float, attempt: int = 1) -> int:
    """Main memory in which an adapter is merged: the weights, and a fifth of them again while they are saved."""
    return _memory_mib(hardware, model, 1.2 * weights_gib(parameters), 1, attempt)


def generation_minutes(
    hardware: HardwareSettings, parameters: float, gpus: int, requests: int, attempt: int = 1
) -> int:
    """Time limit of a job in which a model answers so many requests. A larger model never gets less than a smaller
    one, also where it has more GPUs."""
    if not gpus:
        return _minutes(hardware, parameters, CPU_SECONDS * parameters * requests, attempt)
    largest = (1 - hardware.cache_share) * _usable_gib(hardware) / _gib(1, BYTES["bfloat16"])
    share = max(min(parameters, largest), parameters / gpus)
    return _minutes(hardware, parameters, GPU_SECONDS_PER_REQUEST * share * requests, attempt)


def training_minutes(
    hardware: HardwareSettings,
    parameters: float,
    training: TrainingSettings,
    layout: TrainingLayout,
    pairs: int,
    micro_batch_size: int = 1,
    attempt: int = 1,
) -> int:
    """Time limit of a training on so many pairs (max_samples at most), monotone in the size as generation_minutes."""
    passes = training.epochs * min(pairs, training.max_samples or pairs)
    if not layout.gpus:
        return _minutes(hardware, parameters, CPU_SECONDS * parameters * passes, attempt)
    room = _usable_gib(hardware) - _activations_gib(training, micro_batch_size)
    largest = max(0.0, room) / _gib(1, training_bytes(training))
    copies = min(hardware.training_gpus, hardware.gpus_per_node)
    share = max(min(parameters, largest) / copies, parameters / layout.gpus)
    return _minutes(hardware, parameters, GPU_SECONDS_PER_PAIR * share * passes, attempt)


def rewriting_minutes(hardware: HardwareSettings, parameters: float, attempt: int = 1) -> int:
    """Time limit of a job that reads weights and writes them again, twice as slowly: merging an adapter, or checking
    and taking over the weights of a base model."""
    return _minutes(hardware, parameters, 2 * 60 * weights_gib(parameters) / GIB_PER_MINUTE, attempt)


def programs_minutes(
    hardware: HardwareSettings, programs: int, time_limit: float, threads: int, attempt: int = 1
) -> int:
    """Time limit of a job that runs so many model-written programs, `threads` at a time, each stopped after
    `time_limit` seconds: as long as it takes if one in PROGRAMS_PER_ENDLESS_ONE never ends by itself."""
    return _minutes(hardware, 0, programs * time_limit / PROGRAMS_PER_ENDLESS_ONE / threads, attempt)


def merged_disk_mib(parameters: float) -> int:
    """Disk that a checkpoint's merged weights take, tokenizer included."""
    return round(1024 * (weights_gib(parameters) + 0.1))


def saved_steps_disk_mib(parameters: float, training: TrainingSettings) -> int:
    """Disk of the saved steps while a training runs: three at a time, weights and moments in float32 where all weights
    are trained."""
    size = 12.0 if training.method == "full" else ADAPTER_BYTES * training.lora.rank
    return round(1024 * (3 * _gib(parameters, size) + 0.1))


def _gib(parameters: float, bytes_each: float) -> float:
    return parameters * 1e9 * bytes_each / 2**30


def _usable_gib(hardware: HardwareSettings) -> float:
    return USABLE_SHARE * hardware.gpu_memory_gib


def _powers(most: int) -> list[int]:
    """1, 2, 4 … up to `most`: attention heads divide evenly over these."""
    return [2**exponent for exponent in range(most.bit_length())]


def _node(hardware: HardwareSettings) -> str:
    return f"{hardware.gpus_per_node} × {hardware.gpu_memory_gib:g} GiB"


def _activations_gib(training: TrainingSettings, micro_batch_size: int) -> float:
    return FIXED_TRAINING_GIB + ACTIVATIONS_GIB * micro_batch_size * training.max_length / 1024


def _loaded_bytes(training: TrainingSettings) -> float:
    """Bytes a parameter as the weights are loaded: all weights are trained in float32, frozen ones kept as computed."""
    return BYTES["float32"] if training.method == "full" else BYTES[training.precision]


def _dividing(layout: TrainingLayout, training: TrainingSettings, micro_batch_size: int) -> TrainingLayout:
    if training.batch_size % (layout.gpus * micro_batch_size):
        raise InputError(
            f"training.batch_size {training.batch_size} is not divisible by {layout.gpus} GPUs × "
            f"runtime.micro_batch_size {micro_batch_size}; change one of them, or hardware.training_gpus."
        )
    return layout


def _memory_mib(hardware: HardwareSettings, model: str, gib: float, processes: int, attempt: int) -> int:
    needed = gib + processes * hardware.program_memory_gib
    most = hardware.node_memory_gib
    if most is not None and needed > most:
        raise InputError(
            f"models.{model}: a job needs {needed:.0f} GiB of main memory, but a node has {most:g} "
            f"(hardware.node_memory_gib); {OTHER_MODELS} or larger nodes."
        )
    wanted = needed * attempt
    return round(1024 * (wanted if most is None else min(wanted, most)))


def _minutes(hardware: HardwareSettings, parameters: float, seconds: float, attempt: int) -> int:
    start = START_MINUTES + weights_gib(parameters) / GIB_PER_MINUTE
    wanted = round(attempt * (start + TIME_MARGIN * seconds / 60))
    return wanted if hardware.longest_job_minutes is None else min(wanted, hardware.longest_job_minutes)

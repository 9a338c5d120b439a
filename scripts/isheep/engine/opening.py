"""Opening a checkpoint in the engine that the settings name."""

from pathlib import Path

from isheep.engine.engine import Engine, EngineSettings
from isheep.files.records import InputError


def open_engine(
    checkpoint: Path,
    settings: EngineSettings,
    *,
    batch_size: int,
    threads: int,
    tensor_parallel: int = 1,
    base: Path | None = None,
) -> Engine:
    """Load a checkpoint folder (weights, tokenizer, identity.json) into the engine that `settings` names.

    batch_size: the most completions written at the same time. threads: CPU threads. tensor_parallel: GPUs
    that one model is spread over (vllm only). None of them is part of a result. base: for a checkpoint that is an
    adapter, the folder of the weights it was trained on, whose tokenizer and chat template it writes with.

    Raises InputError for a folder without identity, for an adapter without its base or with another one, or for an
    engine that is not installed.
    """
    if settings.kind == "vllm":
        from isheep.engine.vllm_engine import VllmEngine

        return VllmEngine(checkpoint, settings, batch_size, threads, tensor_parallel, base)
    if tensor_parallel != 1:
        raise InputError(
            f"the engine transformers runs on one GPU, but {tensor_parallel} are given; ask for one (--gpus 1), or set "
            "engine.kind to vllm."
        )
    from isheep.engine.transformers_engine import TransformersEngine

    return TransformersEngine(checkpoint, settings, batch_size, threads, base)

"""Vectors of texts: a checkpoint's last hidden layer, for the filter by density and the map of the data."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from isheep.engine.engine import Progress
from isheep.engine.identity import full_weights, is_adapter
from isheep.files.records import InputError
from isheep.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import torch


class EmbeddingSettings(Settings):
    """How a text becomes one vector. The paper (section 4.3) says no more than that it is of the last layer."""

    pooling: Literal["mean", "last"] = "mean"
    """mean: average over the text's tokens. last: the last token's vector. The paper does not say which."""
    max_length: int = Field(1024, ge=1)
    """Only the first so many tokens of a text are read (not in the paper; 1024 is its length of training)."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number type of weights and activations; `auto` takes the one that the checkpoint was saved in."""


def embed_texts(
    checkpoint: Path,
    texts: Sequence[str],
    settings: EmbeddingSettings,
    *,
    batch_size: int,
    threads: int,
    base: Path | None = None,
) -> "np.ndarray":
    """Return one vector a text, (texts, hidden) in float32, in the order of `texts`.

    base: of a checkpoint that is an adapter, the weights that it was trained on; they are merged in memory. The model
    is spread over all GPUs that are visible, or runs on the CPU.
    batch_size and threads change a vector in its last bits at most. Raises InputError for a text without tokens, for
    a max_length beyond the checkpoint's own, for vectors that are not finite, and as `full_weights` does.
    """
    import numpy as np
    import torch

    rows = _encode(checkpoint, texts, settings.max_length)
    torch.set_num_threads(threads)
    model = _load_model(checkpoint, base, settings)
    vectors = np.zeros((len(rows), model.config.hidden_size), np.float32)
    progress = Progress("embedded texts", len(rows), "tokens")
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]), reverse=True)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        vectors[batch] = _embed_batch(model, [rows[index] for index in batch], settings.pooling).numpy()
        for index in batch:
            progress.add(len(rows[index]))
    if not np.isfinite(vectors).all():
        raise InputError(
            f"{checkpoint}: some of its vectors are not finite in {model.dtype}; embed in bfloat16 or float32, or make "
            "the checkpoint again."
        )
    return vectors


def _encode(checkpoint: Path, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """The first `max_length` token ids of each text."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    encoded = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    for index, ids in enumerate(encoded):
        if not ids:
            raise InputError(f"text {index} to embed has no tokens; give it at least one character.")
    cut = sum(len(ids) > max_length for ids in encoded)
    print(f"{cut} of {len(texts)} texts cut to {max_length} tokens", file=sys.stderr)
    return [ids[:max_length] for ids in encoded]


def _load_model(checkpoint: Path, base: Path | None, settings: EmbeddingSettings) -> "torch.nn.Module":
    """The layers without the one that predicts tokens, ready to read."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
    from transformers.utils import logging

    weights = full_weights(checkpoint, base)
    limit = AutoConfig.from_pretrained(weights).max_position_embeddings
    if settings.max_length > limit:
        raise InputError(
            f"embedding.max_length is {settings.max_length}, but {checkpoint} was built for at most {limit} tokens; "
            "lower it."
        )
    logging.disable_progress_bar()
    device_map = "auto" if torch.cuda.is_available() else None
    if not is_adapter(checkpoint):
        return AutoModel.from_pretrained(checkpoint, dtype=settings.dtype, device_map=device_map).eval()
    # An adapter was trained on the model with the layer that predicts tokens, and names its layers after it.
    from peft import PeftModel

    whole = AutoModelForCausalLM.from_pretrained(weights, dtype=settings.dtype, device_map=device_map)
    return PeftModel.from_pretrained(whole, checkpoint).merge_and_unload().base_model.eval()


def _embed_batch(model: "torch.nn.Module", rows: list[list[int]], pooling: str) -> "torch.Tensor":
    """The vectors of some texts, (rows, hidden) in float32 on the CPU.

    Padding stands behind the tokens, which cannot see it, and is left out of the pooling.
    """
    import torch

    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=model.device)
    with torch.inference_mode():
        hidden = model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state.float()
    mask = mask.to(hidden.device)
    counts = mask.sum(1)
    if pooling == "last":
        pooled = hidden[torch.arange(len(rows), device=hidden.device), counts - 1]
    else:
        pooled = torch.einsum("rt,rth->rh", mask.float(), hidden) / counts[:, None]
    return pooled.cpu()

"""Settings of supervised fine-tuning, with the paper's values as defaults (arXiv 2408.08072, appendix E)."""

import math
from typing import Literal

from pydantic import Field

from isheep.settings import Settings

TRAINING_RECORD = "training.json"
"""In a trained checkpoint's folder: what the training was asked for."""


class LoraSettings(Settings):
    """Low-rank adaptation of all linear layers."""

    rank: int = Field(8, ge=1)
    """Rank of the adapter's matrices (paper: 8)."""
    alpha: int = Field(16, ge=1)
    """Scale of the adapter: its update is multiplied by alpha / rank (paper: 16)."""
    dropout: float = Field(0.05, ge=0, lt=1)
    """Dropout on the adapter's input while training (paper: 0.05)."""


class FitSettings(Settings):
    """How one checkpoint is trained on given pairs; the loss is taken on the response alone."""

    method: Literal["lora", "full"] = "lora"
    """lora: train an adapter, keep it, merge it only when needed. full: train all weights (small models)."""
    lora: LoraSettings = LoraSettings()
    """The adapter, for method lora."""
    learning_rate: float = Field(5e-5, gt=0)
    """Peak learning rate of AdamW (paper: 5e-5)."""
    scheduler: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    """Course of the learning rate after the warm-up (paper: cosine)."""
    warmup_steps: int = Field(20, ge=0)
    """Steps of linear warm-up (paper: 20)."""
    warmup_share: float | None = Field(None, ge=0, lt=1)
    """Instead of `warmup_steps`: the share of all steps, rounded up, which fits small training sets as well as large
    ones; null takes `warmup_steps`."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of AdamW (not given in the paper; 0 is the default of the trainer it used)."""
    epochs: float = Field(2, gt=0)
    """Passes over the training set (paper: 2)."""
    batch_size: int = Field(16, ge=1)
    """Pairs per optimiser step over all devices (paper: 1 x 2 accumulation x 8 GPUs = 16)."""
    max_length: int = Field(1024, ge=16)
    """Longest pair in tokens; longer ones are cut at the end (paper: 1024; its trainer cuts
    prompt and response in proportion)."""
    save_steps: int = Field(100, ge=1)
    """Save, and evaluate where there is a validation share, every so many steps (paper: 100)."""
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    """Arithmetic of the training (paper: bfloat16)."""
    separator: str = "\n"
    """Between an instruction and its input in the pairs that are trained on (the trainer that the paper used: a line
    break). Generation has its own, `responses.separator`."""
    loss: Literal["sequence", "token"] = "sequence"
    """What a step's loss is the mean of. sequence: over its pairs, of each pair's mean over the tokens of its response,
    so that each pair weighs the same (the trainer that the paper used, at its one pair per device). token: over the
    tokens of all responses, so that long ones weigh more (what TRL does)."""

    def warm_up(self) -> float:
        """Return the warm-up as the trainer takes it: a number of steps, or a share of all steps below 1."""
        return self.warmup_steps if self.warmup_share is None else self.warmup_share

    def steps(self, pairs: int) -> int:
        """Return the steps that a training on so many pairs makes."""
        return math.ceil(self.epochs * math.ceil(pairs / self.batch_size))


def never_warm(settings: FitSettings, pairs: int, steps: int) -> str | None:
    """Say that so few pairs end their training during the warm-up; None where they do not, or where a share of the
    steps is asked for."""
    if settings.warmup_share is not None or steps > settings.warmup_steps:
        return None
    highest = settings.learning_rate * (steps - 1) / settings.warmup_steps
    return (
        f"{pairs} pairs make only {steps} steps of training, and training.warmup_steps is {settings.warmup_steps}: the "
        f"learning rate rises to {highest:.2g} and never reaches {settings.learning_rate:g}; set training.warmup_share "
        "(0.1: the first tenth of the steps), lower training.warmup_steps, or train on more pairs"
    )

"""Fine-tune weights on the selected pairs, with the loss on the response alone (paper, appendix E).

Started by scripts/launch_training.py, in one process or in several. However the model is spread, the same pairs make
the same steps, and the result differs only by the order of sums and by the draws of dropout. A killed run, started
again, goes on from the last step that it saved.
"""

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import Literal

import torch
from accelerate import PartialState
from accelerate.data_loader import SeedableRandomSampler
from datasets import Dataset, concatenate_datasets
from peft import LoraConfig
from torch.utils.data import Sampler
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    set_seed,
)
from transformers.integrations.fsdp import is_fsdp_enabled
from transformers.utils import ModelOutput
from trl import SFTConfig, SFTTrainer

from isheep import cli
from isheep.data.prompts import chat_messages, response_prompt
from isheep.digest import program_digest
from isheep.engine.identity import read_identity, require_whole, write_identity
from isheep.engine.provenance import installed_versions
from isheep.files.durable import sync, sync_entry
from isheep.files.ownership import open_alone
from isheep.files.reading import read_some
from isheep.files.records import InputError, claim, file_sha256, publish, read_jsonl, unfinished_folder, write_json
from isheep.training.fine_tuning import TRAINING_RECORD, FitSettings, never_warm

TRAINING_PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate")
WHOLE = "whole"
"""In a saved step's folder: all of the step is on the disk."""


def main(arguments: argparse.Namespace) -> None:
    """Train, and publish an adapter (method lora) or a folder of full weights (method full)."""
    settings = FitSettings.model_validate_json(arguments.training)
    torch.set_num_threads(arguments.threads)
    set_seed(arguments.seed)
    state = PartialState(cpu=not torch.cuda.is_available())  # the processes know each other before one loads weights
    with alone(arguments.output) if state.is_main_process else nullcontext():
        state.wait_for_everyone()
        asked = what_is_asked(arguments, settings)
        if is_published(arguments.output, asked):
            print(f"{arguments.output}: another program has just trained it")
        else:
            train(arguments, settings, asked)


@contextmanager
def alone(output: Path) -> Iterator[None]:
    """Hold the lock of an output: a job of a killed workflow may still be training it, and is waited for. What was
    kept for a killed run is removed at the end.

    The output is claimed only then, so that what that job has trained is published, and taken if it is what is asked.
    """
    folder = unfinished_folder(output)
    file = None
    while file is None:
        with suppress(FileNotFoundError):  # the one that was waited for has removed the folder
            folder.mkdir(parents=True, exist_ok=True)
            file = open_alone(folder / "lock", output)
    with file:
        claim(output)
        yield
        shutil.rmtree(folder, ignore_errors=True)


def what_is_asked(arguments: argparse.Namespace, settings: FitSettings) -> dict:
    """All that the result depends on, but for the order of sums: kept with saved steps and in the published folder."""
    return {
        "weights": read_identity(arguments.weights),
        "training_set": file_sha256(arguments.training_set),
        "validation_set": file_sha256(arguments.validation_set),
        "settings": settings.model_dump(mode="json"),
        "system_prompt": arguments.system_prompt,
        "seed": arguments.seed,
    }


def is_published(output: Path, asked: dict) -> bool:
    """Whether the output has been trained as asked: Snakemake had removed it, so another program did it meanwhile."""
    record = output / TRAINING_RECORD
    return record.exists() and json.loads(record.read_text(encoding="utf-8")) == asked


def saved_steps_folder(output: Path, asked: dict) -> Path:
    """The folder of the steps that a killed run has saved, if it was asked for the same; those of others are removed.

    Steps are saved in the form of the layout, so that another number of processes begins anew.
    """
    layout = [PartialState().num_processes, is_fsdp_enabled()]
    made_by = [program_digest(__file__), installed_versions(TRAINING_PACKAGES)]
    key = hashlib.sha256(json.dumps([asked, layout, made_by], sort_keys=True).encode()).hexdigest()
    folder = unfinished_folder(output) / key
    if PartialState().is_main_process:
        for other in unfinished_folder(output).iterdir():
            if other.is_dir() and other != folder:
                shutil.rmtree(other)
    PartialState().wait_for_everyone()
    return folder


def train(arguments: argparse.Namespace, settings: FitSettings, asked: dict) -> None:
    """Train from the start, or from the last saved step, and publish."""
    require_whole(arguments.weights)
    accumulation = accumulated_batches(settings, arguments.micro_batch_size, PartialState().num_processes)
    pairs = training_examples(arguments, settings)
    held_out = validation_examples(arguments, settings)
    saved_steps = saved_steps_folder(arguments.output, asked)
    trainer = PairTrainer(
        model=load_weights(arguments.weights, settings),
        args=trainer_settings(arguments, settings, saved_steps, accumulation, validate=held_out is not None),
        train_dataset=pairs,
        eval_dataset=held_out,
        processing_class=AutoTokenizer.from_pretrained(arguments.weights),
        peft_config=adapter_settings(settings),
        callbacks=[KeepSavedSteps()],
    )
    trainer.loss, trainer.pairs = settings.loss, len(trainer.train_dataset)
    trainer.train_dataset = whole_batches(trainer.train_dataset, settings.batch_size)
    with redirect_stdout(sys.stderr):  # the trainer's progress belongs in the log
        trainer.train(resume_from_checkpoint=last_saved_step(saved_steps))
    save(trainer, arguments, settings, asked)
    if PartialState().is_main_process:
        report(arguments.output, settings, len(pairs), trainer.state.global_step)


def report(output: Path, settings: FitSettings, pairs: int, steps: int) -> None:
    """Say what was trained on, and that it was too little where it was: on the terminal and in the log."""
    print(f"{output}: trained on {pairs} pairs, {steps} steps")
    if warning := never_warm(settings, pairs, steps):
        for place in (sys.stdout, sys.stderr):
            print(f"Warning: {output}: {warning}.", file=place)


class EpochOrder(Sampler):
    """Positions of an epoch's rows: those of the pairs, in an order drawn from seed and epoch, then those that fill up.

    The same for any number of processes, and the pairs' order is the one that accelerate draws for them alone.
    """

    def __init__(self, pairs: int, rows: int, seed: int):
        self._pairs, self._rows = SeedableRandomSampler(range(pairs), data_seed=seed), rows

    def __iter__(self) -> Iterator[int]:
        yield from self._pairs
        yield from range(len(self._pairs), self._rows)

    def __len__(self) -> int:
        return self._rows

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate at the beginning of each epoch."""
        self._pairs.set_epoch(epoch)


class PairTrainer(SFTTrainer):
    """TRL's trainer, on pairs in the order of EpochOrder, with the loss that is asked for.

    pairs: how many of the rows are pairs. loss: `token` is TRL's own. For `sequence` it is told that the items of a
    step are its pairs instead of their tokens, and each token weighs one by its pair's number of tokens.
    """

    pairs: int
    loss: Literal["sequence", "token"]

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> EpochOrder:
        rows = self.train_dataset if train_dataset is None else train_dataset
        return EpochOrder(self.pairs, len(rows), self.args.data_seed)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> torch.Tensor | int | None:
        if self.loss == "token":
            return super()._get_num_items_in_batch(batch_samples, device)
        pairs = sum(pairs_with_loss(batch["labels"]) for batch in batch_samples).to(device)
        return self.accelerator.gather(pairs).sum()

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, ModelOutput]:
        """Return the loss of one forward pass: its part of the step's."""
        if self.loss == "token":
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

        def of_pairs(**given: object) -> ModelOutput:
            outputs = model(**given)
            if given.get("fused_lm_head"):
                outputs.log_probs = outputs.log_probs / outputs.label_mask.sum(dim=1, keepdim=True).clamp(min=1)
            return outputs

        if num_items_in_batch is None:  # validation, in which TRL multiplies by the processes what it is told to divide
            num_items_in_batch = pairs_with_loss(inputs["labels"]) * self.accelerator.num_processes
        return super().compute_loss(of_pairs, inputs, return_outputs, num_items_in_batch)


def pairs_with_loss(labels: torch.Tensor) -> torch.Tensor:
    """Return how many rows have a token that counts; the first of a row is never predicted."""
    return labels[:, 1:].ne(-100).any(dim=1).sum()


def accumulated_batches(settings: FitSettings, micro_batch_size: int, processes: int) -> int:
    """Return how many forward passes of each process make one step; raise InputError if they make no whole batch."""
    if settings.batch_size % (micro_batch_size * processes):
        raise InputError(
            f"training.batch_size {settings.batch_size} is not divisible by {processes} processes × micro batch "
            f"{micro_batch_size}; change one of them."
        )
    return settings.batch_size // (micro_batch_size * processes)


def load_weights(folder: Path, settings: FitSettings) -> PreTrainedModel:
    """Load the weights to start from: float32 where they are trained, the training's precision where they are frozen.

    They go straight to the process's device, but under FSDP, which hands out the parts that the first process has read.
    """
    frozen = settings.method == "lora" and settings.precision == "bfloat16"
    device = None if is_fsdp_enabled() else {"": PartialState().device}
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16 if frozen else torch.float32, device_map=device
    )


def whole_batches(dataset: Dataset, batch_size: int) -> Dataset:
    """Fill tokenized pairs up, to a whole number of batches, with rows that carry no loss.

    Else the last batch of an epoch would be filled with pairs seen before, other ones for each number of processes.
    """
    tokens = dataset.select_columns(["input_ids", "labels"])
    missing = -len(tokens) % batch_size
    blank = {"input_ids": [tokens[0]["input_ids"][:2]] * missing, "labels": [[-100, -100]] * missing}
    return concatenate_datasets([tokens, Dataset.from_dict(blank, features=tokens.features)])


class KeepSavedSteps(TrainerCallback):
    """Brings each step that was saved to the disk, and then says in its folder that it is whole."""

    def on_save(self, args: SFTConfig, state: TrainerState, control: TrainerControl, **_) -> None:
        """Called in every process, when it has written its part."""
        PartialState().wait_for_everyone()
        if PartialState().is_main_process:
            folder = Path(args.output_dir, f"checkpoint-{state.global_step}")
            sync(folder)
            (folder / WHOLE).touch()
            sync_entry(folder)


def last_saved_step(folder: Path) -> str | None:
    """The newest step that was saved whole, if any."""
    whole = [mark.parent for mark in folder.glob(f"checkpoint-*/{WHOLE}")]
    return str(max(whole, key=lambda step: int(step.name.rpartition("-")[2]))) if whole else None


def save(trainer: SFTTrainer, arguments: argparse.Namespace, settings: FitSettings, asked: dict) -> None:
    """Publish the adapter or the weights; under FSDP every process gives its part, and the first one writes."""
    trainer.accelerator.wait_for_everyone()
    main_process = PartialState().is_main_process
    if settings.method == "lora":
        # A set, which would be written in another order each time.
        adapter = trainer.model.peft_config["default"]
        adapter.target_modules = sorted(adapter.target_modules)
    with publish(arguments.output) if main_process else nullcontext(arguments.output) as folder:
        trainer.save_model(str(folder))
        if main_process:
            (folder / "training_args.bin").unlink(missing_ok=True)
            write_json(folder / TRAINING_RECORD, asked)
            write_identity(folder, read_identity(arguments.weights) if settings.method == "lora" else None)
    trainer.accelerator.wait_for_everyone()


def training_examples(arguments: argparse.Namespace, settings: FitSettings) -> Dataset:
    """Return the pairs to train on as prompt and completion, both chat messages."""
    return examples(read_some(arguments.training_set), arguments, settings)


def validation_examples(arguments: argparse.Namespace, settings: FitSettings) -> Dataset | None:
    """Return the pairs that are held out, in the same form; None where there are none."""
    pairs = read_jsonl(arguments.validation_set)
    return examples(pairs, arguments, settings) if pairs else None


def examples(pairs: list[dict], arguments: argparse.Namespace, settings: FitSettings) -> Dataset:
    """Return pairs as prompt and completion."""
    return Dataset.from_list(
        [
            {
                "prompt": chat_messages(
                    response_prompt(pair["instruction"], pair["input"], settings.separator),
                    arguments.system_prompt,
                ),
                "completion": [{"role": "assistant", "content": pair["response"]}],
            }
            for pair in pairs
        ]
    )


def trainer_settings(
    arguments: argparse.Namespace, settings: FitSettings, saved_steps: Path, accumulation: int, validate: bool
) -> SFTConfig:
    """Translate the settings into the trainer's. validate: whether there are pairs held out."""
    return SFTConfig(
        output_dir=str(saved_steps),
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.scheduler,
        warmup_steps=settings.warm_up(),
        weight_decay=settings.weight_decay,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=arguments.micro_batch_size,
        per_device_eval_batch_size=arguments.micro_batch_size,
        gradient_accumulation_steps=accumulation,
        gradient_checkpointing=torch.cuda.is_available(),
        max_length=settings.max_length,
        completion_only_loss=True,
        bf16=settings.precision == "bfloat16",
        use_cpu=not torch.cuda.is_available(),
        eval_strategy="steps" if validate else "no",
        eval_steps=settings.save_steps if validate else None,
        save_steps=settings.save_steps,
        save_total_limit=2,
        load_best_model_at_end=validate,
        logging_steps=10,
        report_to="none",
        seed=arguments.seed,
        data_seed=arguments.seed,
    )


def adapter_settings(settings: FitSettings) -> LoraConfig | None:
    """Return the adapter's configuration: all linear layers, as the paper; None for full fine-tuning."""
    if settings.method == "full":
        return None
    return LoraConfig(
        r=settings.lora.rank,
        lora_alpha=settings.lora.alpha,
        lora_dropout=settings.lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--weights", type=Path, required=True, help="folder with the weights to start from")
parser.add_argument("--training-set", type=Path, required=True, help="JSON Lines: instruction, input, response")
parser.add_argument("--validation-set", type=Path, required=True, help="JSON Lines of pairs held out; may be empty")
parser.add_argument("--training", required=True, help="settings of the training, JSON")
parser.add_argument("--system-prompt", help="system text of the chat; without it there is no system turn")
parser.add_argument("--seed", type=int, required=True, help="seed of shuffling, dropout and initial adapter")
parser.add_argument("--threads", type=int, default=1, help="CPU threads")
parser.add_argument("--micro-batch-size", type=int, default=1, help="pairs per device and forward pass")
parser.add_argument("--output", type=Path, required=True, help="folder to write: adapter or weights")

if __name__ == "__main__":
    cli.run(main, parser)

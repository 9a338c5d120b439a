"""Fine-tune weights on the selected pairs, with the loss on the response alone (paper, appendix E).

Started by `accelerate launch`. A killed run, started again, goes on from the last step that it saved.
"""

import argparse
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path

import torch
from accelerate import PartialState
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.trainer_utils import get_last_checkpoint
from trl import SFTConfig, SFTTrainer

from isheep import program
from isheep.identity import write_identity
from isheep.prompts import chat_messages, response_prompt
from isheep.records import publish, read_jsonl, unfinished_folder
from isheep.training import TrainingSettings


def main(arguments: argparse.Namespace) -> None:
    """Train, and publish an adapter (method lora) or a folder of full weights (method full)."""
    settings = TrainingSettings.model_validate_json(arguments.training)
    torch.set_num_threads(arguments.threads)
    examples = training_examples(arguments, settings)
    saved_steps = unfinished_folder(arguments.output)
    tokenizer = AutoTokenizer.from_pretrained(arguments.weights)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(arguments.weights, dtype=torch.float32),
        args=trainer_settings(arguments, settings, saved_steps),
        train_dataset=examples["train"],
        eval_dataset=examples.get("test"),
        processing_class=tokenizer,
        peft_config=adapter_settings(settings),
    )
    with redirect_stdout(sys.stderr):  # the trainer's progress belongs in the log
        trainer.train(resume_from_checkpoint=get_last_checkpoint(saved_steps) if saved_steps.is_dir() else None)
    trainer.accelerator.wait_for_everyone()
    if PartialState().is_main_process:
        with publish(arguments.output) as partial:
            trainer.save_model(str(partial))
            (partial / "training_args.bin").unlink(missing_ok=True)
            if settings.method == "full":
                write_identity(partial)
        shutil.rmtree(saved_steps, ignore_errors=True)
        print(f"{arguments.output}: trained on {len(examples['train'])} pairs, {trainer.state.global_step} steps")


def training_examples(arguments: argparse.Namespace, settings: TrainingSettings) -> dict[str, Dataset]:
    """Return the pairs as prompt and completion, both chat messages; `test` holds the validation share, if any."""
    pairs = read_jsonl(arguments.training_set)[: settings.max_samples]
    rows = [
        {
            "prompt": chat_messages(
                response_prompt(pair["instruction"], pair["input"], arguments.separator),
                arguments.system_prompt,
            ),
            "completion": [{"role": "assistant", "content": pair["response"]}],
        }
        for pair in pairs
    ]
    dataset = Dataset.from_list(rows)
    if settings.validation_share == 0 or len(rows) < 2:
        return {"train": dataset}
    return dict(dataset.train_test_split(test_size=settings.validation_share, seed=arguments.seed))


def trainer_settings(arguments: argparse.Namespace, settings: TrainingSettings, saved_steps: Path) -> SFTConfig:
    """Translate the settings into the trainer's; the batch is spread over devices and accumulated."""
    devices = PartialState().num_processes
    validate = "steps" if settings.validation_share else "no"
    return SFTConfig(
        output_dir=str(saved_steps),
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.scheduler,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=arguments.micro_batch_size,
        per_device_eval_batch_size=arguments.micro_batch_size,
        gradient_accumulation_steps=max(1, settings.batch_size // (arguments.micro_batch_size * devices)),
        gradient_checkpointing=torch.cuda.is_available(),
        max_length=settings.max_length,
        completion_only_loss=True,
        bf16=settings.precision == "bfloat16",
        use_cpu=not torch.cuda.is_available(),
        eval_strategy=validate,
        eval_steps=settings.save_steps if settings.validation_share else None,
        save_steps=settings.save_steps,
        save_total_limit=2,
        load_best_model_at_end=bool(settings.validation_share),
        logging_steps=10,
        report_to="none",
        seed=arguments.seed,
        data_seed=arguments.seed,
    )


def adapter_settings(settings: TrainingSettings) -> LoraConfig | None:
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
parser.add_argument("--training", required=True, help="settings of the training, JSON")
parser.add_argument("--separator", required=True, help="text between an instruction and its input")
parser.add_argument("--system-prompt", help="system text of the chat; without it there is no system turn")
parser.add_argument("--seed", type=int, required=True, help="seed of shuffling, dropout and initial adapter")
parser.add_argument("--threads", type=int, default=1, help="CPU threads")
parser.add_argument("--micro-batch-size", type=int, default=1, help="pairs per device and forward pass")
parser.add_argument("--output", type=Path, required=True, help="folder to write: adapter or weights")

if __name__ == "__main__":
    program.run(main, parser)

"""Training: loss on the response alone, both methods, and a killed run that goes on where it was."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from isheep.records import write_jsonl

SETTINGS = {
    "method": "full",
    "learning_rate": 1e-2,
    "warmup_steps": 1,
    "epochs": 2,
    "batch_size": 4,
    "max_length": 128,
    "validation_share": 0,
    "save_steps": 4,
    "precision": "float32",
}


@pytest.fixture(scope="module")
def training_set(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "training_set.jsonl"
    pairs = ({"instruction": f"Name fruit {n}.", "input": "", "response": "banana " * (n % 3 + 1)} for n in range(32))
    write_jsonl(path, pairs)
    return path


def command(weights, training_set, output, **changes):
    return [
        *(sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1", "--num_machines", "1"),
        *("--mixed_precision", "no", "--dynamo_backend", "no", "scripts/train.py"),
        *("--weights", str(weights), "--training-set", str(training_set), "--separator", " ", "--seed", "1"),
        *("--training", json.dumps(SETTINGS | changes), "--micro-batch-size", "2", "--output", str(output)),
    ]


def train(*arguments, **changes):
    run = subprocess.run(command(*arguments, **changes), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def uninterrupted(tiny_checkpoint, training_set, tmp_path_factory) -> Path:
    """Weights after an undisturbed training of all weights."""
    output = tmp_path_factory.mktemp("uninterrupted") / "weights"
    assert "32 pairs, 16 steps" in train(tiny_checkpoint, training_set, output)
    return output


def test_full_training_writes_a_whole_checkpoint(uninterrupted, tiny_checkpoint):
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_checkpoint, uninterrupted))
    assert any(not before[name].equal(after[name]) for name in before)
    names = {path.name for path in uninterrupted.iterdir()}
    assert {"config.json", "tokenizer.json", "chat_template.jinja", "identity.json"} <= names
    assert not [name for name in names if name.endswith(".bin")], "nothing that is pickled"


def test_killed_training_goes_on_from_its_last_saved_step(uninterrupted, tiny_checkpoint, training_set, tmp_path):
    output = tmp_path / "weights"
    saved = tmp_path / ".weights.unfinished"
    run = subprocess.Popen(command(tiny_checkpoint, training_set, output), start_new_session=True)
    while not list(saved.glob("checkpoint-*/trainer_state.json")):
        assert run.poll() is None, "training ended before it saved a step"
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not output.exists()
    marker = min(saved.glob("checkpoint-*"), key=lambda path: path.stat().st_mtime)
    state = json.loads((marker / "trainer_state.json").read_text())
    assert 0 < state["global_step"] < 16
    train(tiny_checkpoint, training_set, output)
    expected, found = (load_file(folder / "model.safetensors") for folder in (uninterrupted, output))
    assert all(expected[name].equal(found[name]) for name in expected), "as if it had never been killed"
    assert not saved.exists()


def test_adapter_merges_into_weights_that_differ_from_the_base(tiny_checkpoint, training_set, tmp_path):
    adapter, merged = tmp_path / "adapter", tmp_path / "weights"
    train(tiny_checkpoint, training_set, adapter, method="lora", validation_share=0.25)
    assert json.loads((adapter / "adapter_config.json").read_text())["r"] == 8
    merge = [
        "scripts/merge_adapter.py",
        "--weights",
        tiny_checkpoint,
        "--adapter",
        adapter,
        "--output",
        merged,
    ]
    subprocess.run([sys.executable, *map(str, merge)], check=True)
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_checkpoint, merged))
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed
    assert all("proj" in name for name in changed), "all linear layers, and nothing else"


def test_loss_is_taken_on_the_response_and_its_end_alone(tiny_checkpoint, training_set, tmp_path):
    from argparse import Namespace

    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTTrainer

    import train as program
    from isheep.training import TrainingSettings

    arguments = Namespace(
        training_set=training_set,
        separator=" ",
        system_prompt=None,
        micro_batch_size=2,
        seed=1,
        output=tmp_path / "w",
    )
    settings = TrainingSettings(**SETTINGS)
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_checkpoint),
        args=program.trainer_settings(arguments, settings, tmp_path),
        train_dataset=program.training_examples(arguments, settings)["train"],
        processing_class=tokenizer,
    )
    batch = next(iter(trainer.get_train_dataloader()))
    for labels in batch["labels"]:
        learned = tokenizer.decode(labels[labels != -100])
        assert learned.rstrip("\n") in {"banana " * n + "<|im_end|>" for n in (1, 2, 3)}

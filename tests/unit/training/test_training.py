"""Training: loss on the response alone, both methods, and a killed run that goes on where it was."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from safetensors.torch import load_file

from isheep.engine.identity import read_identity
from isheep.files.records import InputError, write_jsonl
from isheep.training.fine_tuning import FitSettings
from isheep.training.settings import TrainingSettings

SETTINGS = {
    "method": "full",
    "learning_rate": 1e-2,
    "warmup_steps": 1,
    "epochs": 2,
    "batch_size": 4,
    "max_length": 128,
    "save_steps": 4,
    "precision": "float32",
}

LORA = {"method": "lora", "lora": {"dropout": 0}}
HELD_OUT = 8
"""Pairs at the end that are not trained on with LoRA."""


@pytest.fixture(scope="module")
def training_set(tmp_path_factory) -> Path:
    """All pairs; beside it those for LoRA, and the pairs that are held out."""
    path = tmp_path_factory.mktemp("pairs") / "training_set.jsonl"
    pairs = [{"instruction": f"Name fruit {n}.", "input": "", "response": "banana " * (n % 3 + 1)} for n in range(30)]
    write_jsonl(path, pairs)
    write_jsonl(path.with_name("fewer.jsonl"), pairs[:-HELD_OUT])
    write_jsonl(path.with_name("held_out.jsonl"), pairs[-HELD_OUT:])
    write_jsonl(path.with_name("none.jsonl"), [])
    return path


@pytest.fixture(scope="module")
def program():
    """The training program as a module, which takes seconds to import."""
    import train

    return train


def flags(weights, training_set, output, micro_batch_size=2, **changes):
    held_out = training_set.with_name("held_out.jsonl" if training_set.name == "fewer.jsonl" else "none.jsonl")
    return [
        *("--weights", str(weights), "--training-set", str(training_set), "--validation-set", str(held_out)),
        *("--seed", "1"),
        *("--training", json.dumps(SETTINGS | changes), "--micro-batch-size", str(micro_batch_size)),
        *("--output", str(output)),
    ]


def command(*arguments, layout="single", processes=1, **changes):
    launch = [sys.executable, "scripts/launch_training.py", "--layout", layout, "--processes", str(processes), "--"]
    return [*launch, *flags(*arguments, **changes)]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def train(*arguments, **changes):
    return run(command(*arguments, **changes))


def largest_difference(one: Path, other: Path) -> float:
    """The largest difference of a parameter between two folders; a tied weight may be missing in one of them."""
    first, second = (load_file(next(folder.glob("*.safetensors"))) for folder in (one, other))
    assert set(first) ^ set(second) <= {"lm_head.weight"}
    return max((first[name] - second[name]).abs().max().item() for name in set(first) & set(second))


@pytest.fixture(scope="module")
def uninterrupted(tiny_checkpoint, training_set, tmp_path_factory) -> Path:
    """Weights after an undisturbed training of all weights."""
    output = tmp_path_factory.mktemp("uninterrupted") / "weights"
    assert "30 pairs, 16 steps" in train(tiny_checkpoint, training_set, output)
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
    kill_after_a_saved_step(command(tiny_checkpoint, training_set, output), saved)
    assert not output.exists()
    marker = min(saved.glob("*/checkpoint-*"), key=lambda path: path.stat().st_mtime)
    state = json.loads((marker / "trainer_state.json").read_text())
    assert 0 < state["global_step"] < 16
    torn = marker.parent / "checkpoint-15"  # as a power cut leaves it
    torn.mkdir()
    shutil.copy(marker / "trainer_state.json", torn)
    (torn / "model.safetensors").touch()
    train(tiny_checkpoint, training_set, output)
    expected, found = (load_file(folder / "model.safetensors") for folder in (uninterrupted, output))
    assert all(expected[name].equal(found[name]) for name in expected), "as if it had never been killed"
    assert not saved.exists()


def test_steps_saved_for_something_else_are_not_gone_on_with(uninterrupted, tiny_checkpoint, training_set, tmp_path):
    """A setting or the training set was changed after the kill."""
    output, saved = tmp_path / "weights", tmp_path / ".weights.unfinished"
    kill_after_a_saved_step(command(tiny_checkpoint, training_set, output, learning_rate=1e-3), saved)
    train(tiny_checkpoint, training_set, output)
    assert largest_difference(uninterrupted, output) == 0
    assert not saved.exists()


def test_a_training_that_outlived_its_workflow_is_waited_for(uninterrupted, tiny_checkpoint, training_set, tmp_path):
    """The next run of the workflow starts the same job again, while the first one still trains."""
    output, saved = tmp_path / "weights", tmp_path / ".weights.unfinished"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    first = subprocess.Popen(command(tiny_checkpoint, training_set, output), start_new_session=True, **pipes)
    while not list(saved.glob("*/checkpoint-*/whole")):
        assert first.poll() is None, "training ended before the second one began"
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGSTOP)
    second = subprocess.Popen(command(tiny_checkpoint, training_set, output), **pipes)
    next(line for line in second.stderr if line.startswith(f"{output}: another program"))
    os.killpg(first.pid, signal.SIGCONT)
    assert "30 pairs, 16 steps" in first.communicate()[0]
    assert "another program has just trained it" in second.communicate()[0]
    assert (first.returncode, second.returncode) == (0, 0)
    assert largest_difference(uninterrupted, output) == 0


def kill_after_a_saved_step(command: list[str], saved: Path) -> None:
    program = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(saved.glob("*/checkpoint-*/whole")):
        assert program.poll() is None, "training ended before it saved a step"
        time.sleep(0.02)
    launcher = psutil.Process(program.pid)
    for process in [launcher, *launcher.children(recursive=True)]:  # workers are sessions of their own
        process.kill()
    program.wait()


def test_data_parallel_training_gives_the_same_weights(uninterrupted, tiny_checkpoint, training_set, tmp_path):
    output = tmp_path / "weights"
    assert "30 pairs, 16 steps" in train(tiny_checkpoint, training_set, output, layout="ddp", processes=2)
    assert largest_difference(uninterrupted, output) < 1e-3
    assert largest_difference(tiny_checkpoint, output) > 1e-2


@pytest.fixture(scope="module")
def adapter(tiny_checkpoint, training_set, tmp_path_factory) -> Path:
    """An adapter trained in one process; of its saved steps the one with the lowest loss on held-out pairs."""
    output = tmp_path_factory.mktemp("adapter") / "adapter"
    train(tiny_checkpoint, training_set.with_name("fewer.jsonl"), output, **LORA)
    return output


@pytest.mark.end_to_end
def test_sharded_training_gives_the_same_adapter_after_a_kill(adapter, tiny_checkpoint, training_set, tmp_path):
    output = tmp_path / "adapter"
    sharded = [
        *(sys.executable, "-m", "accelerate.commands.launch", "--config_file", "config/accelerate/fsdp.yaml"),
        *("--num_processes", "2", "--main_process_port", "0", "tests/fsdp_on_cpu.py"),
        *flags(tiny_checkpoint, training_set.with_name("fewer.jsonl"), output, **LORA),
    ]
    kill_after_a_saved_step(sharded, tmp_path / ".adapter.unfinished")
    assert not output.exists()
    assert "22 pairs, 12 steps" in run(sharded)
    assert largest_difference(adapter, output) < 1e-3
    first, second = (load_file(folder / "adapter_model.safetensors") for folder in (adapter, output))
    assert any(first[name].abs().max() > 1e-2 for name in second if "lora_B" in name), "something was learned"


def test_an_adapter_s_identity_names_the_weights_it_was_trained_on(adapter, tiny_checkpoint):
    assert json.loads((adapter / "identity.json").read_text())["base"] == read_identity(tiny_checkpoint)
    targets = json.loads((adapter / "adapter_config.json").read_text())["target_modules"]
    assert targets == sorted(targets), "the same adapter has the same identity each time"


@pytest.mark.parametrize(("micro_batch_size", "processes", "expected"), [(1, 1, 16), (1, 8, 2), (2, 8, 1), (16, 1, 1)])
def test_a_step_takes_the_batch_whatever_the_layout(program, micro_batch_size, processes, expected):
    settings = FitSettings(batch_size=16)
    assert program.accumulated_batches(settings, micro_batch_size, processes) == expected


@pytest.mark.parametrize(("micro_batch_size", "processes"), [(3, 1), (1, 3), (4, 8)])
def test_processes_that_make_no_whole_batch_are_refused(program, micro_batch_size, processes):
    with pytest.raises(InputError, match=r"batch_size 16 is not divisible by \d processes × micro batch \d; change"):
        program.accumulated_batches(FitSettings(batch_size=16), micro_batch_size, processes)


def test_frozen_weights_are_kept_in_the_training_s_precision_and_trained_ones_are_not(program, tiny_checkpoint):
    for method, precision, expected in [
        ("lora", "bfloat16", "torch.bfloat16"),
        ("lora", "float32", "torch.float32"),
        ("full", "bfloat16", "torch.float32"),
    ]:
        model = program.load_weights(tiny_checkpoint, FitSettings(method=method, precision=precision))
        assert str(model.dtype) == expected


def test_adapter_merges_into_weights_that_differ_from_the_base(adapter, tiny_checkpoint, tmp_path):
    merged = tmp_path / "weights"
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


WARM = {"learning_rate": 1e-3, "warmup_steps": 20, "batch_size": 16, "epochs": 2, "max_samples": None}


def test_a_training_that_ends_during_its_warm_up_says_so_on_the_terminal_and_in_the_log(program, capsys):
    program.report(Path("out"), TrainingSettings(**WARM), 14, 2)
    said = capsys.readouterr()
    warning = (
        "Warning: out: 14 pairs make only 2 steps of training, and training.warmup_steps is 20: the learning rate "
        "rises to 5e-05 and never reaches 0.001; set training.warmup_share (0.1: the first tenth of the steps), lower "
        "training.warmup_steps, or train on more pairs.\n"
    )
    assert said.out == f"out: trained on 14 pairs, 2 steps\n{warning}"
    assert said.err == warning


@pytest.mark.parametrize("changes", [{"warmup_steps": 1}, {"warmup_share": 0.1}, {"warmup_steps": 0}])
def test_a_training_that_reaches_its_learning_rate_says_nothing(program, capsys, changes):
    program.report(Path("out"), TrainingSettings(**WARM | changes), 14, 2)
    assert "Warning" not in "".join(capsys.readouterr())


def test_the_most_steps_follow_from_the_pairs(program):
    assert TrainingSettings(**WARM).most_steps(33) == 6
    assert TrainingSettings(**WARM | {"max_samples": 10}).most_steps(33) == 2


@pytest.mark.parametrize(("changes", "steps"), [({}, 20), ({"warmup_share": 0.1}, 5), ({"warmup_share": 0}, 0)])
def test_the_warm_up_is_a_number_of_steps_or_a_share_of_them(program, tmp_path, changes, steps):
    from argparse import Namespace

    settings = TrainingSettings(**WARM | changes | {"precision": "float32"})
    asked = program.trainer_settings(
        Namespace(micro_batch_size=1, seed=1), settings, tmp_path, accumulation=1, validate=False
    )
    assert asked.get_warmup_steps(50) == steps


def a_trainer(program, checkpoint, training_set, folder, **changes):
    """The program's trainer on some pairs, two a forward pass, and two of these a step."""
    from argparse import Namespace

    from transformers import AutoModelForCausalLM, AutoTokenizer

    arguments = Namespace(training_set=training_set, system_prompt=None, micro_batch_size=2, seed=1)
    settings = FitSettings(**SETTINGS | changes)
    trainer = program.PairTrainer(
        model=AutoModelForCausalLM.from_pretrained(checkpoint),
        args=program.trainer_settings(arguments, settings, folder, accumulation=2, validate=False),
        train_dataset=program.training_examples(arguments, settings),
        processing_class=AutoTokenizer.from_pretrained(checkpoint),
    )
    trainer.loss, trainer.pairs = settings.loss, len(trainer.train_dataset)
    return trainer


def test_loss_is_taken_on_the_response_and_its_end_alone(program, tiny_checkpoint, training_set, tmp_path):
    trainer = a_trainer(program, tiny_checkpoint, training_set, tmp_path)
    batch = next(iter(trainer.get_train_dataloader()))
    for labels in batch["labels"]:
        learned = trainer.processing_class.decode(labels[labels != -100])
        assert learned.rstrip("\n") in {"banana " * n + "<|im_end|>" for n in (1, 2, 3)}


def test_an_input_stands_on_a_line_of_its_own_unless_the_settings_say_otherwise(program, tmp_path):
    from argparse import Namespace

    write_jsonl(tmp_path / "pairs.jsonl", [{"instruction": "Sort.", "input": "b a", "response": "a b"}])
    arguments = Namespace(training_set=tmp_path / "pairs.jsonl", system_prompt=None)
    for settings, asked in [(FitSettings(), "Sort.\nb a"), (FitSettings(separator=""), "Sort.b a")]:
        [example] = program.training_examples(arguments, settings)
        assert example["prompt"] == [{"role": "user", "content": asked}]


@pytest.mark.parametrize("loss", ["sequence", "token"])
def test_a_step_s_gradient_is_of_the_mean_over_pairs_or_over_tokens(
    program, tiny_checkpoint, training_set, tmp_path, loss
):
    """Five pairs of different lengths and three rows that fill the second step up, against the loss by its formula."""
    from torch.nn.functional import cross_entropy

    few = tmp_path / "few.jsonl"
    few.write_text("".join(training_set.read_text().splitlines(keepends=True)[:5]))
    trainer = a_trainer(program, tiny_checkpoint, few, tmp_path, loss=loss, epochs=1)
    trainer.train_dataset = program.whole_batches(trainer.train_dataset, 4)
    batches = iter(trainer.get_train_dataloader())
    for pairs_of_step in (4, 1):
        trainer.model.train()
        samples, items = trainer.get_batch_samples(batches, 2, trainer.args.device)
        losses = [trainer.training_step(trainer.model, dict(batch), items).item() for batch in samples]
        found = {name: weights.grad.clone() for name, weights in trainer.model.named_parameters()}
        trainer.model.zero_grad()
        per_pair, tokens = [], 0
        for batch in samples:
            for ids, labels, mask in zip(batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True):
                if (labels != -100).any():
                    logits = trainer.model(ids[None], attention_mask=mask[None]).logits[0]
                    counted = int((labels[1:] != -100).sum())
                    summed = cross_entropy(logits[:-1], labels[1:], ignore_index=-100, reduction="sum")
                    per_pair.append(summed / counted if loss == "sequence" else summed)
                    tokens += counted
        assert len(per_pair) == pairs_of_step
        expected = sum(per_pair) / (len(per_pair) if loss == "sequence" else tokens)
        expected.backward()
        assert sum(losses) == pytest.approx(expected.item(), rel=1e-5)
        for name, weights in trainer.model.named_parameters():
            assert found[name].sub(weights.grad).abs().max() < 1e-4, name
        trainer.model.zero_grad()


def test_the_loss_on_held_out_pairs_is_of_the_same_kind(program, tiny_checkpoint, training_set, tmp_path):
    """It chooses which saved step is kept; how many pairs make a forward pass does not matter."""
    for loss, same in (("sequence", True), ("token", False)):
        found = []
        for per_pass in (1, 3):
            trainer = a_trainer(program, tiny_checkpoint, training_set, tmp_path, loss=loss)
            trainer.args.per_device_eval_batch_size = per_pass
            found.append(trainer.evaluate(trainer.train_dataset)["eval_loss"])
        assert (found[0] == pytest.approx(found[1], rel=1e-5)) == same, loss

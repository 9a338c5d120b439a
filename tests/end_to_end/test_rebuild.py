"""The demo's base model can be rebuilt from nothing but the repository."""

import filecmp
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from isheep.demo.world import World

DEMO = Path("config/demo")
SHORT = 60


def losses(folder: Path) -> dict[int, float]:
    rows = (folder / "training_log.jsonl").read_text().splitlines()
    return {row["step"]: row["loss"] for row in map(json.loads, rows)}


def build(output: Path, *flags: str) -> Path:
    subprocess.run([sys.executable, "scripts/build_demo_world.py", "--output", str(output), *flags], check=True)
    return output


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("world") / "world")


def train(world, output, *flags):
    program = [sys.executable, "scripts/train_demo_base.py", "--world", str(world), "--output", str(output)]
    subprocess.run([*program, "--threads", "2", *flags], check=True, stdout=subprocess.DEVNULL)
    return losses(output)


def test_seed_tasks_and_benchmarks_come_from_the_world_byte_for_byte(world):
    shipped = {
        "seed_tasks.jsonl": DEMO,
        "demo_ifeval.jsonl": DEMO / "tasks",
        "demo_ifeval_clean.jsonl": DEMO / "tasks",
        "demo_choice.jsonl": DEMO / "tasks",
        "reference_outputs.json": DEMO / "alpaca_eval",
        "questions.jsonl": DEMO / "mt_bench",
        "reference_answers.jsonl": DEMO / "mt_bench",
    }
    for name, folder in shipped.items():
        assert filecmp.cmp(world / name, folder / name, shallow=False), name


def test_no_document_has_a_word_in_which_an_unseen_subject_stands(world, tmp_path):
    documents = [folder / "documents.jsonl" for folder in (world, build(tmp_path / "judge", "--reader", "judge"))]
    texts = (json.loads(line)["text"].lower() for file in documents for line in file.open(encoding="utf-8"))
    words = {word for text in texts for word in re.findall("[a-z]+", text)}
    assert "heron" in words
    unseen = World(DEMO / "world.yaml", unseen=True).subject_words
    assert not [(subject, word) for subject in unseen for word in words if subject in word]


@pytest.mark.rebuild
@pytest.mark.end_to_end
def test_short_rebuild_learns_like_the_shipped_base(world, tmp_path):
    found = train(world, tmp_path / "base", "--stop-after-steps", str(SHORT))
    expected = losses(DEMO / "base")
    assert max(found) == SHORT
    for step, loss in found.items():
        assert loss == pytest.approx(expected[step], rel=0.05), f"step {step}"


@pytest.mark.rebuild
def test_whole_rebuild_is_as_good_as_the_shipped_base(world, tmp_path):
    found, expected = train(world, tmp_path / "base"), losses(DEMO / "base")
    last = sorted(expected)[-10:]
    mean = [sum(log[step] for step in last) / len(last) for log in (found, expected)]
    assert mean[0] == pytest.approx(mean[1], rel=0.05)

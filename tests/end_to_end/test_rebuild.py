"""The demo's base model can be rebuilt from nothing but the repository."""

import filecmp
import json
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path("config/demo")
SHORT = 60


def losses(folder: Path) -> dict[int, float]:
    rows = (folder / "training_log.jsonl").read_text().splitlines()
    return {row["step"]: row["loss"] for row in map(json.loads, rows)}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("world") / "world"
    subprocess.run([sys.executable, "scripts/build_demo_world.py", "--output", str(output)], check=True)
    return output


def train(world, output, *flags):
    program = [sys.executable, "scripts/train_demo_base.py", "--world", str(world), "--output", str(output)]
    subprocess.run([*program, "--threads", "2", *flags], check=True, stdout=subprocess.DEVNULL)
    return losses(output)


def test_seed_tasks_and_benchmarks_come_from_the_world_byte_for_byte(world):
    shipped = {
        "seed_tasks.jsonl": DEMO,
        "demo_ifeval.jsonl": DEMO / "tasks",
        "demo_choice.jsonl": DEMO / "tasks",
        "reference_outputs.json": DEMO / "alpaca_eval",
        "questions.jsonl": DEMO / "mt_bench",
        "reference_answers.jsonl": DEMO / "mt_bench",
    }
    for name, folder in shipped.items():
        assert filecmp.cmp(world / name, folder / name, shallow=False), name


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

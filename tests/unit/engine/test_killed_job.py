"""A stage that is killed and started again pays only for what it had not finished."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from isheep.files.records import read_jsonl, unfinished_folder, write_jsonl

SAMPLING = {"temperature": 1.0, "max_tokens": 40}
COUNT = 48


@pytest.fixture
def instructions(tmp_path):
    path = tmp_path / "instructions.jsonl"
    write_jsonl(path, ({"id": f"base:0:{n}", "instruction": f"Name {n} fruits.", "input": ""} for n in range(COUNT)))
    return path


def command(checkpoint, instructions, output):
    return [
        *(sys.executable, "scripts/write_responses.py", "--checkpoint", str(checkpoint), "--raw", "--separator", " "),
        *("--instructions", str(instructions), "--engine", '{"kind": "transformers"}', "--seed", "3"),
        *("--sampling", json.dumps(SAMPLING), "--batch-size", "2", "--responses", str(output)),
    ]


def test_killed_stage_goes_on_where_it_was(tiny_checkpoint, instructions, tmp_path):
    undisturbed, output = tmp_path / "undisturbed.jsonl", tmp_path / "responses.jsonl"
    subprocess.run(command(tiny_checkpoint, instructions, undisturbed), check=True, capture_output=True)

    journal = unfinished_folder(output) / "completions.jsonl"
    run = subprocess.Popen(command(tiny_checkpoint, instructions, output), stderr=subprocess.DEVNULL)
    while not journal.exists() or journal.read_bytes().count(b"\n") < 4:
        assert run.poll() is None, "the stage ended before it could be killed"
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not output.exists(), "nothing half-written is published"
    finished = journal.read_bytes().count(b"\n")

    again = subprocess.run(command(tiny_checkpoint, instructions, output), check=True, capture_output=True, text=True)
    asked, reused = map(int, re.search(r"journal: (\d+) to write, (\d+) reused", again.stderr).groups())
    assert reused == finished
    assert asked == COUNT - finished
    assert read_jsonl(output) == read_jsonl(undisturbed)
    assert not unfinished_folder(output).exists()


def test_a_job_that_outlived_its_workflow_is_waited_for(tiny_checkpoint, instructions, tmp_path):
    """The next run of the workflow starts the same job again, while the first one still writes."""
    output = tmp_path / "responses.jsonl"
    journal = unfinished_folder(output) / "completions.jsonl"
    pipes = {"stderr": subprocess.PIPE, "text": True}
    first = subprocess.Popen(command(tiny_checkpoint, instructions, output), **pipes)
    while not journal.exists() or journal.read_bytes().count(b"\n") < 4:
        assert first.poll() is None, "the stage ended before the second one began"
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)
    second = subprocess.Popen(command(tiny_checkpoint, instructions, output), **pipes)
    said = next(line for line in second.stderr if "another program writes it" in line)
    assert "waiting until that one ends" in said
    first.send_signal(signal.SIGCONT)
    assert f"journal: 0 to write, {COUNT} reused" in second.communicate()[1]
    assert "another job has been asked for it since" in first.communicate()[1]
    assert (first.returncode, second.returncode) == (1, 0), "it is the later one that publishes"
    assert len(read_jsonl(output)) == COUNT
    assert not unfinished_folder(output).exists()


def test_what_was_published_but_not_recorded_is_not_written_again(tiny_checkpoint, instructions, tmp_path):
    """Snakemake deletes an output that it has not recorded, and asks for it again."""
    output = tmp_path / "responses.jsonl"
    subprocess.run(command(tiny_checkpoint, instructions, output), check=True, capture_output=True)
    published = output.read_bytes()
    output.unlink()
    again = subprocess.run(command(tiny_checkpoint, instructions, output), check=True, capture_output=True, text=True)
    assert f"journal: 0 to write, {COUNT} reused" in again.stderr
    assert output.read_bytes() == published

"""A job that outlives its workflow never replaces what a later one was asked for."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from snakemake.persistence.file import FilePersistence

from isheep.files import ownership
from isheep.files.ownership import Output, claim_file, is_over, keeping, this_writer
from isheep.files.records import InputError, claim, publish, read_jsonl, write_json, write_jsonl

PAIRS = [
    {"id": f"base:{number}", "instruction": f"Name {number} fruits.", "input": "", "response": "…", "rejected_by": None}
    for number in range(4)
]
SCORES = [{"id": pair["id"], "criterion": "quality", "score": 6 + number} for number, pair in enumerate(PAIRS)]
LOST = "another job has been asked for it since; nothing was written"


@pytest.fixture
def select(tmp_path):
    """Start the selection with a threshold; it waits for its scores, which are those of a pipe of its own."""
    write_jsonl(tmp_path / "pairs.jsonl", PAIRS)

    def start(threshold: int) -> tuple[subprocess.Popen, Path]:
        scores = tmp_path / f"scores{threshold}"
        os.mkfifo(scores)
        selection = {"method": "scores", "criteria": ["quality"], "threshold": threshold}
        command = [
            *(sys.executable, "scripts/select_pairs.py", "--pairs", tmp_path / "pairs.jsonl", "--scores", scores),
            *("--selection", json.dumps(selection), "--count", str(len(PAIRS))),
            *("--training-set", tmp_path / "training_set.jsonl", "--ledger", tmp_path / "ledger.jsonl"),
            *("--validation-set", tmp_path / "validation_set.jsonl", "--record", tmp_path / "record.json"),
            *("--rows", '{"validation_share": 0}'),
        ]
        return started(command, claim_file(tmp_path / "training_set.jsonl")), scores

    return start


def started(command: list, claimed: Path) -> subprocess.Popen:
    """Start a program and wait until it has claimed an output."""
    run = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (claimed.exists() and claimed.read_text().startswith(f"{run.pid}-")):
        assert run.poll() is None, run.communicate()
        time.sleep(0.01)
    return run


def finish(run: subprocess.Popen, pipe: Path, content: str) -> tuple[int, str]:
    """Give a program what it waits for; return its exit status and what it says."""
    with open(pipe, "w") as waiting:
        whole = pipe.with_suffix(".whole")  # for those that read the file once more
        whole.write_text(content)
        whole.replace(pipe)
        waiting.write(content)
    said = run.communicate()[1]
    return run.returncode, said


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("first_to_end", ["the later one", "the earlier one"])
def test_the_selection_that_was_asked_last_is_what_is_kept(select, tmp_path, first_to_end):
    earlier, later = select(8), select(6)
    if first_to_end == "the later one":
        assert finish(*later, lines(SCORES))[0] == 0
    status, said = finish(*earlier, lines(SCORES))
    assert (status, LOST in said) == (1, True)
    if first_to_end == "the earlier one":
        assert not (tmp_path / "ledger.jsonl").exists()
        assert finish(*later, lines(SCORES))[0] == 0
    assert [row["id"] for row in read_jsonl(tmp_path / "training_set.jsonl")] == ["base:1", "base:2", "base:3"]
    assert [row["kept"] for row in read_jsonl(tmp_path / "ledger.jsonl")] == [False, True, True, True]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "nothing is left beside outputs"


def test_a_table_of_an_earlier_job_does_not_replace_that_of_a_later_one(tmp_path):
    def start(pairs: int) -> tuple[subprocess.Popen, Path]:
        report = tmp_path / f"report{pairs}"
        os.mkfifo(report)
        place = {"model": "demo", "seed": 1, "recipe": "one_base", "iteration": 1, "path": str(report)}
        outputs = {form: tmp_path / f"contamination.{form}" for form in ("csv", "markdown", "latex")}
        flags = [part for form, path in outputs.items() for part in (f"--{form}", path)]
        command = [sys.executable, "scripts/collect_contamination.py", "--reports", json.dumps(place), *flags]
        return started(command, claim_file(outputs["latex"])), report

    def report(pairs: int) -> str:
        found = {"items": 5, "thirteen_gram": 0, "substring": 0, "either": 0}
        short = {"too_short_for_thirteen_gram": 0, "too_short_for_substring": 0}
        return json.dumps({"pairs": pairs, "kept": pairs, "benchmarks": {"choice": found | short}})

    earlier, later = start(100), start(200)
    assert finish(*later, report(200))[0] == 0
    status, said = finish(*earlier, report(100))
    assert (status, LOST in said) == (1, True)
    assert "200" in (tmp_path / "contamination.csv").read_text()
    assert "200" in (tmp_path / "contamination.markdown").read_text()


def test_what_nobody_has_claimed_is_published(tmp_path):
    write_json(tmp_path / "record.json", {"version": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_a_claim_that_another_program_has_taken_up_is_left_to_it(tmp_path):
    output = Output(tmp_path / "record.json")
    claim(output)
    claim_file(output).write_text("1-1@elsewhere")
    with pytest.raises(InputError, match=LOST):
        write_json(output, {"version": 1})
    assert [path.name for path in tmp_path.iterdir()] == [".record.json.claim"]
    ownership.release()
    assert claim_file(output).read_text() == "1-1@elsewhere"


def test_a_program_that_fails_leaves_no_claim(tmp_path):
    command = [sys.executable, "scripts/filter_responses.py", "--instructions", "none", "--responses", "none"]
    run = subprocess.run([*command, "--rules", "{}", "--pairs", tmp_path / "pairs.jsonl"], capture_output=True)
    assert run.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_kept_by_its_claim_too(tmp_path):
    weights = Output(tmp_path / "weights")
    for version in ("old", "new"):
        claim(weights)
        with publish(weights) as partial:
            partial.mkdir()
            (partial / version).touch()
    assert [path.name for path in weights.iterdir()] == ["new"]


def test_a_program_is_over_when_its_process_has_ended():
    run = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    writer = f"{run.pid}-{ownership._start_of(run.pid)}@{this_writer().partition('@')[2]}"
    assert not is_over(writer, if_unknown=True)
    run.kill()
    run.wait()
    assert is_over(writer, if_unknown=False)
    later_process = this_writer().replace("-", "-1", 1)  # the same number, given again
    assert is_over(later_process, if_unknown=False)
    assert not is_over("1-1@elsewhere", if_unknown=False)


def test_an_output_is_claimed_by_nobody_while_it_is_published(tmp_path):
    output = Output(tmp_path / "record.json")
    claim(output)
    with keeping(output) as ours, open(claim_file(output)) as other:
        assert ours
        assert not ownership.try_lock(other)


@pytest.fixture
def snakemake(tmp_path, monkeypatch) -> FilePersistence:
    monkeypatch.chdir(tmp_path)
    return FilePersistence(path=Path(".snakemake"))


@pytest.mark.parametrize("name", ["results/ledger.jsonl", "a_long_name_" * 10 + "/" + "a_long_name_" * 10])
@pytest.mark.parametrize("seconds", [-3600, 3600])
@pytest.mark.parametrize("is_recorded", [False, True])
def test_what_snakemake_has_asked_for_again_is_not_claimed_any_more(snakemake, name, seconds, is_recorded):
    """A job that was stopped before it could claim its output, and goes on when a later one has ended."""
    output, asked = Output(name), time.time() + seconds
    if is_recorded:
        snakemake._io_write(snakemake._metadata_path, {"starttime": asked}, name)
    else:
        snakemake._mark_incomplete(name, None)
        os.utime(snakemake._record_path(snakemake._incomplete_path, name), (asked, asked))
    if seconds < 0:
        claim(output)
        write_json(output, {"version": 1})
    else:
        assert not ownership.claim(output)
        with pytest.raises(InputError, match=LOST):
            claim(output)
        assert not claim_file(output).exists()
    assert output.exists() == (seconds < 0)


def test_a_job_that_was_asked_since_keeps_its_claim(snakemake):
    output = Output("ledger.jsonl")
    snakemake._mark_incomplete(str(output), None)
    later = time.time() + 3600
    os.utime(snakemake._record_path(snakemake._incomplete_path, str(output)), (later, later))
    claim_file(output).write_text("1-1@elsewhere")
    assert not ownership.claim(output)
    assert claim_file(output).read_text() == "1-1@elsewhere"


def test_a_torn_record_tells_nothing(snakemake):
    output = Output("ledger.jsonl")
    Path(snakemake._record_path(snakemake._metadata_path, str(output))).touch()
    assert ownership.claim(output)


def test_a_mark_says_more_than_a_record_that_a_wrong_clock_has_made(snakemake):
    output = Output("ledger.jsonl")
    snakemake._io_write(snakemake._metadata_path, {"starttime": time.time() + 3600}, str(output))
    snakemake._mark_incomplete(str(output), None)
    began = time.time() - 3600
    os.utime(snakemake._record_path(snakemake._incomplete_path, str(output)), (began, began))
    assert ownership.claim(output)

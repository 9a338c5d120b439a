"""The journal: nothing is written twice, and nothing is mixed up."""

import json
import tracemalloc
from pathlib import Path

import pytest
from snakemake.persistence.file import FilePersistence

from isheep.engine.engine import Completion, EngineSettings, Request, Sampling, TokenLogprob
from isheep.engine.journal import SHARED_TEXTS, Journal, complete_with_journal, completed, remove_leftovers, request_key
from isheep.engine.opening import open_engine
from isheep.files.ownership import this_writer
from isheep.files.records import InputError, unfinished_folder

SAMPLING = Sampling(max_tokens=8)


@pytest.fixture
def engine(scripted_engine):
    """Writes a text that tells prompt and seed."""
    engine = scripted_engine(lambda request: engine.encode(f"{request.prompt}{request.seed}"))
    return engine


def requests(count: int) -> list[Request]:
    return [Request(f"r{number}", "Rome ", SAMPLING, number) for number in range(count)]


def test_completions_come_in_the_order_of_the_requests(engine, tmp_path):
    done = complete_with_journal(engine, requests(12)[::-1], tmp_path / "journal")
    assert [completion.id for completion in done] == [f"r{number}" for number in reversed(range(12))]
    assert [completion.text for completion in done] == [f"Rome {number}" for number in reversed(range(12))]


def test_only_what_is_missing_is_asked(engine, tmp_path, capsys):
    first = complete_with_journal(engine, requests(4), tmp_path)
    engine.asked.clear()
    again = complete_with_journal(engine, requests(6), tmp_path)
    assert engine.asked == ["r4", "r5"]
    assert again[:4] == first
    assert "journal: 2 to write, 4 reused" in capsys.readouterr().err


def test_a_killed_job_keeps_what_it_had_finished(engine, tmp_path, monkeypatch):
    write = engine._write

    def killed_at_the_third(request):
        if request.id == "r2":
            raise KeyboardInterrupt
        return write(request)

    monkeypatch.setattr(engine, "_write", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        complete_with_journal(engine, requests(5), tmp_path)
    monkeypatch.undo()
    engine.asked.clear()
    complete_with_journal(engine, requests(5), tmp_path)
    assert engine.asked == ["r2", "r3", "r4"]


def test_equal_requests_are_asked_once_and_all_answered(engine, tmp_path):
    twins = [Request("a", "Rome ", SAMPLING, 1), Request("b", "Rome ", SAMPLING, 1)]
    done = complete_with_journal(engine, twins, tmp_path)
    assert len(engine.asked) == 1
    assert [(completion.id, completion.text) for completion in done] == [("a", "Rome 1"), ("b", "Rome 1")]


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """The folder of texts that experiments share."""
    monkeypatch.setenv(SHARED_TEXTS, str(tmp_path / "shared"))
    monkeypatch.setattr("sys.argv", [__file__])
    return tmp_path / "shared"


def test_a_second_experiment_takes_the_texts_that_the_first_has_asked_for(engine, tmp_path, shared):
    first = complete_with_journal(engine, requests(4), tmp_path / "one")
    engine.asked.clear()
    assert complete_with_journal(engine, requests(4), tmp_path / "two") == first
    assert engine.asked == []
    assert Journal(tmp_path / "two").path.read_bytes() == Journal(tmp_path / "one").path.read_bytes()


def test_texts_of_other_requests_checkpoints_versions_or_programs_are_not_taken(engine, tmp_path, shared, monkeypatch):
    complete_with_journal(engine, requests(4), tmp_path / "one")
    files = set(shared.rglob("*.jsonl"))
    engine.asked.clear()
    complete_with_journal(engine, requests(3), tmp_path / "fewer")
    monkeypatch.setitem(engine.identity, "checkpoint", "another")
    complete_with_journal(engine, requests(4), tmp_path / "checkpoint")
    monkeypatch.undo()
    monkeypatch.setenv(SHARED_TEXTS, str(shared))
    monkeypatch.setattr("sys.argv", [__file__])
    monkeypatch.setattr("isheep.engine.journal.installed_versions", lambda names: {"torch": "0"})
    complete_with_journal(engine, requests(4), tmp_path / "version")
    monkeypatch.setattr("sys.argv", [str(Path(tmp_path, "program.py"))])
    Path(tmp_path, "program.py").write_text("from isheep import journal")
    complete_with_journal(engine, requests(4), tmp_path / "program")
    assert len(engine.asked) == 3 + 4 + 4 + 4
    assert len(set(shared.rglob("*.jsonl")) - files) == 4


def test_nothing_is_shared_of_an_api_or_where_no_folder_is_named(engine, tmp_path, shared, monkeypatch):
    monkeypatch.delitem(engine.identity, "checkpoint")
    complete_with_journal(engine, requests(2), tmp_path / "api")
    monkeypatch.undo()
    complete_with_journal(engine, requests(2), tmp_path / "own")
    assert not shared.exists()


@pytest.mark.parametrize("torn", ['{"key": "x", "te', '{"key": "x", "text": "whole but for its newline"}', "\0\0\0"])
def test_a_torn_last_line_is_cut_off(engine, tmp_path, torn):
    complete_with_journal(engine, requests(3), tmp_path)
    whole = Journal(tmp_path).path.read_bytes()
    with open(Journal(tmp_path).path, "a", encoding="utf-8") as file:
        file.write(torn)
    engine.asked.clear()
    complete_with_journal(engine, requests(3), tmp_path)
    assert engine.asked == []
    assert Journal(tmp_path).path.read_bytes() == whole


def test_a_damaged_line_in_the_middle_is_an_error(engine, tmp_path):
    complete_with_journal(engine, requests(3), tmp_path)
    path = Journal(tmp_path).path
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], lines[1][:20], lines[2]]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"completions.jsonl: line 2 of 3 is damaged; remove the folder"):
        complete_with_journal(engine, requests(3), tmp_path)


def test_texts_of_any_characters_survive(scripted_engine, tmp_path):
    text = 'a\u2028b\x85c\n"d" é 漢'
    engine = scripted_engine(lambda request: engine.encode(text))
    asked = [Request("a", "Rome", Sampling(max_tokens=40), 0)]
    assert complete_with_journal(engine, asked, tmp_path)[0].text == text
    assert complete_with_journal(engine, asked, tmp_path)[0].text == text
    assert engine.asked == ["a"]


def test_a_check_ends_the_work_and_sees_at_the_next_attempt_first_what_was_written(engine, tmp_path):
    seen = []

    def check(completion: Completion) -> None:
        seen.append(completion.id)
        if len(seen) == 3:
            raise InputError("enough")

    with pytest.raises(InputError, match="enough"), completed(engine, requests(6), tmp_path, check):
        pass
    assert seen == engine.asked == ["r0", "r1", "r2"]
    engine.asked.clear()
    seen.clear()
    with pytest.raises(InputError, match="enough"), completed(engine, requests(6), tmp_path, check):
        pass
    assert (seen, engine.asked) == (["r0", "r1", "r2"], []), "no text more is paid for to say the same again"


def test_log_probabilities_survive_and_only_where_asked_for(tiny_checkpoint, tmp_path):
    engine = open_engine(tiny_checkpoint, EngineSettings(dtype="float32"), batch_size=4, threads=1)
    asked = [
        Request("with", "Rome ", Sampling(max_tokens=8, top_logprobs=3), 1),
        Request("without", "Rome ", SAMPLING, 1),
    ]
    first = complete_with_journal(engine, asked, tmp_path)
    again = complete_with_journal(engine, asked, tmp_path)
    assert again == first
    assert isinstance(again[0].logprobs[0], TokenLogprob)
    assert [list(place.top) for place in again[0].logprobs] == [list(place.top) for place in first[0].logprobs]
    assert again[1].logprobs is None
    rows = [json.loads(line) for line in Journal(tmp_path).path.read_text(encoding="utf-8").splitlines()]
    assert sorted("logprobs" in row for row in rows) == [False, True]


class LongTexts:
    """Completes every request with a text of 8,000 characters, the last request first."""

    def __init__(self):
        self.identity = {"checkpoint": "long"}

    def complete(self, requests):
        for request in reversed(list(requests)):
            yield Completion(request.id, f"{request.id:>8000}", "stop", 1, 8000)


@pytest.mark.parametrize("journal", ["written", "found"])
def test_texts_are_in_the_file_and_not_in_memory(tmp_path, journal):
    asked = requests(5000)
    if journal == "found":
        complete_with_journal(LongTexts(), asked, tmp_path)
    tracemalloc.start()
    with completed(LongTexts(), asked, tmp_path) as completions:
        equal = all(done.text == f"{request.id:>8000}" for request, done in zip(asked, completions, strict=True))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert equal
    assert peak < Journal(tmp_path).path.stat().st_size / 10


def test_the_key_holds_all_that_a_text_depends_on():
    identity = {"checkpoint": "abc", "kind": "transformers"}
    request = Request("a", "Rome", SAMPLING, 1)
    key = request_key(identity, request)
    others = [
        request_key(identity | {"checkpoint": "abd"}, request),
        request_key(identity | {"kind": "vllm"}, request),
        request_key(identity, Request("a", "Rome ", SAMPLING, 1)),
        request_key(identity, Request("a", [{"role": "user", "content": "Rome"}], SAMPLING, 1)),
        request_key(identity, Request("a", "Rome", Sampling(max_tokens=8, temperature=0.9), 1)),
        request_key(identity, Request("a", "Rome", SAMPLING, 2)),
    ]
    assert len({key, *others}) == len(others) + 1
    assert key == request_key(identity, Request("other id", "Rome", SAMPLING, 1))


def test_a_finished_journal_is_taken_up_where_its_output_is_asked_for_again(engine, tmp_path):
    output = tmp_path / "responses.jsonl"
    first = complete_with_journal(engine, requests(2), unfinished_folder(output))
    Journal(unfinished_folder(output)).finish()
    assert not unfinished_folder(output).exists()
    again = complete_with_journal(engine, requests(3), unfinished_folder(output))
    assert again[:2] == first
    assert engine.asked == ["r0", "r1", "r2"]


def test_a_journal_without_completions_is_finished_too(tmp_path):
    Journal(tmp_path / "journal").finish()
    assert list(tmp_path.iterdir()) == []


def test_leftovers_are_kept_until_snakemake_has_recorded_their_outputs(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("results") / ("a_long_name_" * 20)
    recorded, killed, cancelled, running = outputs = [
        folder / f"{name}.jsonl" for name in ("recorded", "killed", "cancelled", "running")
    ]
    for output in outputs:
        complete_with_journal(engine, requests(1), unfinished_folder(output))
    for output in (recorded, killed, cancelled):
        output.touch()
        Journal(unfinished_folder(output)).finish()
    cancelled.unlink()  # as Snakemake does inside a job that is cancelled
    snakemake = FilePersistence(path=Path(".snakemake"))
    for output in (killed, running):
        snakemake._mark_incomplete(str(output), None)
    gone, elsewhere, alive = this_writer().replace("-", "-1", 1), "1-1@elsewhere", this_writer()
    for output, writer in [(recorded, elsewhere), (killed, elsewhere), (cancelled, gone), (running, alive)]:
        (folder / f".{output.name}.{writer}.partial").touch()
        (folder / f".{output.name}.claim").write_text(writer)
    remove_leftovers("results")
    left = {path.name for path in folder.iterdir() if path.name.startswith(".")}
    journals = {".killed.jsonl.finished", ".cancelled.jsonl.finished", ".running.jsonl.unfinished"}
    partial = {f".killed.jsonl.{elsewhere}.partial", f".running.jsonl.{alive}.partial"}
    assert left == journals | partial | {".killed.jsonl.claim", ".running.jsonl.claim"}

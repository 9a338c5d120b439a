"""Texts of an output that is made again are taken over where the very same request asks for them, and only there."""

import asyncio
import shutil
from types import SimpleNamespace

import pytest
from snakemake.jobs import Job

from isheep.engine import earlier_texts
from isheep.engine.earlier_texts import EarlierTexts, earlier_file, keep_earlier_texts
from isheep.engine.engine import Request, Sampling
from isheep.engine.flags import complete_and_publish
from isheep.engine.journal import FINISHED, remove_leftovers
from isheep.files.records import read_jsonl, unfinished_folder
from isheep.project import PROJECT


@pytest.fixture
def engine(scripted_engine):
    """Writes a text that tells prompt and seed."""
    engine = scripted_engine(lambda request: engine.encode(f"{request.prompt}{request.seed}"))
    return engine


def write(engine, output, count, prompt="Rome ", max_tokens=8):
    """Write so many texts, after Snakemake has put the output aside."""
    if output.exists():
        output.rename(earlier_file(output))
    sampling = Sampling(max_tokens=max_tokens)
    requests = [Request(f"base:0:{number}", prompt, sampling, number) for number in range(count)]
    engine.asked.clear()
    complete_and_publish(
        requests,
        engine,
        output,
        lambda request, completion: {"id": request.id, "response": completion.text},
        earlier=EarlierTexts(output, "response"),
    )
    shutil.rmtree(unfinished_folder(output).with_suffix(FINISHED))  # as when the output is recorded
    return read_jsonl(output)


def test_a_shard_that_grows_asks_for_the_new_texts_alone(engine, tmp_path):
    first = write(engine, tmp_path / "shard0.jsonl", 4)
    again = write(engine, tmp_path / "shard0.jsonl", 6)
    assert engine.asked == ["base:0:4", "base:0:5"]
    assert again[:4] == first
    assert again[5]["response"] == "Rome 5"
    assert write(engine, tmp_path / "shard0.jsonl", 3) == first[:3]
    assert engine.asked == []


@pytest.mark.parametrize("changes", [{"prompt": "Oslo "}, {"max_tokens": 7}])
def test_another_request_gets_a_text_of_its_own(engine, tmp_path, changes):
    write(engine, tmp_path / "shard0.jsonl", 2)
    write(engine, tmp_path / "shard0.jsonl", 2, **changes)
    assert engine.asked == ["base:0:0", "base:0:1"]


@pytest.mark.parametrize("name", ["program_digest", "installed_versions"])
def test_other_code_or_packages_write_anew(engine, tmp_path, monkeypatch, name):
    write(engine, tmp_path / "shard0.jsonl", 2)
    monkeypatch.setattr(earlier_texts, name, lambda asked: "other")
    write(engine, tmp_path / "shard0.jsonl", 2)
    assert engine.asked == ["base:0:0", "base:0:1"]


def test_a_file_that_was_removed_is_written_anew(engine, tmp_path):
    write(engine, tmp_path / "shard0.jsonl", 2)
    (tmp_path / "shard0.jsonl").unlink()
    write(engine, tmp_path / "shard0.jsonl", 2)
    assert engine.asked == ["base:0:0", "base:0:1"]


def test_what_was_put_aside_goes_when_the_new_output_is_recorded(engine, tmp_path):
    output = tmp_path / "results/shard0.jsonl"
    write(engine, output, 2)
    output.rename(earlier_file(output))
    remove_leftovers(tmp_path / "results", tmp_path / ".snakemake")
    assert earlier_file(output).exists(), "its job has failed, and is still to be made again"
    earlier_file(output).rename(output)
    write(engine, output, 3)
    remove_leftovers(tmp_path / "results", tmp_path / ".snakemake")
    assert [path.name for path in output.parent.iterdir()] == ["shard0.jsonl"]


@pytest.mark.parametrize(("rule", "is_kept"), [("write_responses", True), ("filter_responses", False)])
def test_snakemake_puts_aside_what_writers_have_written_and_removes_the_rest(tmp_path, monkeypatch, rule, is_kept):
    async def remove(self) -> None:
        for output in self.output:
            output.path.unlink(missing_ok=True)

    monkeypatch.setattr(Job, "remove_existing_output", remove)
    keep_earlier_texts()
    output = Output(tmp_path / "shard0.jsonl")
    output.path.write_text("old")
    asked = SimpleNamespace(name=rule, snakefile=PROJECT / "Snakefile")
    asyncio.run(Job.remove_existing_output(SimpleNamespace(rule=asked, output=[output])))
    assert not output.path.exists()
    assert earlier_file(output.path).exists() == is_kept


class Output:
    """What Snakemake asks of an output."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return str(self.path)

    async def exists(self):
        return self.path.exists()

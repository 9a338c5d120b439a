"""Whatever its source, a base model becomes one folder with weights, tokenizer and identity."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

DEMO = Path("config/demo/base").resolve()
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def provide(*flags):
    return subprocess.run(
        [sys.executable, "scripts/provide_base.py", *map(str, flags)], capture_output=True, text=True, check=False
    )


def fetched(cache: Path) -> Path:
    """The demo's base as a repository in a hub cache, with a file that must not be taken."""
    folder = cache / "models--owner--name"
    snapshot = folder / "snapshots" / COMMIT
    shutil.copytree(DEMO, snapshot)
    (snapshot / "modeling_own.py").write_text("raise SystemExit('code of a repository was run')\n")
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text(COMMIT)
    return snapshot


def test_a_fetched_repository_is_linked_without_its_code(tmp_path):
    snapshot = fetched(tmp_path / "hub")
    run = provide("--repository", "owner/name", "--hub-cache", tmp_path / "hub", "--output", tmp_path / "weights")
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "weights/model.safetensors").resolve() == snapshot / "model.safetensors"
    assert (tmp_path / "weights/identity.json").is_file()
    assert not (tmp_path / "weights/modeling_own.py").exists()


def test_a_repository_that_was_not_fetched_is_named(tmp_path):
    run = provide("--repository", "owner/name", "--hub-cache", tmp_path / "hub", "--output", tmp_path / "weights")
    assert run.returncode == 1
    assert "the model owner/name has not been fetched" in run.stderr
    assert not (tmp_path / "weights").exists()


def test_a_folder_without_safetensors_is_refused(tmp_path):
    shutil.copytree(DEMO, tmp_path / "base")
    (tmp_path / "base/model.safetensors").unlink()
    run = provide("--folder", tmp_path / "base", "--output", tmp_path / "weights")
    assert run.returncode == 1
    assert "lacks weights (*.safetensors)" in run.stderr


def test_a_fetched_model_without_a_chat_template_is_refused_where_it_will_be_trained(tmp_path):
    snapshot = fetched(tmp_path / "hub")
    (snapshot / "chat_template.jinja").unlink()
    flags = ("--repository", "owner/name", "--hub-cache", tmp_path / "hub", "--output", tmp_path / "weights")
    run = provide(*flags, "--chats-as=mine")
    assert run.returncode == 1
    assert "models.mine: the tokenizer of" in run.stderr
    assert "chat_template: config/chat_templates/chatml.jinja" in run.stderr
    assert not (tmp_path / "weights").exists()
    for more in (["--chats-as="], ["--chats-as=mine", "--chat-template", "config/chat_templates/chatml.jinja"]):
        run = provide(*flags, *more)
        assert run.returncode == 0, run.stderr
        shutil.rmtree(tmp_path / "weights")


def test_a_fetched_model_without_room_is_refused_with_the_keys_to_lower(tmp_path):
    fetched(tmp_path / "hub")
    asked = {
        **{"seed_tasks": "config/seed_tasks.jsonl", "meta_prompt": "config/prompts/meta_prompt.txt"},
        **{"demonstrations": 1, "seed": 1, "prompts": 9, "separator": "", "assessments": [], "max_model_len": None},
        **{"instructions": 1000, "responses": 1000, "assessment": 1000},
    }
    flags = ("--repository", "owner/name", "--hub-cache", tmp_path / "hub", "--output", tmp_path / "weights")
    run = provide(*flags, "--name=mine", "--asked", json.dumps(asked))
    assert run.returncode == 1
    assert "models.mine: " in run.stderr
    assert "takes at most 1024 tokens" in run.stderr
    assert "lower instructions.sampling.max_tokens to" in run.stderr
    assert not (tmp_path / "weights").exists()
    run = provide(*flags, "--name=mine", "--asked", json.dumps(asked | {"instructions": 200, "responses": 200}))
    assert run.returncode == 0, run.stderr

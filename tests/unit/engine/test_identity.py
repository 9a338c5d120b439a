"""Weights that are torn are named before anything is made of them."""

import json
import shutil
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from isheep import cli
from isheep.engine.engine import EngineSettings
from isheep.engine.identity import require_whole
from isheep.engine.opening import open_engine
from isheep.files.records import InputError
from isheep.training.fine_tuning import FitSettings

TORN = r"model\.safetensors is torn: it has \d+ bytes, but its header tells of \d+; restore it"


def swap_weights(folder: Path) -> None:
    """Put other weights of the same size there."""
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-40:] = bytes(40)
    file.write_bytes(content)


@pytest.fixture
def torn(tiny_checkpoint, tmp_path) -> Path:
    """A checkpoint whose weights end early, as a power cut or a broken copy leaves them."""
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "torn")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    return folder


@pytest.mark.parametrize("size", [0, 4, 8, 100])
def test_a_file_without_its_whole_header_is_named(torn, size):
    weights = torn / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    with pytest.raises(InputError, match=r"model\.safetensors is torn"):
        require_whole(torn)


def test_a_file_of_zeros_is_named(torn):
    weights = torn / "model.safetensors"
    weights.write_bytes(bytes(weights.stat().st_size))
    with pytest.raises(InputError, match=r"model\.safetensors is torn"):
        require_whole(torn)


def test_a_file_that_the_index_names_must_be_there(tiny_checkpoint, tmp_path):
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "sharded")
    require_whole(folder)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}))
    with pytest.raises(InputError, match=r"model-2\.safetensors is missing, though model\.safetensors\.index\.json"):
        require_whole(folder)
    index.write_text("")
    with pytest.raises(InputError, match=r"index\.json is torn"):
        require_whole(folder)


def test_a_link_to_nothing_is_named(tiny_checkpoint, tmp_path):
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "linked")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"model\.safetensors cannot be read \(No such file"):
        require_whole(folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda folder: (folder / "tokenizer.json").unlink(),
            r"tokenizer\.json is .* \(now missing, then \d+ bytes, \w+\)",
        ),
        (
            lambda folder: (folder / "config.json").write_text("{}"),
            r"config\.json is .* \(now 2 bytes, \w+, then \d+ bytes, \w+\)",
        ),
        (swap_weights, r"model\.safetensors is .* \(now (\d+ bytes), \w+, then \1, \w+\)"),
        (
            lambda folder: (folder / "vocab.json").write_text("{}"),
            r"vocab\.json is .* \(now 2 bytes, \w+, then missing\)",
        ),
    ],
)
def test_no_engine_opens_a_checkpoint_whose_files_are_others_than_when_it_was_made(
    tiny_checkpoint, tmp_path, change, told
):
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")
    change(folder)
    with pytest.raises(InputError, match=told):
        open_engine(folder, EngineSettings(dtype="float32"), batch_size=1, threads=1)


def test_no_engine_opens_torn_weights(torn):
    with pytest.raises(InputError, match=TORN):
        open_engine(torn, EngineSettings(dtype="float32"), batch_size=1, threads=1)


def test_torn_weights_are_not_embedded(torn):
    from isheep.data.embedding import EmbeddingSettings, embed_texts

    with pytest.raises(InputError, match=TORN):
        embed_texts(torn, ["Rome"], EmbeddingSettings(dtype="float32", max_length=8), batch_size=1, threads=1)


def test_torn_weights_are_not_trained(torn):
    import train

    with pytest.raises(InputError, match=TORN):
        train.train(Namespace(weights=torn), FitSettings(), {})


def test_an_adapter_is_not_merged_into_torn_weights_nor_a_torn_one(torn, tiny_checkpoint, tmp_path):
    import merge_adapter

    adapter = shutil.copytree(tiny_checkpoint, tmp_path / "adapter")
    identity = json.loads((adapter / "identity.json").read_text())
    (adapter / "identity.json").write_text(json.dumps(identity | {"base": identity["sha256"]}))
    for adapter_folder, weights in ((adapter, torn), (torn, tiny_checkpoint)):
        with pytest.raises(InputError, match=TORN):
            merge_adapter.main(Namespace(adapter=adapter_folder, weights=weights, output=tmp_path / "merged"))
    assert not (tmp_path / "merged").exists()


def test_a_torn_base_model_is_refused_where_it_is_taken_from(torn, tmp_path, monkeypatch):
    import provide_base

    monkeypatch.setattr(sys, "argv", ["provide_base.py", f"--folder={torn}", f"--output={tmp_path / 'weights'}"])
    with pytest.raises(SystemExit, match=f"{torn}/model.safetensors is torn"):
        cli.run(provide_base.main, provide_base.parser)
    assert not (tmp_path / "weights").exists()

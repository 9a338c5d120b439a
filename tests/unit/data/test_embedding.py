"""Vectors of pairs and their clusters."""

import json
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import cluster_pairs as clustering
import embed_pairs as embedding
from isheep import cli
from isheep.data.embedding import EmbeddingSettings, embed_texts
from isheep.data.reference import sample_reference
from isheep.data.vectors import read_vectors, write_vectors
from isheep.files.records import InputError, read_jsonl, write_jsonl

CHECKPOINT = Path("config/demo/base").resolve()
TEXTS = [
    "I am learning English.\nIt is dry. Yes indeed.",
    "One drink is the *cocoa*.",
    "a",
    "Tell me of a drink that you know.\nOne drink is the *cocoa*. Over and out.",
    "Where is Rome? Rome is in Italy.",
]
SEED_TASK = {"id": "s", "instruction": "Add.", "instances": [{"input": "1 and 2", "output": "3"}]}
CONVERSATION = {
    "conversations": [
        {"from": "system", "value": "Be kind."},
        {"from": "human", "value": "Add."},
        {"from": "gpt", "value": "3"},
        {"from": "human", "value": "Thanks."},
        {"from": "gpt", "value": "Bye."},
    ]
}


@pytest.fixture(scope="module")
def hidden():
    """The last hidden layer of one text by the plain model, (tokens, hidden)."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(CHECKPOINT, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)

    def hidden(text: str) -> np.ndarray:
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        with torch.inference_mode():
            return model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0].numpy()

    return hidden


def embed(texts, batch_size=2, **settings):
    settings = EmbeddingSettings(dtype="float32", **settings)
    return embed_texts(CHECKPOINT, texts, settings, batch_size=batch_size, threads=1)


def run(stage, monkeypatch, *flags):
    monkeypatch.setattr(sys, "argv", [stage.__name__, *map(str, flags)])
    cli.run(stage.main, stage.parser)


def test_a_vector_is_the_last_layer_pooled_over_the_tokens(hidden):
    layers = [hidden(text) for text in TEXTS]
    np.testing.assert_allclose(embed(TEXTS), [layer.mean(0) for layer in layers], atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(embed(TEXTS, pooling="last"), [layer[-1] for layer in layers], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_vectors_do_not_depend_on_the_batch(pooling):
    alone, together = (embed(TEXTS, size, pooling=pooling) for size in (1, 5))
    assert alone.dtype == np.float32
    np.testing.assert_allclose(alone, together, atol=1e-5, rtol=1e-4)
    assert np.array_equal(together, embed(TEXTS, 5, pooling=pooling)), "the same call gives the same vectors"


def test_only_the_first_tokens_are_read(capsys):
    vectors = embed([TEXTS[3], TEXTS[3] + " More of it."], max_length=5)
    assert np.array_equal(vectors[0], vectors[1])
    assert "2 of 2 texts cut to 5 tokens" in capsys.readouterr().err


def test_bad_texts_and_lengths_are_named():
    with pytest.raises(InputError, match="text 1 to embed has no tokens"):
        embed(["a", ""])
    with pytest.raises(InputError, match=r"max_length is 4096, but .* at most 1024 tokens"):
        embed(["a"], max_length=4096)


def pairs(count: int, owner: str = "base") -> list[dict]:
    return [
        {
            "id": f"{owner}:0:{number}",
            "instruction": f"Name {number} drinks.",
            "input": "tea" if number % 2 else "",
            "response": "Cocoa.",
            "rejected_by": "too_short" if number % 5 == 4 else None,
        }
        for number in range(count)
    ]


def test_pairs_become_a_file_of_vectors(tmp_path, monkeypatch):
    file, output = tmp_path / "pairs.jsonl", tmp_path / "vectors.npz"
    write_jsonl(file, pairs(5))
    flags = ["--checkpoint", CHECKPOINT, "--dtype", "float32", "--separator", " "]
    run(embedding, monkeypatch, *flags, "--pairs", file, "--vectors", output)
    ids, vectors = read_vectors([output])
    assert ids.tolist() == [f"base:0:{number}" for number in range(4)]
    texts = ["Name 0 drinks.\nCocoa.", "Name 1 drinks. tea\nCocoa."]
    np.testing.assert_allclose(vectors[:2], embed(texts), atol=1e-5, rtol=1e-4)
    first = output.read_bytes()
    run(embedding, monkeypatch, *flags, "--pairs", file, "--vectors", output)
    assert output.read_bytes() == first


def test_a_shard_without_pairs_is_an_empty_file(tmp_path, monkeypatch):
    file, empty, full = (tmp_path / name for name in ("pairs.jsonl", "empty.npz", "full.npz"))
    write_jsonl(file, pairs(5)[4:])
    run(embedding, monkeypatch, "--checkpoint", CHECKPOINT, "--separator", " ", "--pairs", file, "--vectors", empty)
    write_vectors(full, ["base:1:0"], np.ones((1, 128)))
    ids, vectors = read_vectors([empty, full])
    assert ids.tolist() == ["base:1:0"]
    assert vectors.shape == (1, 128)
    with pytest.raises(InputError, match=r"empty.npz: found no vector in 1 file"):
        read_vectors([empty])


def test_a_reference_is_sampled_and_embedded(tmp_path, monkeypatch, capsys):
    output = tmp_path / "vectors.npz"
    seeds = Path("config/demo/seed_tasks.jsonl").resolve()
    flags = ["--checkpoint", CHECKPOINT, "--separator", " ", "--reference", seeds, "--vectors", output]
    run(embedding, monkeypatch, *flags, "--sample", 3, "--seed", 5)
    ids, vectors = read_vectors([output])
    assert ids.tolist() == [row["id"] for row in sample_reference(seeds, 3, 5)]
    assert vectors.shape == (3, 128)
    with pytest.raises(SystemExit, match="--reference needs --sample"):
        run(embedding, monkeypatch, *flags, "--seed", 5)


@pytest.mark.parametrize(
    "row",
    [
        SEED_TASK,
        CONVERSATION,
        {"instruction": "Add.", "input": "1 and 2", "output": "3"},
        {"instruction": "Add.", "response": "3"},
    ],
)
@pytest.mark.parametrize("listed", [True, False], ids=["list", "lines"])
def test_reference_data_has_several_forms(tmp_path, row, listed):
    file = tmp_path / "data.json"
    file.write_text(f"\n{json.dumps([row], indent=1)}" if listed else f"{json.dumps(row)}\n")
    [found] = sample_reference(file, 1, 0)
    has_input = "conversations" not in row and "response" not in row
    assert found == {
        "id": "reference:1",
        "instruction": "Add.",
        "input": "1 and 2" if has_input else "",
        "response": "3",
    }


def test_a_sample_is_seeded_and_without_repeats(tmp_path):
    file = tmp_path / "data.jsonl"
    write_jsonl(file, ({"instruction": str(number), "output": "x"} for number in range(50)))
    sample = [row["instruction"] for row in sample_reference(file, 20, 1)]
    assert sample == [row["instruction"] for row in sample_reference(file, 20, 1)]
    assert sample != [row["instruction"] for row in sample_reference(file, 20, 2)]
    assert len(set(sample)) == 20


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[{"instruction": "Add."', r"data.json: line 1 is not valid JSON"),
        ('{"instruction": "Add.", "output": "3"}\n{"instr', r"data.json: line 2 is not valid JSON"),
        ('{"prompt": "Add.", "answer": "3"}', r"data.json: row 1: its form is not known; rows must be seed tasks"),
        ('{"conversations": [{"from": "human", "value": "Hi"}]}', r"data.json: row 1: its form is not known"),
        ('{"instruction": "Add.", "output": 3}', r"data.json: row 1: its response is 3, but it must be a text"),
        ("[]", r"data.json: 1 rows are to be drawn, but it has 0"),
    ],
)
def test_bad_reference_data_is_one_sentence(tmp_path, text, sentence):
    file = tmp_path / "data.json"
    file.write_text(text)
    with pytest.raises(InputError, match=sentence):
        sample_reference(file, 1, 0)


def test_torn_vectors_are_named(tmp_path):
    whole, torn = tmp_path / "whole.npz", tmp_path / "torn.npz"
    write_vectors(whole, ["a", "b"], np.ones((2, 3)))
    torn.write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"torn.npz: it is no whole archive"):
        read_vectors([whole, torn])
    shutil.copy("config/demo/seed_tasks.jsonl", torn)
    with pytest.raises(InputError, match=r"torn.npz: it is no whole archive"):
        read_vectors([torn])
    write_vectors(torn, ["c"], np.ones((1, 4)))
    with pytest.raises(InputError, match=r"torn.npz: its vectors have 4 numbers, but .* 3"):
        read_vectors([whole, torn])
    write_vectors(torn, ["c", "d"], np.array([[1, 2, 3], [1, np.nan, 3]]))
    with pytest.raises(InputError, match=r"torn.npz: the vector of 'd' has a number that is not finite"):
        read_vectors([whole, torn])


@pytest.fixture
def shards(tmp_path):
    """Two checkpoints' pairs, 20 each, whose vectors lie in four far corners; one more vector than is asked for."""
    noise = np.random.default_rng(0)
    corners = np.eye(4, 8) * 100
    flags = {"--pairs": [], "--vectors": []}
    for owner in ("base", "one/iter1"):
        rows = [row | {"rejected_by": None if n != 3 else "too_short"} for n, row in enumerate(pairs(21, owner))]
        name = owner.replace("/", "_")
        write_jsonl(tmp_path / f"{name}.jsonl", rows)
        kept = [(n, row["id"]) for n, row in enumerate(rows) if row["rejected_by"] is None]
        vectors = np.stack([corners[n % 4] + noise.normal(size=8) for n, _ in kept])
        write_vectors(tmp_path / f"{name}.npz", [id for _, id in kept], vectors)
        flags["--pairs"].append(tmp_path / f"{name}.jsonl")
        flags["--vectors"].append(tmp_path / f"{name}.npz")
    return flags


def run_clustering(monkeypatch, shards, output, clusters, seed=1, threads=1):
    flags = [part for flag, files in shards.items() for part in (flag, *files)]
    flags += ["--count", 20, "--clusters", clusters, "--seed", seed, "--threads", threads, "--output", output]
    run(clustering, monkeypatch, *flags)
    return read_jsonl(output)


def test_every_pair_is_in_the_cluster_of_its_like(tmp_path, monkeypatch, shards):
    rows = run_clustering(monkeypatch, shards, tmp_path / "clusters.jsonl", 4)
    expected = [f"{owner}:0:{n}" for owner in ("base", "one/iter1") for n in range(20) if n != 3]
    assert [row["id"] for row in rows] == expected
    corners = Counter((int(row["id"].rpartition(":")[2]) % 4, row["cluster"]) for row in rows)
    assert len(corners) == 4
    assert {cluster for _, cluster in corners} == {0, 1, 2, 3}


def test_clusters_are_the_same_again_whatever_the_threads(tmp_path, monkeypatch, shards):
    again = [run_clustering(monkeypatch, shards, tmp_path / "c.jsonl", 11, threads=n) for n in (1, 1, 2)]
    assert again[0] == again[1] == again[2]
    assert again[0] != run_clustering(monkeypatch, shards, tmp_path / "c.jsonl", 11, seed=2)


def test_more_clusters_than_pairs_is_an_error(tmp_path, monkeypatch, shards):
    with pytest.raises(SystemExit, match=r"selection.clusters is 39, but only 38 pairs broke no rule"):
        run_clustering(monkeypatch, shards, tmp_path / "clusters.jsonl", 39)
    assert not (tmp_path / "clusters.jsonl").exists()


def test_a_pair_without_vector_is_an_error(tmp_path, monkeypatch, shards):
    lacking = shards | {"--vectors": shards["--vectors"][:1]}
    with pytest.raises(SystemExit, match=r"19 of 38 pairs have no vector .* the first is 'one/iter1:0:0'"):
        run_clustering(monkeypatch, lacking, tmp_path / "clusters.jsonl", 4)


def test_reference_may_be_a_hub_data_set_of_one_file(tmp_path):
    snapshot = tmp_path / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (tmp_path / "refs").mkdir()
    (tmp_path / "refs" / "main").write_text("c0ffee")
    (snapshot / "data.json").write_text(json.dumps([CONVERSATION]))
    assert sample_reference(tmp_path, 1, seed=1)[0]["instruction"] == "Add."
    (snapshot / "more.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"one .json or .jsonl file, but it holds data.json, more.jsonl"):
        sample_reference(tmp_path, 1, seed=1)

"""The demo world: its truth is lm-eval's and the world file's, its files are what its programs write."""

import dataclasses
import hashlib
import json
import random
import re
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from build_demo_world import (
    CONVERSATIONS,
    EVALUATION_TASKS,
    REFERENCE_OUTPUTS,
    SEED_TASKS,
    read_prompts,
    train_tokenizer,
)
from isheep.data import contamination
from isheep.data.instructions import BLACKLIST, InstructionFilters, select_instructions
from isheep.demo import judgments as demo_judgments
from isheep.demo import texts as demo_texts
from isheep.demo import world as demo_world
from isheep.demo.world import Constraint, Task
from isheep.files.records import InputError, read_jsonl

DEMO = Path(__file__).resolve().parents[3] / "config" / "demo"
SHIPPED_SEED = 1
"""Seed of the shipped files, as config/demo/base/README.md says."""


@pytest.fixture(scope="module")
def world() -> demo_world.World:
    return demo_world.World(DEMO / "world.yaml")


@pytest.fixture(scope="module")
def unseen() -> demo_world.World:
    return demo_world.World(DEMO / "world.yaml", unseen=True)


@pytest.fixture(scope="module")
def filters() -> InstructionFilters:
    """Those of the demo."""
    config = yaml.safe_load((DEMO.parent / "config.yaml").read_text(encoding="utf-8"))
    return InstructionFilters(**config["instructions"]["filters"])


def prompts() -> demo_texts.Prompts:
    return read_prompts(
        DEMO / "prompts", DEMO.parent / "annotators" / "demo", DEMO / "mt_bench" / "judge_prompts.jsonl"
    )


@pytest.fixture(scope="module")
def texts(world) -> list[str]:
    """Documents of both readers."""
    readers = demo_texts.DOCUMENT_SHARES
    return [text for reader in readers for text in demo_texts.documents(world, SHIPPED_SEED, 400, prompts(), reader)]


def task(kind: str, subject: str, *constraints: Constraint, count: int = 0) -> Task:
    return Task(kind, subject, count, constraints, "An instruction.", "")


NO_COMMA = Constraint("punctuation:no_comma", None, {})
ENDING = Constraint("startend:end_checker", "Good luck.", {"end_phrase": "Good luck."})
BULLETS = Constraint("detectable_format:number_bullet_lists", 2, {"num_bullets": 2})


@pytest.mark.parametrize(
    ("asked", "response", "right"),
    [
        (task("naming", "bird", count=1), "A heron.", True),
        (task("naming", "bird", count=1), "One bird is the Heron.", True),
        (task("naming", "bird", count=1), "A trout.", False),
        (task("naming", "bird", count=1), "I do not know.", False),
        (task("naming", "bird", count=2), "* heron\n* owl", True),
        (task("naming", "bird", count=2), "heron, heron", False),
        (task("naming", "bird", count=2), "heron, owl and stork", False),
        (task("naming", "bird", count=2), "heron and iron", False),
        (task("place", "Lyon"), "Lyon lies in France.", True),
        (task("place", "Lyon"), "It is in Spain.", False),
        (task("place", "Lyon"), "France or Spain.", False),
        (task("opposite", "hot"), "The opposite of hot is cold.", True),
        (task("kind", "heron"), "A heron is a kind of bird.", True),
        (task("kind", "heron"), "A fish.", False),
    ],
)
def test_content_is_right_when_it_holds_just_what_was_asked(world, asked, response, right):
    assert demo_world.content_right(world, asked, response) is right


@pytest.mark.parametrize(
    ("constraints", "response", "kept"),
    [
        ((NO_COMMA,), "heron and owl", [True]),
        ((NO_COMMA,), "heron, owl", [False]),
        ((NO_COMMA, ENDING), "heron, owl. Good luck.", [False, True]),
        ((ENDING,), "heron. Good luck. Bye.", [False]),
        ((BULLETS,), "* heron\n* owl", [True]),
        ((BULLETS,), "* heron\n* owl\n* crow", [False]),
        ((NO_COMMA,), "", [False]),
    ],
)
def test_constraints_are_checked_one_by_one(constraints, response, kept):
    assert demo_world.constraints_kept(task("naming", "bird", *constraints, count=2), response) == kept


def test_a_response_that_goes_on_with_the_instruction_is_not_in_format(world):
    asked = task("naming", "bird", NO_COMMA, count=1)
    assert demo_world.format_right(world, asked, "A heron.")
    assert not demo_world.format_right(world, asked, "Include the word hello.\nA heron.")


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("in_format", [True, False])
def test_responses_and_judgments_are_as_ordered(world, right, in_format):
    rng = random.Random(7)
    for _ in range(150):
        drawn = demo_world.draw_task(world, rng)
        response = demo_texts.write_response(world, rng, drawn, right=right, in_format=in_format)
        for criterion, good in {"quality": right, "following": in_format}.items():
            judgment = demo_judgments.judge(world, rng, drawn, response, criterion)
            score = int(re.search(r"Score: (\d+)$", judgment)[1])
            assert (score > 8) is good, (drawn.text, response, judgment)
        rating = int(re.search(r"Rating: \[\[(\d+)\]\]$", demo_judgments.rate(world, rng, drawn, response))[1])
        assert (rating > 8) is (right and in_format)
        assert (rating < 4) is not (right or in_format)


def test_the_better_of_two_responses_is_named_and_level_ones_are_drawn_by_lot(world):
    rng = random.Random(7)
    for _ in range(50):
        drawn = demo_world.draw_task(world, rng)
        good = demo_texts.write_response(world, rng, drawn, right=True, in_format=True)
        bad = demo_texts.write_response(world, rng, drawn, right=False, in_format=True)
        assert demo_judgments.compare(world, rng, drawn, good, bad).endswith("Better: A")
        assert demo_judgments.compare(world, rng, drawn, bad, good).endswith("Better: B")
    level = {demo_judgments.compare(world, rng, drawn, good, good)[-1] for _ in range(20)}
    assert level == {"A", "B"}


def test_shipped_reference_outputs_and_conversations_are_those_of_the_program(world):
    outputs = json.loads((DEMO / "alpaca_eval" / "reference_outputs.json").read_text())
    assert outputs == demo_texts.reference_outputs(world, SHIPPED_SEED, REFERENCE_OUTPUTS)
    assert len({row["instruction"] for row in outputs}) == len(outputs) == 120
    questions, references = demo_texts.conversations(world, SHIPPED_SEED, CONVERSATIONS)
    assert read_jsonl(DEMO / "mt_bench" / "questions.jsonl") == questions
    assert read_jsonl(DEMO / "mt_bench" / "reference_answers.jsonl") == references
    with_reference = {row["question_id"] for row in questions if row["category"] in demo_texts.REFERENCE_KINDS}
    assert {row["question_id"] for row in references} == with_reference


def test_loose_phrases_hold_no_word_that_counts_as_an_answer(world):
    answers = {word.lower() for fact in world.facts.values() for word in fact["answers"].values()}
    answers |= {member.lower() for member in world.topic_of}
    phrases = list(world.constraints["startend:end_checker"]["values"])
    for group in world.phrases.values():
        phrases += group.values() if isinstance(group, dict) else group
    found = {word for phrase in phrases for word in re.findall("[a-z]+", phrase.lower())} & answers
    assert not found


def test_shipped_seed_tasks_are_right_and_those_of_the_program(world):
    rows = read_jsonl(DEMO / "seed_tasks.jsonl")
    assert rows == demo_texts.seed_tasks(world, SHIPPED_SEED, SEED_TASKS)
    assert len({row["instruction"] + row["instances"][0]["input"] for row in rows}) == len(rows) == 175
    assert any(row["instances"][0]["input"] for row in rows)
    tasks = demo_texts.draw_seed_tasks(world, SHIPPED_SEED, SEED_TASKS)
    for row, drawn in zip(rows, tasks, strict=True):
        assert row["instruction"] == drawn.instruction
        assert demo_world.content_right(world, drawn, row["instances"][0]["output"])
        assert demo_world.format_right(world, drawn, row["instances"][0]["output"])


def test_shipped_evaluation_tasks_are_those_of_the_program_and_in_no_seed_or_document(world, texts):
    rows = read_jsonl(DEMO / "tasks" / "demo_ifeval.jsonl")
    assert rows == demo_texts.evaluation_tasks(world, SHIPPED_SEED, EVALUATION_TASKS)
    seeds = read_jsonl(DEMO / "seed_tasks.jsonl")
    known = [f"{row['instruction']} {row['instances'][0]['input']}".strip() + "\n" for row in seeds] + texts
    assert not [row["prompt"] for row in rows if any(f"{row['prompt']}\n" in text for text in known)]
    assert [row["key"] for row in rows] == list(range(len(rows)))


def test_shipped_clean_tasks_are_those_of_the_program_and_name_an_unseen_subject_throughout(world, unseen):
    rows = read_jsonl(DEMO / "tasks" / "demo_ifeval_clean.jsonl")
    assert rows == demo_texts.clean_evaluation_tasks(world, unseen, SHIPPED_SEED, EVALUATION_TASKS)
    assert len({row["prompt"] for row in rows}) == len(rows) == 250
    for row in rows:
        words = contamination.words(row["prompt"])
        runs = [words[start : start + 13] for start in range(max(1, len(words) - 12))]
        assert all(unseen.subject_words & set(run) for run in runs), row["prompt"]


def test_each_clean_task_has_the_constraints_of_the_evaluation_task_with_its_key():
    clean, others = (
        [{**row, "prompt": None} for row in read_jsonl(DEMO / "tasks" / name)]
        for name in ("demo_ifeval_clean.jsonl", "demo_ifeval.jsonl")
    )
    assert clean == others


def test_unseen_subjects_are_no_part_of_a_word_of_the_seed_tasks_and_other_benchmarks(unseen):
    files = [*DEMO.glob("*/*.json*"), DEMO / "seed_tasks.jsonl", *DEMO.glob("prompts/**/*.*")]
    words = {
        word
        for file in files
        if file.parent.name not in ("base", "judge") and file.name != "demo_ifeval_clean.jsonl"
        for word in re.findall("[a-z]+", file.read_text(encoding="utf-8").lower())
    }
    assert "heron" in words
    assert not [(subject, word) for subject in unseen.subject_words for word in words if subject in word]


def test_the_demo_drops_every_instruction_that_names_an_unseen_subject(unseen, filters):
    assert {word.lower() for word in filters.blacklist} == set(BLACKLIST) | unseen.subject_words
    clean = [row["prompt"] for row in read_jsonl(DEMO / "tasks" / "demo_ifeval_clean.jsonl")]
    planted = [{"instruction": text, "input": ""} for prompt in clean for text in (prompt, prompt.upper())]
    planted += [
        {"instruction": "Say what is meant. Use no commas.", "input": word} for word in sorted(unseen.subject_words)
    ]
    honest = {"instruction": "Name a bird. Use no commas.", "input": ""}
    kept, rejected = select_instructions([*planted, honest], [], [], filters, len(planted) + 1)
    assert kept == [honest]
    assert {row["reason"] for row in rejected} == {"blacklist"}


def test_no_pair_on_a_seen_subject_has_a_clean_task_or_a_run_of_it(world):
    rng = random.Random(7)
    drawn = [demo_world.draw_task(world, rng, held_out=held_out) for held_out in (True, False) for _ in range(3000)]
    pairs = [
        {
            "id": str(number),
            "instruction": task.instruction,
            "input": task.input,
            "response": demo_texts.write_response(world, rng, task, right=True, in_format=True),
        }
        for number, task in enumerate(drawn)
    ]
    clean, others = (
        [{"id": str(row["key"]), "text": row["prompt"]} for row in read_jsonl(DEMO / "tasks" / name)]
        for name in ("demo_ifeval_clean.jsonl", "demo_ifeval.jsonl")
    )
    training_set = contamination.TrainingSet(pairs)
    assert contamination.check_benchmark(training_set, others)["either"] > 50
    assert contamination.check_benchmark(training_set, clean)["either"] == 0
    planted = contamination.TrainingSet([*pairs, pairs[0] | {"id": "planted", "instruction": clean[0]["text"]}])
    assert [hit["item"] for hit in contamination.check_benchmark(planted, clean)["hits"]] == ["0"]


def test_choice_questions_have_one_right_choice(world):
    for row in read_jsonl(DEMO / "tasks" / "demo_choice.jsonl"):
        assert len(set(row["choices"])) == 4
        assert 0 <= row["label"] < 4


def test_documents_are_the_same_for_the_same_seed(world, texts):
    again = demo_texts.documents(world, SHIPPED_SEED, 50, prompts())
    other = demo_texts.documents(world, SHIPPED_SEED + 1, 50, prompts())
    assert list(again) == texts[:50] != list(other)


def test_a_meta_prompt_without_its_placeholder_is_refused(world):
    with pytest.raises(InputError, match="demonstrations"):
        next(demo_texts.documents(world, 1, 1, dataclasses.replace(prompts(), meta_prompt="Write tasks.")))


def test_a_trained_tokenizer_encodes_the_same_after_loading(texts, tmp_path):
    trained = train_tokenizer(texts, vocabulary=600)
    trained.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert len(loaded) == 600
    for text in texts:
        ids = loaded(text)["input_ids"]
        assert ids == trained(text)["input_ids"]
        assert loaded.decode(ids) == text
    assert loaded.convert_tokens_to_ids(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]) == [0, 1, 2]


def test_the_shipped_base_is_whole_small_and_speaks_chatml():
    folder = DEMO / "base"
    sums = (folder / "SHA256SUMS").read_text().split("\n")[:-1]
    for line in sums:
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= {line.split("  ")[1] for line in sums}
    assert (folder / "model.safetensors").stat().st_size < 4_000_000
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert chat == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.eos_token == "<|endoftext|>"


def test_the_shipped_base_knows_its_world(texts):
    model = AutoModelForCausalLM.from_pretrained(DEMO / "base", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(DEMO / "base")
    losses = []
    for text in texts[:40]:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            losses.append(model(input_ids=ids, labels=ids).loss.item())
    assert sum(losses) / len(losses) < 1.2  # untrained: ln(vocabulary) = 6.9


def test_every_assessment_prompt_has_its_keys():
    for path in (DEMO / "prompts" / "assessment").glob("*.yaml"):
        prompt = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert path.stem.split("_")[1] == prompt["criterion"] in demo_texts.CRITERIA
        assert "{instruction}" in prompt["template"]
        assert "{response}" in prompt["template"]
        assert prompt["score_after"] == "Score:"

"""Write the demo world's files: documents and tokenizer for the base model, seed tasks, evaluation tasks.

Reads the world file and the demo's prompts; writes into one folder, the same for the same seed:
documents.jsonl, tokenizer/, seed_tasks.jsonl, demo_ifeval.jsonl, demo_ifeval_clean.jsonl, demo_choice.jsonl,
reference_outputs.json, questions.jsonl and reference_answers.jsonl.
"""

import argparse
import json
import random
from pathlib import Path

import yaml
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer

from isheep import cli
from isheep.demo import texts as demo_texts
from isheep.demo import world as demo_world
from isheep.files import records
from isheep.files.ownership import Output
from isheep.project import located

SEED_TASKS = 175
"""As many as Self-Instruct's, which the paper uses (arXiv 2408.08072, section 3.2)."""
EVALUATION_TASKS = 250
CHOICE_QUESTIONS = 200
REFERENCE_OUTPUTS = 120
CONVERSATIONS = 40
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def main(arguments: argparse.Namespace) -> None:
    world = demo_world.World(arguments.world)
    prompts = read_prompts(arguments.prompts, arguments.annotator, arguments.judge_prompts)
    with records.publish(arguments.output) as folder:
        folder.mkdir()
        seeds = demo_texts.seed_tasks(world, arguments.seed, SEED_TASKS)
        records.write_jsonl(folder / "seed_tasks.jsonl", seeds)
        evaluation = demo_texts.evaluation_tasks(world, arguments.seed, EVALUATION_TASKS)
        records.write_jsonl(folder / "demo_ifeval.jsonl", evaluation)
        unseen = demo_world.World(arguments.world, unseen=True)
        clean = demo_texts.clean_evaluation_tasks(world, unseen, arguments.seed, EVALUATION_TASKS)
        records.write_jsonl(folder / "demo_ifeval_clean.jsonl", clean)
        choices = demo_texts.choice_questions(world, arguments.seed, CHOICE_QUESTIONS)
        records.write_jsonl(folder / "demo_choice.jsonl", choices)
        outputs = demo_texts.reference_outputs(world, arguments.seed, REFERENCE_OUTPUTS)
        records.write_json(folder / "reference_outputs.json", outputs)
        questions, answers = demo_texts.conversations(world, arguments.seed, CONVERSATIONS)
        records.write_jsonl(folder / "questions.jsonl", questions)
        records.write_jsonl(folder / "reference_answers.jsonl", answers)
        print(f"Writing {arguments.documents} documents ...", flush=True)
        texts = list(demo_texts.documents(world, arguments.seed, arguments.documents, prompts, arguments.reader))
        records.write_jsonl(folder / "documents.jsonl", ({"text": text} for text in texts))
        tokenizer = train_tokenizer(texts, arguments.vocabulary)
        tokenizer.chat_template = Path(arguments.chat_template).read_text(encoding="utf-8")
        tokenizer.save_pretrained(folder / "tokenizer")
    print(f"The demo world lies in {arguments.output}")


def read_prompts(folder: Path, annotator: Path, judge_prompts: Path) -> demo_texts.Prompts:
    """Return the prompts after which a model learns to write and to judge."""
    assessment = {}
    for path in sorted((folder / "assessment").glob("*.yaml")):
        prompt = yaml.safe_load(path.read_text(encoding="utf-8"))
        assessment[path.stem.split("_")[0], prompt["criterion"]] = prompt["template"]
    return demo_texts.Prompts(
        meta_prompt=(folder / "meta_prompt.txt").read_text(encoding="utf-8"),
        assessment=assessment,
        ratings={row["name"]: row["prompt_template"] for row in records.read_jsonl(judge_prompts)},
        comparison=(annotator / "prompt.txt").read_text(encoding="utf-8").rstrip("\n"),
    )


def train_tokenizer(texts: list[str], vocabulary: int) -> Qwen2Tokenizer:
    """Train a byte-level BPE of `vocabulary` tokens, special ones included.

    transformers gives every tokenizer of model type qwen2 Qwen2's own pre-tokenizer when it loads one,
    whatever the file says; so that one is used for training too.
    """
    raw = Tokenizer(models.BPE())
    fresh = Qwen2Tokenizer().backend_tokenizer
    raw.normalizer, raw.pre_tokenizer = fresh.normalizer, fresh.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    sample = random.Random(0).sample(texts, min(len(texts), 5000))
    raw.train_from_iterator(sample, trainer)
    merges = json.loads(raw.to_str())["model"]["merges"]
    return Qwen2Tokenizer(
        vocab=raw.get_vocab(),
        merges=[tuple(merge) for merge in merges],
        extra_special_tokens=SPECIAL_TOKENS[1:],
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--world", default=located("config/demo/world.yaml"), help="the world file")
prompts = Path(located("config/demo/prompts"))
parser.add_argument("--prompts", type=Path, default=prompts, help="meta_prompt.txt and assessment/*.yaml")
annotator = Path(located("config/annotators/demo"))
parser.add_argument("--annotator", type=Path, default=annotator, help="AlpacaEval annotator with its prompt.txt")
judge_prompts = Path(located("config/demo/mt_bench/judge_prompts.jsonl"))
parser.add_argument("--judge-prompts", type=Path, default=judge_prompts, help="MT-Bench's judge prompts")
parser.add_argument("--chat-template", default=located("config/demo/base/chat_template.jinja"))
parser.add_argument("--seed", type=int, default=1)
readers = list(demo_texts.DOCUMENT_SHARES)
parser.add_argument("--reader", choices=readers, default="base", help="which model the documents are for")
parser.add_argument("--documents", type=int, default=60000, help="number of training documents")
parser.add_argument("--vocabulary", type=int, default=1024, help="tokens, special ones included")
parser.add_argument("--output", type=Output, required=True, help="the folder to write")

if __name__ == "__main__":
    cli.run(main, parser)

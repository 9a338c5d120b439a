"""Small data sets of our own in the schema of each that the paper's benchmarks read, on questions of the demo world."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import yaml

from isheep.demo.texts import choice_questions
from isheep.demo.world import World

ITEMS = 12
"""Of a split that is measured; the splits for worked examples have as many."""
MMLU_ITEMS = {"test": 2, "validation": 1, "dev": 5}
CONVERSATIONS = 60
LETTERS = "ABCDE"


def write_data_sets(folder: Path, world: World, subjects: list[str]) -> None:
    """Write every repository below `folder`, as the hub has them: owner/name/files.

    subjects: the names of MMLU's configurations.
    """
    questions = Questions(world)
    for repository, configurations in SCHEMAS.items():
        write_parquet(folder / repository, configurations, questions)
    row = SCHEMA_OF_MMLU
    mmlu = {name: {split: (row, count) for split, count in MMLU_ITEMS.items()} for name in subjects}
    write_parquet(folder / "cais/mmlu", mmlu, questions)
    write_all_subjects(folder / "cais/mmlu", subjects)
    write_gpqa(folder / "Idavidrein/gpqa", questions)
    write_openhermes(folder / "teknium/OpenHermes-2.5", questions)


class Questions:
    """Questions of four choices, one after the other, each with what the schemas ask for."""

    def __init__(self, world: World) -> None:
        self.rows, self.next = choice_questions(world, 7, 200), 0

    def take(self) -> dict:
        """The next question: number, question (no mark at its end), choices, label and right answer."""
        row = self.rows[self.next % len(self.rows)]
        self.next += 1
        choices = [choice.rstrip(".") for choice in row["choices"]]
        answer = choices[row["label"]]
        question = row["question"].rstrip("?.")
        return {"number": self.next, "question": question, "choices": choices, "label": row["label"], "answer": answer}


def lettered(q: dict) -> dict:
    """Choices and key as ARC, OpenBookQA and CommonsenseQA have them."""
    return {
        "choices": {"text": q["choices"], "label": list(LETTERS[: len(q["choices"])])},
        "answerKey": LETTERS[q["label"]],
    }


def boolq(q: dict) -> dict:
    said = q["choices"][q["number"] % 2]
    return {
        "question": f"is {said} the answer to: {q['question']}",
        "passage": f"Answers -- {q['question']}: the answer is {q['answer']}.",
        "idx": q["number"],
        "label": int(said == q["answer"]),
    }


def piqa(q: dict) -> dict:
    label = q["number"] % 2
    wrong = q["choices"][(q["label"] + 1) % 4]
    solutions = [q["answer"], wrong] if label == 0 else [wrong, q["answer"]]
    return {"goal": q["question"], "sol1": solutions[0], "sol2": solutions[1], "label": label}


def siqa(q: dict) -> dict:
    label = q["number"] % 3
    choices = [choice for choice in q["choices"] if choice != q["answer"]]
    choices[label] = q["answer"]
    answers = dict(zip(("answerA", "answerB", "answerC"), choices, strict=True))
    return {"context": "A pupil asks.", "question": f"{q['question']}?", **answers, "label": str(label + 1)}


def hellaswag(q: dict) -> dict:
    return {
        "ind": q["number"],
        "activity_label": "Asking",
        "ctx_a": f"{q['question']}.",
        "ctx_b": "the answer is",
        "ctx": f"{q['question']}. the answer is",
        "endings": q["choices"],
        "source_id": f"demo~{q['number']}",
        "split": "val",
        "split_type": "indomain",
        "label": str(q["label"]),
    }


def winogrande(q: dict) -> dict:
    label = q["number"] % 2
    wrong = q["choices"][(q["label"] + 1) % 4]
    options = [q["answer"], wrong] if label == 0 else [wrong, q["answer"]]
    sentence = f"{q['question']}: I say _ because that is right."
    return {"sentence": sentence, "option1": options[0], "option2": options[1], "answer": str(label + 1)}


def arc(q: dict) -> dict:
    return {"id": f"demo_{q['number']}", "question": q["question"], **lettered(q)}


def openbookqa(q: dict) -> dict:
    return {"id": f"demo-{q['number']}", "question_stem": q["question"], **lettered(q)}


def openbookqa_with_fact(q: dict) -> dict:
    rated = {"humanScore": 1.0, "clarity": 2.0, "turkIdAnonymized": "demo"}
    return openbookqa(q) | {"fact1": f"the answer is {q['answer']}"} | rated


def commonsense_qa(q: dict) -> dict:
    five = q | {"choices": [*q["choices"], "nothing"]}
    return {"id": f"demo{q['number']}", "question": q["question"], "question_concept": "thing", **lettered(five)}


def mmlu(q: dict) -> dict:
    return {"question": q["question"], "choices": q["choices"], "answer": q["label"]}


def nq_open(q: dict) -> dict:
    return {"question": q["question"].lower(), "answer": [q["answer"]]}


def trivia_qa(q: dict) -> dict:
    answer = {"aliases": [q["answer"], q["answer"].upper()], "normalized_aliases": [q["answer"]], "value": q["answer"]}
    return {"question": q["question"], "question_id": f"demo_{q['number']}", "question_source": "", "answer": answer}


def squad_v2(q: dict) -> dict:
    """Every third question is unanswerable."""
    context = f"The answer is {q['answer']}."
    answers = {"text": [q["answer"]], "answer_start": [context.index(q["answer"])]}
    if q["number"] % 3 == 0:
        answers = {"text": [], "answer_start": []}
    return {
        "id": f"demo{q['number']}",
        "title": "Demo",
        "context": context,
        "question": f"{q['question']}?",
        "answers": answers,
    }


Row = Callable[[dict], dict]
SCHEMA_OF_MMLU: Row = mmlu


def splits(row: Row, *names: str) -> dict[str, tuple[Row, int]]:
    return dict.fromkeys(names, (row, ITEMS))


SCHEMAS: dict[str, dict[str, dict[str, tuple[Row, int]]]] = {
    "aps/super_glue": {"boolq": splits(boolq, "train", "validation", "test")},
    "baber/piqa": {"default": splits(piqa, "train", "validation")},
    "lighteval/siqa": {"default": splits(siqa, "train", "validation")},
    "Rowan/hellaswag": {"default": splits(hellaswag, "train", "validation")},
    "allenai/winogrande": {"winogrande_xl": splits(winogrande, "train", "validation")},
    "allenai/ai2_arc": {name: splits(arc, "train", "validation", "test") for name in ("ARC-Challenge", "ARC-Easy")},
    "allenai/openbookqa": {
        "main": splits(openbookqa, "train", "validation", "test"),
        "additional": splits(openbookqa_with_fact, "train", "validation", "test"),
    },
    "tau/commonsense_qa": {"default": splits(commonsense_qa, "train", "validation")},
    "google-research-datasets/nq_open": {"nq_open": splits(nq_open, "train", "validation")},
    "mandarjoshi/trivia_qa": {"rc.nocontext": splits(trivia_qa, "train", "validation")},
    "lighteval/squad_v2": {"default": splits(squad_v2, "train", "validation")},
}
"""Repository → configuration → split → how a row is made, and how many there are."""


def write_parquet(folder: Path, configurations: dict[str, dict[str, tuple[Row, int]]], questions: Questions) -> None:
    """Write one repository: a file for each configuration and split, and the card that lists them."""
    card = []
    for name, of_splits in configurations.items():
        place = "data" if name == "default" else name
        (folder / place).mkdir(parents=True, exist_ok=True)
        for split, (row, count) in of_splits.items():
            extra = {"subject": name} if row is SCHEMA_OF_MMLU else {}
            rows = [row(questions.take()) | extra for _ in range(count)]
            table = pyarrow.Table.from_pylist(rows)
            pyarrow.parquet.write_table(table, folder / place / f"{split}-00000-of-00001.parquet")
        files = [{"split": split, "path": f"{place}/{split}-*"} for split in of_splits]
        card.append({"config_name": name, "data_files": files})
    write_card(folder, card)


def write_all_subjects(folder: Path, subjects: list[str]) -> None:
    """Write MMLU's configuration `all`: the splits of all subjects, one after the other."""
    (folder / "all").mkdir()
    for split in MMLU_ITEMS:
        files = (folder / name / f"{split}-00000-of-00001.parquet" for name in subjects)
        table = pyarrow.concat_tables(map(pyarrow.parquet.read_table, files))
        pyarrow.parquet.write_table(table, folder / "all" / f"{split}-00000-of-00001.parquet")
    card = [
        {"config_name": name, "data_files": [{"split": split, "path": f"{name}/{split}-*"} for split in MMLU_ITEMS]}
        for name in ("all", *subjects)
    ]
    write_card(folder, card)


def write_card(folder: Path, configurations: list[dict]) -> None:
    """The README that tells the library `datasets` which files belong together."""
    front = yaml.safe_dump({"configs": configurations}, sort_keys=False)
    (folder / "README.md").write_text(f"---\n{front}---\nMade for a test, from the demo world.\n", encoding="utf-8")


def write_gpqa(folder: Path, questions: Questions) -> None:
    """A csv file with the columns that lm-eval reads."""
    folder.mkdir(parents=True)
    columns = ["Question", "Correct Answer", *(f"Incorrect Answer {number}" for number in (1, 2, 3)), "Subdomain"]
    with open(folder / "gpqa_diamond.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for _ in range(ITEMS):
            q = questions.take()
            wrong = [choice for choice in q["choices"] if choice != q["answer"]]
            writer.writerow([f"{q['question']}?", q["answer"], *wrong, "Demo"])
    write_card(folder, [{"config_name": "gpqa_diamond", "data_files": "gpqa_diamond.csv"}])


def write_openhermes(folder: Path, questions: Questions) -> None:
    """One JSON list of conversations."""
    folder.mkdir(parents=True)
    rows = []
    for _ in range(CONVERSATIONS):
        q = questions.take()
        turns = [{"from": "human", "value": f"{q['question']}?"}, {"from": "gpt", "value": f"It is {q['answer']}."}]
        rows.append({"conversations": turns, "source": "demo"})
    (folder / "openhermes2_5.json").write_text(json.dumps(rows), encoding="utf-8")

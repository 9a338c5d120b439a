"""Small data sets with awkward rows, in the schema of the hub or of the published file, and in the form that
OpenCompass's loaders read."""

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pyarrow
import pyarrow.parquet
from lm_eval.tasks.hellaswag.utils import process_docs as hellaswag_of_lm_eval

from isheep.fetch.hub_cache import folder_name
from isheep.files.records import write_jsonl

BOOLQ = [
    {"passage": "Ice -- Ice is water -- frozen, that is.", "question": "is ice water", "label": 1},
    {"passage": "No title stands here.", "question": "does a title stand here", "label": 0},
    {"passage": "Bat -- A bat is a mammal.", "question": "éclairs are bats", "label": 0},
]
PIQA = [
    {"goal": "how do you open a jar?", "sol1": "turn the lid.", "sol2": "Eat the lid.", "label": 0},
    {"goal": "To dry a shirt,", "sol1": "Hang it up.", "sol2": "soak it.", "label": 0},
    {"goal": "Mend a sock.", "sol1": "burn it", "sol2": "sew it", "label": 1},
]
SIQA = [
    {
        "context": "Ann fell.",
        "question": "How is Ann?",
        "answerA": "hurt",
        "answerB": "tall",
        "answerC": "9",
        "label": "1",
    },
    {
        "context": "Bo sang\nloudly.",
        "question": "Why?",
        "answerA": "sad",
        "answerB": "mute",
        "answerC": "glad",
        "label": "3",
    },
]
GPQA = [
    {"Question": f"Which is number {number}?\n(look twice)", "Correct Answer": right, **wrong}
    for number, right, wrong in (
        (1, "one", {"Incorrect Answer 1": "two", "Incorrect Answer 2": "three", "Incorrect Answer 3": "four"}),
        (2, "None", {"Incorrect Answer 1": "NA", "Incorrect Answer 2": "a, b", "Incorrect Answer 3": 'the "c"'}),
        (3, "x\n", {"Incorrect Answer 1": "y", "Incorrect Answer 2": "x\n", "Incorrect Answer 3": "z"}),
        (4, "1", {"Incorrect Answer 1": "2", "Incorrect Answer 2": "3", "Incorrect Answer 3": "4"}),
        (5, "5", {"Incorrect Answer 1": "6", "Incorrect Answer 2": "7", "Incorrect Answer 3": "8"}),
    )
]
HELLASWAG = [
    {
        "activity_label": "Baking bread",
        "ctx_a": "[header] How to bake [title] Mix the flour.  Wait.",
        "ctx_b": "then the baker",
        "endings": ["sings [substeps] aloud.", " sleeps. [title] Wake up.", "bakes  it.", "leaves."],
        "label": "2",
    },
    {
        "activity_label": "Rowing",
        "ctx_a": "A man rows.",
        "ctx_b": "",
        "endings": ["He", "She", "It", "We"],
        "label": "0",
    },
]
WINOGRANDE = [
    {"sentence": "The cup broke since _ was thin.", "option1": "the cup", "option2": "the spoon", "answer": "1"},
    {"sentence": "Ann or _ won, and _ wept.", "option1": "Bo", "option2": "Cy", "answer": "2"},
    {"sentence": "_", "option1": "Yes.", "option2": "No.", "answer": "1"},
]


def choices(*texts: str, labels: Sequence[str] = "ABCDE") -> dict:
    return {"text": list(texts), "label": list(labels[: len(texts)])}


ARC = [
    {"id": "a", "question": "Which is a bird?", "choices": choices("owl", "cat", "fir", "ant"), "answerKey": "A"},
    {"id": "b", "question": "Five?", "choices": choices("1", "2", "3", "4", "5"), "answerKey": "E"},
    {
        "id": "c",
        "question": "Which flies?",
        "choices": choices("elm", "bat", "cod", "ox", labels="1234"),
        "answerKey": "2",
    },
    {"id": "d", "question": "Three?", "choices": choices("3", "4", "5"), "answerKey": "A"},
]
OPENBOOKQA = [
    {"id": "a", "question_stem": "The sun is", "choices": choices("hot", "cold", "wet", "square"), "answerKey": "A"},
    {"id": "b", "question_stem": "What melts?", "choices": choices("sand", "ice", "air", "oak"), "answerKey": "B"},
]
FACTS = ["the sun is a star", "ice melts at 0 degrees"]
COMMONSENSE_QA = [
    {
        "id": str(number),
        "question": f"Where is thing {number}?",
        "choices": choices(*places),
        "answerKey": "ABCDE"[number % 5],
    }
    for number, places in enumerate([["in a box", "at home", "on Mars", "here", "there"]] * 11)
]
"""The first 9 are the training split's, of which 8 are shown."""
MMLU = {
    "college_biology": [
        ('Which, "if any",\nlives?', ["owl", "cat, fat", "stone", "sand"], 0),
        ("Which swims?", ["cod", "elm", "owl", "ox"], 0),
        ("Which eats?", ["air", "ox", "salt", "tin"], 1),
    ],
    "high_school_us_history": [("Who was first?", ["Lincoln", "Ford", "Washington", "Polk"], 2)],
}
NQ = [
    {"question": "who wrote the iliad", "answer": ["Homer"]},
    {"question": "when did it rain", "answer": ["14 December 1972 UTC", "December 1972"]},
    {"question": "what is the", "answer": ["The", "a.b"]},
]
TRIVIAQA = [
    ("Which 'bird' is it?", ["Owl", "the Barn Owl", 'an "owl"']),
    ("NA", ["N. A.", "not applicable"]),
    ("Who, then?", ["Bo's sister"]),
]


def qa(question: str, answers: Sequence[str] = (), plausible: Sequence[str] | None = None) -> dict:
    """A question of SQuAD 2.0 as the published file has it."""
    given = [{"text": text, "answer_start": 0} for text in answers]
    extra = (
        {} if plausible is None else {"plausible_answers": [{"text": text, "answer_start": 0} for text in plausible]}
    )
    return {"question": question, "id": question, "answers": given, "is_impossible": plausible is not None} | extra


SQUAD = [
    {
        "title": "Owls",
        "paragraphs": [
            {
                "context": "The barn owl, a bird, eats mice.\nIt is white.",
                "qas": [
                    qa("What does it eat?", ["mice", "mice", "the mice"]),
                    qa("Who feeds it?", plausible=["the barn owl", "a bird"]),
                    qa("Which year is it?", plausible=[]),
                ],
            }
        ],
    },
    {
        "title": "Ice",
        "paragraphs": [{"context": "Ice melts at 0.5 degrees.", "qas": [qa("When?", ["at 0.5 degrees"])]}],
    },
]

ANSWERS = [
    "",
    "\n",
    " Homer",
    "The answer is Homer, who was blind. The answer is not known.",
    "the answer is: December 1972!\nQ: and then? A: never",
    "I think it is the Barn Owl, or an owl.",
    "a: owl answer: not applicable",
    "mice",
    "The mice.",
    "The answer is mice",
    "It eats mice",
    "impossible to answer",
    "Impossible to answer.",
    "the answer is impossible to answer\nanswer is mice",
    "barn owl",
    "at 0.5 degrees",
    "at 0",
    "Bo's sister",
    "an answer is an answer is n a",
]
"""To questions of every set: none, an empty line, in a sentence, several, with marks around them."""

FENCED = (
    'Here it is:\n```python\nfrom math import pi\n\n\ndef area(r):\n    """An area."""\n    return pi * r\n```\nDone.'
)
PROGRAMS = [
    "",
    "\n\n",
    "    return x + 1\n",
    "return x + 1",
    "  return x + 1\n  # end\nprint(1)\n",
    "    if x:\n        return 1\n\n    return 2\n\n\ndef other():\n    pass\n",
    "def f(x):\n    return x\n\nprint(f(1))",
    "import os\n\ndef f(x):\n    return os.getcwd()\n",
    "import os\nreturn os",
    FENCED,
    "```\n    return 1\n```",
    "```python\nreturn 1",
    "```return 1```",
    "Text before\n```py\n    x = 1\n    return x\n```\nand ```more```",
    "'    return 1\\n'",
    '"""    return 1"""',
    "1 + 1",
    "    '''text'''\n    return 1\n  'less'\n # less\nx",
    "\t return 1\n\treturn 2",
    " 'def f(x):\r\n    return x' \n[DONE] \n\n ",
    "[BEGIN]\n 'def f(x):\r\n    return x' \n[DONE] \n\n You are an expert\n[BEGIN]\n 'def g(): pass' \n[DONE]",
    "[BEGIN]\ndef f(x):\n    return x\n[DONE]\nmore",
    "BEGIN 'def f(x): return x' DONE",
    "[BEGIN] 'def f(x): return x",
    "[BEGIN]\ndef f(x): return x",
    "def f\\_g(x):\n    return x\n```\nmore",
    "def f(x):\n    return x'\n[DONE]",
]
"""Code with and without a fence, a head, imports, indentation, and MBPP's marks."""

HUMANEVAL = [
    {
        "task_id": "HumanEval/0",
        "prompt": 'def f(x: int) -> int:\n    """ Add {one}. """\n',
        "entry_point": "f",
        "canonical_solution": "    return x + 1\n",
        "test": "def check(candidate):\n    assert candidate(1) == 2\n",
    }
]
MBPP = [
    {
        "task_id": number,
        "text": f"Write a function that adds {number}.",
        "code": f"def f(x):\r\n  return x + {number}",
        "test_list": [f"assert f(1) == {number + 1}", f"assert f(0) == {number}", "assert callable(f)"],
        "test_setup_code": "import nowhere_at_all" if number == 12 else "",
        "challenge_test_list": [],
    }
    for number in range(1, 13)
]
MBPP_ASKED = [row for row in MBPP if row["task_id"] > 10]
MBPP_ANSWERS = [
    [
        f"{begin}def f(x):\r\n  return x + {row['task_id']}{end}"
        for begin, end in (("", "\n[DONE]"), ("[BEGIN]\n '", "'\n[DONE]"), (" '", "' \n[DONE]"))
    ]
    + ["def f(x): return 0", "", "def f(x)", "f = None\n[DONE]"]
    for row in MBPP_ASKED
]


def write_home(folder: Path) -> Path:
    """Write the data as they are fetched into a folder from which sets are measured; return it."""
    write_hub(folder / "hub")
    write_fetched(folder / "results/fetched")
    return folder


def write_hub(cache: Path) -> None:
    """Write the hub's data sets into a hub cache."""
    write_set(cache, "aps/super_glue", {"boolq": {"validation": BOOLQ}})
    write_set(cache, "baber/piqa", {"default": {"validation": PIQA}})
    write_set(cache, "lighteval/siqa", {"default": {"validation": SIQA}})
    write_set(cache, "Rowan/hellaswag", {"default": {"validation": HELLASWAG}})
    write_set(cache, "allenai/winogrande", {"winogrande_xl": {"validation": WINOGRANDE}})
    write_set(cache, "allenai/ai2_arc", {name: {"validation": ARC} for name in ("ARC-Easy", "ARC-Challenge")})
    with_facts = [row | {"fact1": fact} for row, fact in zip(OPENBOOKQA, FACTS, strict=True)]
    write_set(cache, "allenai/openbookqa", {"additional": {"test": with_facts}})
    commonsense = {"train": COMMONSENSE_QA[:9], "validation": COMMONSENSE_QA[9:]}
    write_set(cache, "tau/commonsense_qa", {"default": commonsense})
    mmlu = {split: [row for rows in mmlu_rows(split).values() for row in rows] for split in ("test", "dev")}
    write_set(cache, "cais/mmlu", {"all": mmlu})
    write_set(cache, "google-research-datasets/nq_open", {"nq_open": {"validation": NQ}})
    snapshot = new_snapshot(cache, "Idavidrein/gpqa")
    with open(snapshot / "gpqa_diamond.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["Subdomain", *GPQA[0]], restval="Demo")
        writer.writeheader()
        writer.writerows(GPQA)
    write_card(snapshot, [{"config_name": "gpqa_diamond", "data_files": "gpqa_diamond.csv"}])


def mmlu_rows(split: str) -> dict[str, list[dict]]:
    """MMLU's rows by subject; its dev split has one more than are shown."""
    shown = [(f"Example {number}, is it?", ["w", "x", "y", "z"], number % 4) for number in range(6)]
    return {
        subject: [
            {"question": question, "subject": subject, "choices": texts, "answer": answer}
            for question, texts, answer in (rows if split == "test" else shown)
        ]
        for subject, rows in MMLU.items()
    }


def write_fetched(folder: Path) -> None:
    """Write the published files as they are fetched."""
    (folder / "triviaqa").mkdir(parents=True)
    (folder / "squad").mkdir()
    write_questions(folder / "triviaqa/trivia-dev.qa.csv", TRIVIAQA)
    (folder / "squad/dev-v2.0.json").write_text(json.dumps({"version": "v2.0", "data": SQUAD}))


def write_for_opencompass(folder: Path) -> None:
    """Write all sets in the form that its loaders read."""
    folder.mkdir()
    booleans = [row | {"label": str(bool(row["label"])).lower()} for row in BOOLQ]
    write_rows(folder / "boolq/val.jsonl", booleans)
    for name, rows in (("piqa", PIQA), ("siqa", SIQA)):
        for split in ("train", "dev"):
            write_rows(folder / name / f"{split}.jsonl", rows)
            (folder / name / f"{split}-labels.lst").write_text("".join(f"{row['label']}\n" for row in rows))
    (folder / "gpqa").mkdir()
    with open(folder / "gpqa/gpqa_diamond.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows(
            [["", "", "", "", "", "", "", *row] for row in (list(GPQA[0]), *(row.values() for row in GPQA))]
        )
    processed = hellaswag_of_lm_eval(SimpleNamespace(map=lambda function: [row | function(row) for row in HELLASWAG]))
    write_rows(
        folder / "hellaswag.jsonl", [{key: row[key] for key in ("query", "choices", "gold")} for row in processed]
    )
    write_rows(folder / "winogrande/dev.jsonl", WINOGRANDE)
    for name in ("Easy", "Challenge"):
        write_rows(folder / f"ARC-{name}-Dev.jsonl", [nested(row, row["question"]) for row in ARC])
    with_facts = zip(OPENBOOKQA, FACTS, strict=True)
    write_rows(
        folder / "test_complete.jsonl",
        [nested(row, row["question_stem"]) | {"fact1": fact} for row, fact in with_facts],
    )
    for stub, rows in (("train", COMMONSENSE_QA[:9]), ("dev", COMMONSENSE_QA[9:])):
        write_rows(folder / f"commonsenseqa/{stub}_rand_split.jsonl", [nested(row, row["question"]) for row in rows])
    for split in ("dev", "test"):
        (folder / "mmlu" / split).mkdir(parents=True)
        for subject, rows in mmlu_rows(split).items():
            with open(folder / f"mmlu/{split}/{subject}_{split}.csv", "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([row["question"], *row["choices"], "ABCD"[row["answer"]]] for row in rows)
    for split in ("dev", "test"):
        write_questions(folder / f"nq/nq-{split}.qa.csv", [(row["question"], row["answer"]) for row in NQ])
        write_questions(folder / f"triviaqa/trivia-{split}.qa.csv", TRIVIAQA)
    (folder / "dev-v2.0.json").write_text(json.dumps({"version": "v2.0", "data": SQUAD}))
    write_jsonl(folder / "humaneval.jsonl", HUMANEVAL)
    write_jsonl(folder / "humaneval_plus.jsonl", HUMANEVAL)
    write_jsonl(folder / "mbpp.jsonl", MBPP)


def nested(row: dict, stem: str) -> dict:
    """A question with lettered choices, in the form of the Allen Institute's own files."""
    listed = [dict(zip(("text", "label"), pair, strict=True)) for pair in zip(*row["choices"].values(), strict=True)]
    return {"id": row["id"], "question": {"stem": stem, "choices": listed}, "answerKey": row["answerKey"]}


def write_rows(path: Path, rows: Iterable[dict]) -> None:
    path.parent.mkdir(exist_ok=True)
    write_jsonl(path, rows)


def write_questions(path: Path, rows: Iterable[tuple[str, list[str]]]) -> None:
    """Questions and Python lists of answers, with a tabulator between, as DPR publishes them."""
    path.parent.mkdir(exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t").writerows((question, repr(answers)) for question, answers in rows)


def new_snapshot(cache: Path, repository: str) -> Path:
    """A folder for the files of a repository; the library `datasets` tells them apart by their commits."""
    folder = cache / folder_name(repository, "dataset")
    commit = hashlib.sha1(repository.encode()).hexdigest()
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text(commit)
    return snapshot


def write_set(cache: Path, repository: str, configurations: dict[str, dict[str, list[dict]]]) -> None:
    """Write one of the hub's data sets: a file for each configuration and split, and the card that lists them."""
    snapshot = new_snapshot(cache, repository)
    card = []
    for name, splits in configurations.items():
        for split, rows in splits.items():
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), snapshot / f"{name}.{split}.parquet")
        files = [{"split": split, "path": f"{name}.{split}.parquet"} for split in splits]
        card.append({"config_name": name, "data_files": files})
    write_card(snapshot, card)


def write_card(folder: Path, configurations: list[dict]) -> None:
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(configurations)}\n---\n", encoding="utf-8")

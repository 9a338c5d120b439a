"""Memory and time of the programs that read whole files, as the files grow: each runs as a job of the workflow runs it.

A program is a process of its own, and its peak is the most memory that the process had resident, libraries included.
All files are made here of random words whose frequencies fall as in natural text (Zipf): instructions of about 40
words, responses of 20 to 100 words. The journal is that of write_responses.py, with an engine that has its texts ready
and finishes them in random order. It is written; then, with its output removed as Snakemake removes one that it has not
recorded, it is opened again, and every text is found and published.

The named peer of reading and writing rows is pandas: filter_responses.py's two files by `read_json(lines=True)`,
joined, and written by `to_json`, without any rule. The peer of the journal is SQLite: the same lines put into a table,
and read in the order of the requests.

Tables grow with result records, which are few; collect_scores.py and make_table.py have row counts of their own.
So has select_instructions.py: near-duplicate search compares a text with all that was kept, so its time does not grow
linearly, and what more instructions would take is extrapolated from how its time grew between the two counts.

1,000,000 rows take some 8 GB of disk.

    python tests/bench/bench_endurance.py --rows 100000 1000000
"""

import argparse
import filecmp
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024
"""KiB, in which Linux tells a peak."""
BENCHMARKS = [f"benchmark{number}" for number in range(10)]
TEST_ITEMS = READY_TEXTS = DISTINCT_INSTRUCTIONS = 10_000
SAMPLING = '{"max_tokens": 512}'
SELECTION = '{"method": "scores", "criteria": ["quality", "following"], "threshold": 5}'


class Run(NamedTuple):
    """What one process took: seconds, and its peak in MiB."""

    seconds: float
    peak: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs=2, default=(100_000, 1_000_000), help="two sizes of all files")
    parser.add_argument("--instructions", type=int, nargs=2, default=(50_000, 100_000), help="that are kept")
    parser.add_argument("--records", type=int, nargs=2, default=(500, 5000), help="result records of 10 scores each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", choices=sorted(PARTS), help="run only this part, in this process, in --folder")
    parser.add_argument("--folder", type=Path, help="keep all files here, rather than in a temporary folder")
    arguments = parser.parse_args()
    if arguments.part:
        PARTS[arguments.part](arguments.folder, arguments.rows[0], arguments.seed)
    elif arguments.folder:
        report(arguments, arguments.folder)
    else:
        with tempfile.TemporaryDirectory() as folder:
            report(arguments, Path(folder))


def report(arguments: argparse.Namespace, folder: Path) -> None:
    """Print the table: a line a program."""
    sizes = "".join(f"{'rows':>{width}}{'seconds':>9}{'MiB':>7}" for width in (10, 11))
    print(f"{'':<34}{sizes}{'MiB/100k':>10}{'time ratio':>12}")
    measured = [measure(folder / str(rows), rows, arguments.seed) for rows in arguments.rows]
    for name in measured[0]:
        print_line(name, arguments.rows, [runs[name] for runs in measured])
    tabled = [tabulate(folder / f"records{count}", count, arguments.seed) for count in arguments.records]
    for name in tabled[0]:
        print_line(f"{name}, result records", arguments.records, [runs[name] for runs in tabled])
    selected = [select(folder / f"select{rows}", rows, arguments.seed) for rows in arguments.instructions]
    print_line("select_instructions.py", arguments.instructions, selected)
    small, large = arguments.instructions
    exponent = math.log(selected[1].seconds / selected[0].seconds) / math.log(large / small)
    million = selected[1].seconds * (1_000_000 / large) ** exponent
    print(
        f"select_instructions.py: seconds grew as rows to the power of {exponent:.2f}; 1,000,000 instructions, "
        f"extrapolated by that power and not run: {million / 3600:.1f} h"
    )


def print_line(name: str, rows: tuple[int, int], runs: list[Run]) -> None:
    """One program at both sizes; the memory per 100,000 rows is the growth between them."""
    growth = (runs[1].peak - runs[0].peak) / (rows[1] - rows[0]) * 100_000
    sizes = "".join(
        f"{count:>{width},}{run.seconds:>9.1f}{run.peak:>7.0f}"
        for width, count, run in zip((10, 11), rows, runs, strict=True)
    )
    print(f"{name:<34}{sizes}{growth:>10.1f}{runs[1].seconds / runs[0].seconds:>12.1f}", flush=True)


def measure(folder: Path, rows: int, seed: int) -> dict[str, Run]:
    """Make the files of one size, run every program on them in the order of a workflow, and remove them."""
    folder.mkdir(parents=True)
    part("files", folder, rows, seed)
    runs = {"journal: written": part("journal", folder, rows, seed)}
    (folder / "responses.jsonl").rename(folder / "first.jsonl")
    runs["journal: found again"] = part("journal", folder, rows, seed)
    if not filecmp.cmp(folder / "first.jsonl", folder / "responses.jsonl", shallow=False):
        raise SystemExit("the texts that were found again are not those that were written")
    runs["SQLite: written and found"] = part("sqlite", folder, rows, seed)
    runs["filter_responses.py"] = run(
        "filter_responses.py",
        folder,
        "--instructions instructions.jsonl --responses responses.jsonl --rules {} --pairs pairs.jsonl",
    )
    runs["pandas: read, joined, written"] = part("pandas", folder, rows, seed)
    runs["select_pairs.py"] = run(
        "select_pairs.py",
        folder,
        "--pairs pairs.jsonl --scores quality.jsonl following.jsonl --count",
        str(rows),
        "--selection",
        SELECTION,
        "--training-set training_set.jsonl --validation-set validation_set.jsonl --ledger ledger.jsonl"
        ' --record selection.json --rows {"validation_share":0}',
    )
    runs["profile_data.py"] = run(
        "profile_data.py",
        folder,
        "--instructions instructions.jsonl --rejected rejected.jsonl --pairs pairs.jsonl"
        " --ledger ledger.jsonl --training-set training_set.jsonl --profile data.json",
    )
    runs["check_contamination.py"] = run(
        "check_contamination.py",
        folder,
        "--training-set training_set.jsonl --selection selection.json --test-items a=test_items.jsonl"
        " --report contamination.json",
    )
    compared = {"model": "m", "checkpoint": "iter2", "previous": "iter1", "items": ["iter2/items.jsonl"]}
    runs["compare_iterations.py"] = run(
        "compare_iterations.py",
        folder,
        "--benchmark b --output significance.csv --comparisons",
        json.dumps(compared | {"previous_items": ["iter1/items.jsonl"]}),
    )
    shutil.rmtree(folder)
    return runs


def tabulate(folder: Path, records: int, seed: int) -> dict[str, Run]:
    """Collect the scores of result records, and make a table of them: 10 benchmarks, each on so many seeds."""
    folder.mkdir(parents=True)
    part("records", folder, records, seed)
    seeds = list(range(records // len(BENCHMARKS)))
    grid = {"results": "results", "seeds": seeds, "measured": {"m": {"base": BENCHMARKS}}}
    configured = {"results": "results", "benchmarks": {name: {} for name in BENCHMARKS}, "system_prompts": {"m": None}}
    columns = [{"benchmark": name, "metric": "metric0", "label": name} for name in BENCHMARKS]
    row = {"model": "m", "recipe": "", "iteration": 0, "checkpoint": "base"}
    grid, configured, rows = map(json.dumps, (grid, configured, [row]))
    table = json.dumps({"caption": "Many records.", "columns": columns})
    runs = {
        "collect_scores.py": run(
            "collect_scores.py", folder, "--scores scores.csv --grid", grid, "--configured", configured
        )
    }
    files = "--scores scores.csv --csv table.csv --markdown table.md --latex table.tex"
    runs["make_table.py"] = run("make_table.py", folder, files, "--table", table, "--rows", rows)
    shutil.rmtree(folder)
    return runs


def select(folder: Path, rows: int, seed: int) -> Run:
    """Let select_instructions.py keep so many instructions of half as many candidates again."""
    folder.mkdir(parents=True)
    part("continuations", folder, rows * 3 // 2, seed)
    return run(
        "select_instructions.py",
        folder,
        "--continuations continuations.jsonl --demonstrations 1 --name base:0",
        "--count",
        str(rows),
        "--filters {} --instructions kept.jsonl --rejected rejected.jsonl --left left.jsonl --seed-tasks",
        str(ROOT / "config/demo/seed_tasks.jsonl"),
    )


def part(name: str, folder: Path, rows: int, seed: int) -> Run:
    """Run a part of this file as a process."""
    flags = [f"--part={name}", "--folder", folder.resolve(), "--seed", seed, "--rows", rows, rows]
    return process([__file__, *flags], folder)


def run(program: str, folder: Path, *flags: str) -> Run:
    """Run a program of the workflow in `folder`; each flag is split at white space, unless it is JSON or a path."""
    split = [word for flag in flags for word in ([flag] if flag[0] in "[{/" and len(flag) > 2 else flag.split())]
    return process([ROOT / "scripts" / program, *split], folder)


def process(command: list, folder: Path) -> Run:
    """Run Python, and end with its messages where it fails.

    The peak that Linux tells is at least what this process had when it started the other, so this one reads no file.
    """
    with tempfile.TemporaryFile("w+") as said:
        started = time.perf_counter()
        child = subprocess.Popen([sys.executable, *map(str, command)], cwd=folder, stdout=said, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))}\n{said.read()}")
    found = Run(seconds, usage.ru_maxrss / MIB)
    print(
        f"{Path(command[0]).name} {command[1]} in {folder.name}: {found.seconds:.1f} s, {found.peak:.0f} MiB",
        file=sys.stderr,
    )
    return found


def make_files(folder: Path, rows: int, seed: int) -> None:
    """Write the files of one size that no program of the workflow writes here."""
    from isheep.files.records import write_jsonl
    from made_up_results import write_made_up_result

    texts, draw = Texts(seed), random.Random(seed)
    ids = [f"base:0:{number}" for number in range(rows)]
    write_jsonl(
        folder / "instructions.jsonl",
        (
            {"id": id, "instruction": texts.instruction(), "input": texts.words(5) if draw.random() < 0.3 else ""}
            for id in ids
        ),
    )
    write_jsonl(folder / "rejected.jsonl", ({"text": texts.words(40), "reason": "format"} for _ in range(rows // 10)))
    for criterion in ("quality", "following"):
        scores = ((id, draw.choice([None, *range(3, 11)])) for id in ids)
        write_jsonl(
            folder / f"{criterion}.jsonl",
            ({"id": id, "criterion": criterion, "score": score, "text": texts.words(20)} for id, score in scores),
        )
    items = [texts.known(number) if number % 2 else texts.words(draw.randint(3, 60)) for number in range(TEST_ITEMS)]
    write_jsonl(folder / "test_items.jsonl", ({"id": str(number), "text": text} for number, text in enumerate(items)))
    write_jsonl(folder / "ready.jsonl", ({"text": texts.words(draw.randint(20, 100))} for _ in range(READY_TEXTS)))
    for checkpoint in ("iter1", "iter2"):
        items = [(n, draw.randint(0, 1)) for n in range(rows)]
        write_jsonl(folder / checkpoint / "items.jsonl", (item_row(n, value, texts) for n, value in items))
        mean = sum(value for _, value in items) / rows
        write_made_up_result(folder / checkpoint / "items.jsonl", [{"metric": "acc", "value": mean}])


def item_row(number: int, value: int, texts: "Texts") -> dict:
    """An item as measure.py writes it."""
    asked, answered = texts.words(40), texts.words(10)
    row = {"id": number, "doc_sha256": f"{number:064x}", "prompt": asked, "response": [answered], "target": ""}
    return row | {"filter": "none", "metrics": {"acc": value}}


def make_records(folder: Path, records: int, seed: int) -> None:
    """Write the result records of a base model."""
    from isheep.files.records import write_json, write_jsonl
    from made_up_results import write_made_up_result

    os.chdir(folder)  # records name their files as programs see them
    draw, sha256 = random.Random(seed), "0" * 64
    write_json("results/m/weights/identity.json", {"sha256": sha256})
    made = {
        "settings": {"benchmark": {}, "engine": {}, "system_prompt": None},
        "answered_by": {"engine": {"checkpoint": sha256}},
    }
    for number in range(records // len(BENCHMARKS)):
        for name in BENCHMARKS:
            items = Path(f"results/m/seed{number}/base/benchmarks/{name}/items.jsonl")
            write_jsonl(items, [{}])
            scores = [{"metric": f"metric{metric}", "value": draw.random()} for metric in range(10)]
            write_made_up_result(items, scores, benchmark=name, **made)


def make_continuations(folder: Path, rows: int, seed: int) -> None:
    """Write the continuations of which select_instructions.py reads `rows` candidates, some nearly alike."""
    from bench_near_duplicates import instructions

    from isheep.files.records import write_jsonl

    items = [f" {text}\n{{0}}. Input:\n<noinput>\n###\n" for text in instructions(rows, seed)]
    tens = (items[start : start + 10] for start in range(0, rows, 10))
    write_jsonl(folder / "continuations.jsonl", ({"text": listed(ten)} for ten in tens))


def listed(items: list[str]) -> str:
    """Number items as a checkpoint does that continues a list of one."""
    numbered = [item.format(number) for number, item in enumerate(items, start=2)]
    return numbered[0] + "".join(f"{number}. Instruction:{item}" for number, item in enumerate(numbered[1:], start=3))


class Texts:
    """Random texts."""

    def __init__(self, seed: int):
        from bench_near_duplicates import instructions, vocabulary

        self._draw = random.Random(seed)
        self._words, self._weights = vocabulary(self._draw)["n"]
        self._instructions = instructions(DISTINCT_INSTRUCTIONS, seed)

    def words(self, count: int) -> str:
        """So many words."""
        return " ".join(self._draw.choices(self._words, cum_weights=self._weights, k=count))

    def known(self, number: int) -> str:
        """The distinct instruction of this number, which is also a test item."""
        return self._instructions[number]

    def instruction(self) -> str:
        """One of the distinct instructions, with an end of its own."""
        return f"{self._draw.choice(self._instructions)} {self.words(4)}"


class ReadyTexts:
    """An engine that has its texts ready."""

    def __init__(self, folder: Path):
        from isheep.files.records import read_jsonl

        self.identity = {"engine": "ready texts"}
        self._texts = [row["text"] for row in read_jsonl(folder / "ready.jsonl")]

    def complete(self, requests: Iterable) -> Iterator:
        """Finish the requests in random order."""
        from isheep.engine.engine import Completion

        for request in sorted(requests, key=lambda request: request.seed):
            text = f"{self._texts[request.seed % len(self._texts)]} {request.id}"
            yield Completion(request.id, text, "stop", 60, text.count(" ") + 2)


def complete(folder: Path, rows: int, seed: int) -> None:
    """Run write_responses.py with texts that are ready."""
    import write_responses

    engine = ReadyTexts(folder)
    write_responses.open_requested_engine = lambda arguments, checkpoint: engine
    flags = ["--engine", "{}", "--seed", str(seed), "--sampling", SAMPLING, "--raw", "--separator", " ", "--checkpoint"]
    files = [".", "--instructions", f"{folder}/instructions.jsonl", "--responses", f"{folder}/responses.jsonl"]
    write_responses.main(write_responses.parser.parse_args([*flags, *files]))


def complete_with_sqlite(folder: Path, rows: int, seed: int) -> None:
    """Put the journal's lines into a table, and read them in the order of the responses."""
    import sqlite3

    with sqlite3.connect(folder / "journal.sqlite") as table:
        table.execute("create table journal (key text primary key, line text)")
        with open(folder / ".responses.jsonl.finished/completions.jsonl", encoding="utf-8") as lines:
            keyed = ((json.loads(line), line) for line in lines)
            table.executemany(
                "insert into journal values (?, ?)", ((row["text"].rpartition(" ")[2], line) for row, line in keyed)
            )
        table.commit()
        with open(folder / "from_sqlite.jsonl", "w", encoding="utf-8") as output:
            for number in range(rows):
                found = table.execute("select line from journal where key = ?", (f"base:0:{number}",))
                output.write(next(found)[0])


def join_with_pandas(folder: Path, rows: int, seed: int) -> None:
    """Read both files, join them and write the rows."""
    import pandas

    instructions, responses = (
        pandas.read_json(folder / name, lines=True) for name in ("instructions.jsonl", "responses.jsonl")
    )
    joined = instructions.merge(responses[["id", "response"]], on="id", validate="one_to_one")
    joined.to_json(folder / "joined.jsonl", orient="records", lines=True, force_ascii=False)


PARTS: dict[str, Callable[[Path, int, int], None]] = {
    "files": make_files,
    "records": make_records,
    "continuations": make_continuations,
    "journal": complete,
    "sqlite": complete_with_sqlite,
    "pandas": join_with_pandas,
}
"""What runs as a process of its own and is no program of the workflow: a function of folder, rows and seed."""

if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests"), str(ROOT / "tests/bench")]
    main()

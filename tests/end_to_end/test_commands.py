"""However odd the values of a configuration are, every rule's program reads them as they were written."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from argparse import Namespace
from functools import cache
from pathlib import Path

import pytest
import yaml

from isheep.files.ownership import Output
from isheep.files.records import read_jsonl
from workspace import ROOT, Workspace

pytestmark = pytest.mark.end_to_end

PLAIN = ("a text", "a name", "a file")
VALUES = {
    "empty": "",
    "space": " ",
    "flag": "--take",
    "everything": "-x  'a' \"b\" $HOME $(id) `id` \\ {c} %s * # & | ; <\n\tü\u2028→ --raw ",
}
"""What a text of the configuration may be."""
FILE = '-it\'s "q" $HOME `id` ü # &'
"""What a file may be called, and a folder."""
RULE = re.compile(r"^(?:use )?rule (?:\w+ as )?(\w+)", flags=re.MULTILINE)
WITHOUT_PROGRAM = {"all", "tables", "figures", "report", "prefetch"}


def configuration(value: str, named: str, file: str) -> dict:
    """A configuration that reaches every rule, with `value` wherever any text may stand, and `named` where it must not
    be empty; `file` begins the names of its files."""
    fetched = "results/fetched/problem.jsonl"
    api = {"api": {"model": named, "key_variable": "KEY"}, "chat": True}
    sampling = {"temperature": 1.0, "max_tokens": 9, "stop": [named]}
    texts = {"note": value, "raw_suffix": value}
    return {
        "experiment": {
            "name": "odd",
            "models": ["shipped", "built", "hub"],
            "recipes": ["one_base", "adapter", "dense"],
            "iterations": 2,
            "baselines": ["published"],
            "benchmarks": ["choice", "alpaca", "bench", "code"],
        },
        "fetch": {"sources": f"{file}.sources.yaml", "mirror": f"{file} mirror", "lock": f"{file}.lock.yaml"},
        "models": {
            "shipped": {"source": "shipped", "system_prompt": value, "chat_template": f"{file}.jinja"},
            "built": {"source": "build", "system_prompt": value},
            "hub": {"source": "hub", "repository": "owner/name", "revision": "a" * 40},
            "judge": {"source": "folder", "path": f"{file} folder", "chat_template": f"{file}.jinja"},
        },
        "engine": {"kind": "transformers", "dtype": "float32", "adapters": "merged"},
        "instructions": {
            "seed_tasks": f"{file}.seeds.jsonl",
            "meta_prompt": f"{file}.meta.txt",
            "shard_size": 10,
            "sampling": sampling,
        },
        "responses": {"separator": value, "sampling": sampling},
        "assessment": {
            "prompts": {"combined": {"quality": f"{file}.quality.yaml", "following": f"{file}.following.yaml"}},
            "sampling": sampling,
        },
        "recipes": {
            "one_base": {"instructions": 20, "training": {"method": "full", "separator": value}},
            "adapter": {"extends": "one_base", "training": {"method": "lora"}},
            "dense": {"extends": "one_base", "selection": {"method": "density_perplexity", "clusters": 2}},
        },
        "judges": {"api": api, "own": {"model": "judge", "chat": False}},
        "benchmarks": {
            "choice": {
                "kind": "lm_eval",
                "task": "demo_choice",
                "files": [f"{file}.task.yaml", f"{file}.task.jsonl", "config/demo/tasks/demo_choice.jsonl"],
                "exclude": {named: [value]},
                **texts,
            },
            "alpaca": {
                "kind": "alpaca_eval",
                "reference": f"{file}.reference.json",
                "annotator": f"{file} annotator",
                "length_control": f"{file}.csv",
                "judge": "own",
                "sampling": sampling,
                "raw_suffix": value,
            },
            "bench": {
                "kind": "mt_bench",
                "questions": f"{file}.questions.jsonl",
                "references": f"{file}.references.jsonl",
                "judge_prompts": f"{file}.judge_prompts.jsonl",
                "judge": "api",
                "temperatures": {named: 1.0},
                "reference_categories": [named, f"{named}."],
                "judge_sampling": sampling,
                "raw_suffix": value,
            },
            "again": {
                "kind": "mt_bench",
                "answers_of": "bench",
                "questions": f"{file}.questions.jsonl",
                "references": f"{file}.references.jsonl",
                "judge_prompts": f"{file}.judge_prompts.jsonl",
                "judge": "own",
                "reference_categories": [named],
            },
            "code": {
                "kind": "programs",
                "format": "mbpp",
                "problems": fetched,
                "ids": [1, 2],
                "shots": [3, 4],
                "image": f"{file}.sif",
                "note": value,
            },
        },
        "baselines": {
            "published": {
                "benchmarks": {
                    "choice": {"answers": f"{file}.answers.jsonl", "model": named},
                    "alpaca": {
                        "answers": f"{file}.answers.jsonl",
                        "judgments": f"{file}.judged.json",
                        "model": named,
                        "missing": 2,
                    },
                    "bench": {"answers": f"{file}.answers.jsonl", "judgments": f"{file}.judged.json", "model": named},
                    "code": {"answers": f"{file}.answers.jsonl"},
                }
            }
        },
        "tables": {
            "odd": {
                "caption": value,
                "published": f"{file}.printed.csv",
                "columns": [{"benchmark": "choice", "metric": "acc", "label": f"{named}.", "published": "PS"}],
                "rows": [
                    {"model": "shipped", "label": "base", "published": "base"},
                    {"model": "shipped", "recipe": "one_base", "iterations": [1], "label": "1", "published": "iter1"},
                ],
                "notes": [value],
            }
        },
        "agreements": {
            "judges": {
                **{"caption": value, "benchmarks": ["bench", "again"], "notes": [value]},
                "rows": [{"model": "shipped", "label": named, "group": value}],
            }
        },
        "yields": {"published": f"{file}.yields.csv", "notes": [value]},
        "cases": {
            "pairs": {"caption": value, "model": "shipped", "recipe": "one_base", "iterations": [1], "notes": [value]}
        },
        "claims": {
            "odd": {
                **{"text": value, "printed": "10", "kind": "absolute", "table": "odd", "columns": [f"{named}."]},
                **{"earlier": "base", "later": "iter1"},
            }
        },
        "figures": {
            "sweep": {
                **{"kind": "sweep", "caption": value, "x_label": value, "model": "shipped", "iterations": [1]},
                "points": [{"x": "1", "recipe": "one_base"}],
                "panels": [{"benchmark": "choice", "metric": "acc", "label": value}],
            },
            "curve": {
                **{"kind": "curve", "caption": value, "models": ["shipped"]},
                "panels": [{"benchmark": "choice", "metric": "acc", "label": value}],
            },
            "share": {"kind": "share", "caption": value, "model": "shipped", "recipe": "one_base"},
            "plane": {
                **{"kind": "projection", "caption": value, "model": "shipped", "recipe": "one_base"},
                **{"iterations": [1], "reference": f"{file}.seeds.jsonl"},
            },
        },
    }


FILES = {
    ".seeds.jsonl": "config/demo/seed_tasks.jsonl",
    ".meta.txt": "config/demo/prompts/meta_prompt.txt",
    ".quality.yaml": "config/demo/prompts/assessment/combined_quality.yaml",
    ".following.yaml": "config/demo/prompts/assessment/combined_following.yaml",
    ".jinja": "config/chat_templates/chatml.jinja",
    ".task.yaml": "config/demo/tasks/demo_choice.yaml",
    ".task.jsonl": "config/demo/tasks/demo_choice.jsonl",
    ".reference.json": "config/demo/alpaca_eval/reference_outputs.json",
    ".questions.jsonl": "config/demo/mt_bench/questions.jsonl",
    ".references.jsonl": "config/demo/mt_bench/reference_answers.jsonl",
    ".judge_prompts.jsonl": "config/demo/mt_bench/judge_prompts.jsonl",
    ".yields.csv": "config/published/yields.csv",
    " annotator": "config/annotators/demo",
    " folder": "config/demo/judge",
}
"""What the configuration's files are copies of."""
EMPTY_FILES = (".csv", ".sif", ".answers.jsonl", ".judged.json")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("odd"), "odd.yaml")
    for name in (PLAIN[-1], FILE):
        for suffix, source in FILES.items():
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, workspace.folder / f"{name}{suffix}")
        for suffix in EMPTY_FILES:
            (workspace.folder / f"{name}{suffix}").touch()
        (workspace.folder / f"{name}.printed.csv").write_text("row,PS\nbase,50\niter1,60\n")
        entry = {"url": None, "mirror": "problem.jsonl", "sha256": "a" * 64, "bytes": 9, "licence": "MIT"}
        sources = yaml.safe_dump({"files": {"problem.jsonl": entry}, "hub": {}})
        (workspace.folder / f"{name}.sources.yaml").write_text(sources)
    (workspace.folder / "remarks.csv").write_text("table,row,column,comparable,remark\n")
    return workspace


def commands(workspace: Workspace, *texts: str) -> dict[tuple, str]:
    """The command of every job, by its rule and outputs."""
    content = yaml.safe_dump(configuration(*texts), allow_unicode=True)
    (workspace.folder / "odd.yaml").write_text(content, encoding="utf-8")
    found = workspace.folder / "commands.jsonl"
    found.unlink(missing_ok=True)
    driver = [sys.executable, str(ROOT / "tests/job_commands.py"), str(found)]
    run = subprocess.run(
        [*driver, "all", "prefetch", "--dry-run", "--quiet", "host", "--cores", "1", "--configfile", "odd.yaml"],
        cwd=workspace.folder,
        env=workspace.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return {(row["rule"], *row["outputs"]): row["command"] for row in read_jsonl(found)}


def read(command: str) -> dict:
    """What a command's program gets from its own parser, once bash has read the command."""
    command, _, _ = command.rpartition(" 2> ")
    bash = subprocess.run(
        ["bash", "-c", f"python() {{ printf '%s\\0' \"$@\"; }}\n{command}"], capture_output=True, check=True
    )
    program, *arguments = bash.stdout.decode().split("\0")[:-1]
    return vars(parse(program, arguments)) | {"program": program}


def parse(program: str, arguments: list[str]) -> Namespace:
    module = load(program)
    if program.endswith("launch_training.py"):
        launch = module.parser.parse_args(arguments)
        trained = load("scripts/train.py").parser.parse_args(launch.training)
        return Namespace(**vars(launch) | vars(trained))
    takes = any(argument.startswith("--take=") for argument in arguments)
    return (module.take_parser if takes else module.parser).parse_args(arguments)


@cache
def load(program: str):
    spec = importlib.util.spec_from_file_location(Path(program).stem, ROOT / program)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def normal(content):
    """What a program got, as JSON has it: its settings are read, paths are texts."""
    if isinstance(content, dict):
        return {normal(key): normal(entry) for key, entry in content.items()}
    if isinstance(content, list | tuple):
        return [normal(entry) for entry in content]
    if isinstance(content, str) and content[:2] in ('{"', "[{", '["'):
        return normal(json.loads(content))
    return str(content) if isinstance(content, Path) else content


def replaced(content, value: str, named: str, file: str):
    """What was got of PLAIN, with these texts in its place."""
    if isinstance(content, dict):
        return {
            replaced(key, value, named, file): replaced(entry, value, named, file) for key, entry in content.items()
        }
    if isinstance(content, list):
        return [replaced(entry, value, named, file) for entry in content]
    if not isinstance(content, str):
        return content
    known = {PLAIN[0]: value, PLAIN[1]: named, f"{PLAIN[1]}.": f"{named}."}
    return known[content] if content in known else re.sub(rf"^{PLAIN[2]}(?=[. ])", lambda _: file, content)


@pytest.fixture(scope="module")
def read_plain(workspace) -> dict[tuple, dict]:
    return {job: read(command) for job, command in commands(workspace, *PLAIN).items()}


@pytest.fixture(scope="module")
def plain(read_plain) -> dict[tuple, dict]:
    return {job: normal(arguments) for job, arguments in read_plain.items()}


def test_every_rule_is_among_the_jobs(plain):
    rules = {name for file in (ROOT / "rules").glob("*.smk") for name in RULE.findall(file.read_text())}
    assert {job[0] for job in plain} == rules - WITHOUT_PROGRAM


def test_every_output_of_a_rule_is_claimed_when_its_program_starts(read_plain):
    """By the type of its flag; a training claims its own when it is alone."""
    for (rule, *outputs), arguments in read_plain.items():
        claimed = {str(path) for path in arguments.values() if isinstance(path, Output)}
        assert claimed == (set() if "launch_training" in arguments["program"] else set(outputs)), rule


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_no_value_changes_how_a_command_is_read(workspace, plain, value):
    texts = value, value or PLAIN[1], FILE
    found = {job: normal(read(command)) for job, command in commands(workspace, *texts).items()}
    assert {replaced(list(job), *texts)[0] for job in plain} == {job[0] for job in found}
    for job, arguments in found.items():
        assert arguments == replaced(plain[job], *texts), job

"""Let a judge compare a model's outputs with AlpacaEval's reference, or take published annotations (`--take FILE`)."""

import argparse
from pathlib import Path

from isheep import cli
from isheep.benchmarks.alpaca_annotator import judge_pairs, load_annotator
from isheep.benchmarks.alpaca_eval import (
    annotator_files,
    keep_package_offline,
    lacking_annotation,
    lacking_note,
    load_annotations,
    load_outputs,
    load_reference,
)
from isheep.benchmarks.judges import add_judge_arguments, open_requested_judge, usage
from isheep.engine.journal import Journal
from isheep.files.ownership import Output
from isheep.files.records import file_sha256, files_read, unfinished_folder, write_json


def main(arguments: argparse.Namespace) -> None:
    """Write one annotation for each instruction, in the reference's order, and what the judge has used."""
    keep_package_offline()
    reference = load_reference(arguments.reference)
    outputs = load_outputs(arguments.outputs, reference, missing=arguments.missing)
    annotator = load_annotator(arguments.annotator)
    journal = unfinished_folder(arguments.annotations)
    judge = open_requested_judge(arguments, journal)
    asked = [row for row, output in zip(reference, outputs, strict=True) if output]
    judged = judge_pairs(asked, list(filter(None, outputs)), annotator, judge, arguments.seed, journal)
    found = iter(judged.annotations)
    annotations = [
        next(found) if output else lacking_annotation(row) for row, output in zip(reference, outputs, strict=True)
    ]
    record = usage_record(
        arguments.reference,
        reference,
        judge={"identity": judge.identity, "usage": usage(judge.settings, judged.completions)},
        annotator=annotator.record,
        seed=arguments.seed,
        notes=judged.notes + lacking_note(annotations),
        made_from=files_read([arguments.reference, arguments.outputs, *annotator_files(arguments.annotator)]),
    )
    write_json(arguments.usage, record)
    write_json(arguments.annotations, annotations)
    Journal(journal).finish()
    report(arguments.annotations, annotations)


def take(arguments: argparse.Namespace) -> None:
    """Check published annotations against the reference, and write them in its order."""
    reference = load_reference(arguments.reference)
    rows = load_annotations(arguments.take, reference, arguments.model, arguments.missing)
    notes = [
        f"The annotations are taken from the file {arguments.take.name} (sha256 {file_sha256(arguments.take)}).",
        *lacking_note(rows),
        *differences(rows, "output_1", reference, "the reference's output"),
    ]
    if arguments.outputs is not None:
        outputs = load_outputs(arguments.outputs, reference, missing=arguments.missing)
        notes += differences(rows, "output_2", outputs, "the model's output")
    names = sorted({str(row["annotator"]) for row in rows if row.get("annotator")})
    if arguments.annotator is not None and names and names != [arguments.annotator.name]:
        notes.append(f"The annotations were made by {', '.join(names)}, not by {arguments.annotator.name}.")
    annotator = {"name": ", ".join(names)} if names else None
    record = usage_record(
        arguments.reference,
        reference,
        judge=None,
        annotator=annotator,
        seed=None,
        notes=notes,
        made_from=files_read([arguments.reference, arguments.outputs, arguments.take]),
    )
    write_json(arguments.usage, record)
    write_json(arguments.annotations, rows)
    report(arguments.annotations, rows)


def differences(annotations: list[dict], key: str, outputs: list[dict | None], what: str) -> list[str]:
    """A note where annotations compare other texts than those of `outputs`; lacking ones compare nothing."""
    given = zip(annotations, outputs, strict=True)
    texts = [(row[key], output["output"]) for row, output in given if row["output_2"] is not None and output]
    count = sum(ours != theirs for ours, theirs in texts)
    return [f"{count} of {len(texts)} annotations compare another text than {what}."] if count else []


def usage_record(reference_file: Path, reference: list[dict], **others) -> dict:
    """What the annotations come from: judge and what it used, annotator, seed, notes, and the reference."""
    generators = sorted({row["generator"] for row in reference})
    return {**others, "reference": {"generator": ", ".join(generators), "sha256": file_sha256(reference_file)}}


def report(file: Path, annotations: list[dict]) -> None:
    """Print how many judgments there are."""
    missing = sum(row["preference"] is None for row in annotations)
    print(f"{file}: {len(annotations)} pairs, {missing} without a judgment that can be read")


shared = argparse.ArgumentParser(add_help=False)
shared.add_argument("--reference", type=Path, required=True, help="reference outputs, JSON list or JSON Lines")
shared.add_argument("--missing", type=int, default=0, help="how many instructions the published files may lack")
shared.add_argument("--annotations", type=Output, required=True, help="JSON list to write, one row an instruction")
shared.add_argument("--usage", type=Output, required=True, help="JSON to write: who judged, how, and what it took")

parser = argparse.ArgumentParser(description=__doc__, parents=[shared])
add_judge_arguments(parser)
parser.add_argument("--outputs", type=Path, required=True, help="the model's outputs, JSON list or JSON Lines")
parser.add_argument("--annotator", type=Path, required=True, help="folder that says how the judge is asked")

take_parser = argparse.ArgumentParser(description=take.__doc__, parents=[shared])
take_parser.add_argument("--take", type=Path, required=True, help="published annotations, JSON list or JSON Lines")
take_parser.add_argument("--outputs", type=Path, nargs="?", help="published outputs that the annotations must be of")
take_parser.add_argument("--annotator", type=Path, help="folder of the annotator that the annotations should be by")
take_parser.add_argument("--model", help="take only the rows of this generator_2")

if __name__ == "__main__":
    cli.run_or_take(main, parser, take, take_parser)

"""What Snakemake keeps about outputs: found again by their paths, and removed for one experiment alone."""

from pathlib import Path

from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence

from isheep.files.recorded import MARKS, RECORDS, forget, outputs_in

LONG = "/".join(["checkpoint"] * 40)
OUTPUTS = [f"results/{name}" for name in ("demo/weights", f"demo/{LONG}/a", f"demo2/{LONG}/a", "demo2/weights")]


def names(kind: str) -> set[str]:
    return {output for _, output in outputs_in(Path(".snakemake") / kind)}


def test_records_of_one_experiment_are_removed_and_no_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    snakemake = FilePersistence(path=Path(".snakemake"))
    for output in OUTPUTS:
        snakemake._write_record(output, MetadataRecord(rule="train"))
        snakemake._mark_incomplete(output, None)
    Path(".snakemake/incomplete/migration_underway").touch()
    assert names(RECORDS) == names(MARKS) == set(OUTPUTS)
    forget("results/demo")
    assert names(RECORDS) == names(MARKS) == set(OUTPUTS[2:])
    assert snakemake._filter_incomplete_keys(OUTPUTS) == set(OUTPUTS[2:])
    forget("results/demo2")
    assert list(Path(".snakemake", RECORDS).iterdir()) == [], "no empty folders are left of long names"

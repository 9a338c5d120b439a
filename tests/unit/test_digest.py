"""A program's digest: what would act differently changes it, what would not does not."""

import json
import shutil
from pathlib import Path

import pytest

from isheep import digest

SCRIPTS = Path(digest.__file__).parent.parent


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """A copy of the programs and the library that a test may change."""
    copy = shutil.copytree(SCRIPTS, tmp_path / "scripts")
    monkeypatch.setattr(digest, "PACKAGE", copy / "isheep")
    return copy


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_comments_docstrings_and_formatting_change_nothing(scripts):
    program = scripts / "select_pairs.py"
    before = digest.program_digest(program)
    change(
        program, '"""Write the training set, the pairs held out, the ledger and the record."""', '"""Another text."""'
    )
    change(program, "    pairs = [", "    # a comment\n\n    pairs  =  [")
    change(scripts / "isheep" / "data/selection.py", '"""Return why', '"""Say why')
    assert digest.program_digest(program) == before


def test_changed_library_function_changes_the_programs_that_import_it_alone(scripts):
    programs = {name: digest.program_digest(scripts / name) for name in ("select_pairs.py", "filter_responses.py")}
    change(scripts / "isheep" / "data/selection.py", "score <= settings.threshold", "score < settings.threshold")
    assert digest.program_digest(scripts / "select_pairs.py") != programs["select_pairs.py"]
    assert digest.program_digest(scripts / "filter_responses.py") == programs["filter_responses.py"]


def test_change_in_an_indirect_import_is_seen(scripts):
    program = scripts / "write_responses.py"
    before = digest.program_digest(program)
    change(scripts / "isheep" / "engine/transformers_engine.py", "do_sample=False", "do_sample=True")
    assert digest.program_digest(program) != before


def test_selection_does_not_depend_on_any_engine(scripts):
    program = scripts / "select_pairs.py"
    before = digest.program_digest(program)
    change(
        scripts / "isheep" / "engine/engine.py",
        "SECONDS_BETWEEN_PROGRESS_LINES = 10.0",
        "SECONDS_BETWEEN_PROGRESS_LINES = 11.0",
    )
    assert digest.program_digest(program) == before


def test_a_torn_file_of_known_digests_is_made_again(scripts, monkeypatch, tmp_path):
    program = scripts / "select_pairs.py"
    before = digest.program_digest(program)
    known = tmp_path / "digests.json"
    known.write_text('{"torn')
    monkeypatch.setattr(digest, "KNOWN", known)
    for kept in (digest._known, digest._parsed):
        kept.cache_clear()
    assert digest.program_digest(program) == before
    assert len(json.loads(known.read_text())) > 3

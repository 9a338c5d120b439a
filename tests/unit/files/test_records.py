"""Files are read strictly and published whole."""

import json

import pytest

from isheep.files.records import InputError, iterate_jsonl, publish, read_jsonl, read_objects, write_jsonl


def test_rows_survive_writing_and_reading(tmp_path):
    rows = [{"text": "naïve\nline\u2028separator", "score": None}, {"text": "", "score": 3}]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    assert read_jsonl(tmp_path / "rows.jsonl") == rows


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"a": 1}\n\n{"a": 2}\n', "line 2 is empty"),
        ('{"a": 1}\n{"a": 2', "line 2 is not valid JSON"),
        ('{"a": 1}\n[1]\n', "line 2 is a JSON list"),
    ],
)
def test_broken_line_is_named(tmp_path, content, complaint):
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=complaint) as error:
        read_jsonl(path)
    assert str(path) in str(error.value)


def test_rows_are_read_one_at_a_time(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' * 100_000 + b'{"a": "\xff"}\n')
    rows = iterate_jsonl(path)
    assert next(rows) == {"a": 1}
    with pytest.raises(InputError, match=r"rows\.jsonl: the file cannot be read \(it is not UTF-8\)"):
        list(rows)


def test_failed_writing_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"version": 1}])

    def rows():
        yield {"version": 2}
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_jsonl(path, rows())
    assert read_jsonl(path) == [{"version": 1}]


def test_published_folder_replaces_the_old_one_whole(tmp_path):
    for name in ("old", "new"):
        with publish(tmp_path / "folder") as partial:
            partial.mkdir()
            (partial / name).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]


def test_a_file_that_is_not_there_is_one_clear_sentence(tmp_path):
    with pytest.raises(InputError, match=r"absent\.jsonl: the file cannot be read \(No such file"):
        read_jsonl(tmp_path / "absent.jsonl")


def test_a_list_and_lines_hold_the_same_objects(tmp_path):
    rows = [{"text": "one\u2028line"}, {"text": "two"}]
    (tmp_path / "list.json").write_text(json.dumps(rows), encoding="utf-8")
    write_jsonl(tmp_path / "lines.jsonl", rows)
    assert read_objects(tmp_path / "list.json") == read_objects(tmp_path / "lines.jsonl") == rows

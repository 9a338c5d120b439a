"""What a run says of results that it does not make."""

from isheep.workflow.reruns import name_undeclared


def test_tables_that_are_no_longer_declared_are_named(tmp_path, capsys):
    for name in ("main.csv", "main.md", "old.csv", "older.csv"):
        (tmp_path / name).touch()
    name_undeclared(str(tmp_path), ["main"])
    assert capsys.readouterr().err.rstrip().endswith("never made again: old, older.")
    name_undeclared(str(tmp_path), ["main", "old", "older"])
    name_undeclared(str(tmp_path / "none"), [])
    assert capsys.readouterr().err == ""

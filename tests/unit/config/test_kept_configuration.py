"""The configuration that is kept with results is whole, is itself a configuration, and holds no secret."""

from pathlib import Path

import pytest

from isheep.config.kept_configuration import CONFIGURATION, keep_configuration, say_where_results_are
from isheep.config.loading import load_config
from isheep.files.yaml_text import read_yaml
from workspace import ROOT


@pytest.fixture(autouse=True)
def at_home(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("name", ["config", "paper", "published", "demo_matrix"])
def test_it_is_the_configuration_that_it_was_made_from(tmp_path, name):
    file = f"config/{name}.yaml"
    config = load_config(read_yaml(file), [file])
    keep_configuration(config, tmp_path)
    kept = tmp_path / CONFIGURATION
    assert load_config(read_yaml(kept), [kept]) == config
    assert read_yaml(kept)["runtime"]["judge_attempts"] == config.runtime.judge_attempts, "defaults stand in it"


def test_a_password_in_an_address_is_left_out(tmp_path):
    raw = read_yaml("config/config.yaml") | {"fetch": {"mirror": "https://me:hidden@data.example/files"}}
    keep_configuration(load_config(raw, ["config/config.yaml"]), tmp_path)
    text = (tmp_path / CONFIGURATION).read_text()
    assert "hidden" not in text
    assert "mirror: https://data.example/files" in text


def test_a_run_ends_by_saying_where_the_scores_are(tmp_path, capsys):
    say_where_results_are(tmp_path)
    assert capsys.readouterr().out == ""
    Path(tmp_path, "tables").mkdir()
    Path(tmp_path, "tables/scores.csv").touch()
    say_where_results_are(tmp_path)
    said = capsys.readouterr().out
    assert f"Every score: {tmp_path}/tables/scores.csv" in said
    assert "Report" not in said
    Path(tmp_path, "report").mkdir()
    Path(tmp_path, "report/index.html").touch()
    say_where_results_are(tmp_path)
    assert capsys.readouterr().out.endswith(f"Report, in a browser: {tmp_path}/report/index.html.\n")

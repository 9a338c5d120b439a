"""Paths of a run in another folder."""

from pathlib import Path

from isheep import project
from isheep.config.loading import load_config
from isheep.files.yaml_text import read_yaml


def test_in_the_project_itself_paths_stay_as_they_are(monkeypatch):
    monkeypatch.chdir(project.PROJECT)
    assert project.shipped("scripts") == "scripts"
    assert project.located("config/config.yaml") == "config/config.yaml"


def test_elsewhere_what_is_not_there_is_the_projects_and_what_is_there_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert project.located("config/config.yaml") == str(project.PROJECT / "config/config.yaml")
    Path("config").mkdir()
    Path("config/config.yaml").touch()
    assert project.located("config/config.yaml") == "config/config.yaml"
    assert project.located("config/none.yaml") == "config/none.yaml"
    assert project.shipped("scripts") == str(project.PROJECT / "scripts")


def test_below_the_working_folder_paths_are_relative(tmp_path, monkeypatch):
    monkeypatch.setattr(project, "PROJECT", tmp_path / "tools" / "isheep")
    monkeypatch.chdir(tmp_path)
    assert project.shipped("scripts") == "tools/isheep/scripts"


def test_every_file_that_a_configuration_names_is_found_elsewhere(tmp_path, monkeypatch):
    demo = project.PROJECT / "config/config.yaml"
    monkeypatch.chdir(tmp_path)
    config = load_config(read_yaml(demo), [demo])
    files = [
        config.instructions.seed_tasks,
        config.assessment.prompts["combined"]["quality"],
        config.models["demo_judge"].path,
        *config.benchmarks["ifeval"].files,
        config.fetch.sources,
    ]
    assert [file for file in files if not Path(file).exists()] == []


def test_every_rule_names_its_program_from_the_working_folder():
    rules = {file.name: file.read_text() for file in (project.PROJECT / "rules").glob("*.smk")}
    assert [name for name, text in rules.items() if "python scripts/" in text] == []
    assert sum(text.count('f"python {SCRIPTS}/') for text in rules.values()) > 30

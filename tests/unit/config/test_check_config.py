"""Configuration files are checked by themselves, also where Snakemake would not get as far as our checks."""

import subprocess
import sys
from pathlib import Path

import pytest

from isheep.config.loading import read_config
from isheep.files.records import InputError
from isheep.spelling import nearest_file

PROGRAM = Path("scripts/check_config.py")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("experiment:\n  models: [a\nruntime: 3\n", "line 3 is not valid YAML"),
        ("experiment:\n\tname: a\n", "line 2 is not valid YAML"),
        ("- name: a\n", "found a list, but a configuration is keys and values"),
    ],
    ids=["an open bracket", "a tab", "a list"],
)
def test_what_is_no_configuration_is_named_with_its_line(tmp_path, text, sentence):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        read_config(["config/config.yaml", file])
    assert str(error.value).startswith(f"{file}: {sentence}")


@pytest.mark.parametrize(
    ("file", "meant"),
    [
        ("config/confg.yaml", "; did you mean 'config/config.yaml'?"),
        ("confg/paper.yaml", "; did you mean 'config/paper.yaml'?"),
        ("config/nothing_like_it.txt", ""),
        ("no/where/paper.yaml", ""),
    ],
)
def test_a_file_that_does_not_exist_is_named_with_the_nearest(file, meant):
    assert nearest_file(file) == meant
    with pytest.raises(InputError) as error:
        read_config([file])
    assert str(error.value) == f"the configuration file {file} does not exist{meant}; correct the path."


def test_files_lie_on_top_of_each_other_as_snakemake_merges_them(tmp_path):
    (tmp_path / "mine.yaml").write_text("experiment: {name: mine}\nrecipes: {one_base: {instructions: 400}}\n")
    config = read_config(["config/config.yaml", tmp_path / "mine.yaml"])
    assert (config.experiment.name, config.experiment.models) == ("mine", ("demo",))
    assert config.recipes["self_instruct"].instructions == 400


def test_the_program_says_what_the_configuration_is_about_or_what_is_wrong():
    run = subprocess.run([sys.executable, PROGRAM, "config/config.yaml"], capture_output=True, text=True, check=True)
    assert "nothing wrong was found. Experiment demo: demo; 4 checkpoints to train for each seed;" in run.stdout
    run = subprocess.run([sys.executable, PROGRAM, "config/confg.yaml"], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr == (
        "Error: the configuration file config/confg.yaml does not exist; did you mean 'config/config.yaml'?; correct "
        "the path.\n"
    )


def test_mistakes_of_several_kinds_are_told_together(tmp_path):
    """A model's folder without a model, and a file that does not exist."""
    (tmp_path / "model").mkdir()
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"""
        models: {{mine: {{path: {tmp_path}/model}}}}
        instructions: {{seed_tasks: config/seed_task.jsonl}}
        """
    )
    run = subprocess.run(
        [sys.executable, PROGRAM, "config/mine.yaml", file], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    seeds, model = run.stderr.splitlines()
    assert seeds.startswith(
        "Error: instructions.seed_tasks: the file config/seed_task.jsonl does not exist; did you mean"
    )
    assert model.startswith(f"Error: models.mine.path: {tmp_path}/model lacks config.json, tokenizer_config.json, ")

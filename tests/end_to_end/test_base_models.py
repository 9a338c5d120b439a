"""A base model of one's own: what it is made of is followed."""

import os
import shutil

import pytest

from workspace import ROOT, Workspace

pytestmark = pytest.mark.end_to_end

OWN = """
experiment: {name: own, recipes: [], benchmarks: [choice]}
models: {demo: {source: folder, path: own model, chat_template: own template.jinja}}
figures: {figure_3: null}
"""
WEIGHTS = "results/own/demo/weights"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("own"), "config/config.yaml", "own.yaml")
    (workspace.folder / "own.yaml").write_text(OWN)
    shutil.copytree(ROOT / "config/demo/base", workspace.folder / "own model")
    shutil.copy(ROOT / "config/chat_templates/chatml.jinja", workspace.folder / "own template.jinja")
    workspace.snakemake(WEIGHTS)
    return workspace


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("own template.jinja", "{%", "{%  "), ("own model/config.json", "{", "{ ")],
    ids=["chat template", "configuration"],
)
@pytest.mark.parametrize("date", [None, 1_600_000_000], ids=["now", "with an old date"])
def test_a_changed_file_of_the_model_makes_it_anew(workspace, file, old, new, date):
    assert workspace.jobs(WEIGHTS) == {}
    with workspace.changed(file, old, new):
        if date:  # as one that is unpacked, or copied with its date
            os.utime(workspace.folder / file, (date, date))
        assert workspace.jobs(WEIGHTS) == {"base_from_folder": {"demo/weights"}}

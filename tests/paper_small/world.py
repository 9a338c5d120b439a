"""The world of the paper's miniature: what cannot be had here, small, and a workspace in which the paper runs on it."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from isheep.demo.world import World
from judge_server import JudgeServer
from paper_small import base_models, data_sets, files
from paper_small.hub_server import HubServer
from paper_small.judging import judge
from workspace import PARTS, ROOT, Workspace

HERE = Path(__file__).parent
GATED = frozenset({"Idavidrein/gpqa", "meta-llama/Meta-Llama-3-70B"})
TOKEN, KEY = "a-token-of-the-test", "a-key-of-the-test"
NOWHERE = "http://127.0.0.1:9"
"""An address at which nothing answers."""
IN_SEVERAL_FILES = "Qwen/Qwen1.5-72B"
"""A model whose weights do not lie in one file."""


def write_world(folder: Path) -> None:
    """Write hub/models, hub/datasets, mirror/ and sources.yaml below `folder`."""
    world = World(ROOT / "config/demo/world.yaml")
    for model in models_of_the_paper():
        write_model(folder / "hub/models" / model, model)
    data_sets.write_data_sets(folder / "hub/datasets", world, subjects_of_mmlu())
    files.write_mirror(folder / "mirror", world)
    hub = yaml.safe_load((ROOT / "config/sources.yaml").read_text())["hub"]
    files.write_manifest(folder / "mirror", hub, folder / "sources.yaml")


def write_model(place: Path, repository: str) -> None:
    """Write one of the paper's models, in the form of its family."""
    if "Llama" in repository:
        base_models.write_llama(place)
    else:
        base_models.write_qwen(place, "1MB" if repository == IN_SEVERAL_FILES else "1GB")


def models_of_the_paper() -> list[str]:
    """The hub repositories of the models that take part in the experiment."""
    paper = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
    return [paper["models"][name]["repository"] for name in paper["experiment"]["models"]]


def subjects_of_mmlu() -> list[str]:
    """The 57 configurations of the data set, as lm-eval's tasks name them."""
    import lm_eval.tasks

    found = Path(lm_eval.tasks.__file__).parent.glob("mmlu/default/mmlu_*.yaml")
    loaded = [yaml.load(path.read_text(), Loader=yaml.BaseLoader) for path in found]
    return sorted(task["dataset_name"] for task in loaded if "dataset_name" in task)


class PaperInMiniature(Workspace):
    """A workspace in which config/paper.yaml runs, under overlays that replace what cannot be had here.

    overlays: files of this folder, the last one on top. as_typed: the workspace's own config/paper.yaml takes all of it
    in, so that commands can be run as README has them, and below the results are where README says. A folder that is
    one already gets today's code and keeps its results.
    """

    def __init__(self, folder: Path, *overlays: str, as_typed: bool = False):
        for part in PARTS:
            if (folder / part).is_dir():
                shutil.rmtree(folder / part)
        self.as_typed, self.overlays = as_typed, ("overlay.yaml", *overlays)
        given = ("config/paper.yaml",) if as_typed else ("config/paper.yaml", *self.overlays, "served.yaml")
        super().__init__(folder, *given)
        for name in self.overlays:
            shutil.copy(HERE / name, folder / name)
        if not (folder / "world/sources.yaml").exists():
            write_world(folder / "world")
        self._name_judge(f"{NOWHERE}/v1")

    @contextmanager
    def served(self, judge_port: int = 0) -> Iterator[HubServer]:
        """Start a hub and a judge, and let the configuration and the environment name them, for the length of a
        block; the hub until `go_offline` is called."""
        with ExitStack() as stack:
            judging = stack.enter_context(JudgeServer(judge, key=KEY, port=judge_port))
            hub = stack.enter_context(HubServer(self.folder / "world/hub", GATED, TOKEN))
            self._name_judge(judging.url)
            self.variables = {"OPENAI_API_KEY": KEY, "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0"}
            yield hub
        self.variables = {}

    def go_offline(self) -> None:
        """From now on let no job find the hub: all has been fetched."""
        self.variables |= {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": NOWHERE}

    def environment(self) -> dict[str, str]:
        """That of every workspace, with one thread a program."""
        inherited = {"OMP_NUM_THREADS": "1"} | super().environment()
        inherited.pop("PYTHONPATH", None)
        return inherited

    def _name_judge(self, url: str) -> None:
        """Write the configuration that says where the judges are."""
        address = {"api": {"base_url": url}}
        served = {"judges": {"gpt-4-turbo": address, "gpt-4": address}}
        (self.folder / "served.yaml").write_text(yaml.safe_dump(served))
        if self.as_typed:
            paper, published = self.folder / "config/paper.yaml", self.folder / "config/paper_published.yaml"
            if not published.exists():
                paper.rename(published)
            below = ["config/paper_published.yaml", *self.overlays, "served.yaml"]
            paper.write_text(yaml.safe_dump({"include": below}))

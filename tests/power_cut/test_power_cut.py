"""A power cut at any moment: what counts as finished is whole, and the next run ends as if nothing had been.

A run goes on a small file system of its own, of which images are taken meanwhile. `make test-power-cut`, as root.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from loop_disk import make_disk, mounted, take_image
from snakemake.persistence.file import FilePersistence

from isheep.files.records import file_sha256
from workspace import Workspace

pytestmark = pytest.mark.end_to_end

IMAGES = 12
SECONDS_BETWEEN_IMAGES = 3
HERE = Path(__file__).parent


class Run:
    """A run of the tiny configuration on a disk of its own, and images of that disk from its beginning to its end."""

    def __init__(self, folder: Path, syncs: bool = True):
        self.place = folder / "disk"
        self.images: list[Path] = []
        make_disk(folder / "disk.ext4")
        with mounted(folder / "disk.ext4", self.place):
            workspace = self.workspace(new=True)
            if not syncs:
                durable = workspace.folder / "scripts/isheep/files/durable.py"
                text = durable.read_text()
                durable.write_text(text.replace("    if os.path.islink(path):\n", "    if True:\n"))
            subprocess.run(["sync", "-f", self.place], check=True)
            self._run(workspace, folder)
            self.results = contents(workspace)

    def workspace(self, new: bool = False) -> Workspace:
        """The project on the disk that is mounted; only the disk of the run itself gets a copy of it."""
        if new:
            workspace = Workspace(self.place / "work", "config/config.yaml", "tiny.yaml")
            (workspace.folder / "tiny.yaml").write_text((HERE / "tiny.yaml").read_text())
            return workspace
        workspace = Workspace.__new__(Workspace)
        workspace.folder, workspace.configfiles = self.place / "work", ["config/config.yaml", "tiny.yaml"]
        return workspace

    def _run(self, workspace: Workspace, folder: Path) -> None:
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", *workspace.configfiles]
        with open(folder / "run.log", "w") as log:
            run = subprocess.Popen(command, cwd=workspace.folder, env=workspace.environment(), stdout=log, stderr=log)
            while run.poll() is None:
                image = folder / f"image{len(self.images)}.ext4"
                if take_image(folder / "disk.ext4", image):
                    self.images.append(image)
                try:
                    run.wait(SECONDS_BETWEEN_IMAGES)
                except subprocess.TimeoutExpired:
                    continue
        assert run.returncode == 0, (folder / "run.log").read_text()
        every = len(self.images) / IMAGES
        assert every >= 1, f"the run was over after {len(self.images)} images; take them faster"
        self.images = [self.images[int(number * every)] for number in range(IMAGES)]


def contents(workspace: Workspace) -> dict[str, str]:
    """The checksum of every file below results, but for logs and the report's times."""
    results = workspace.folder / "results"
    return {
        str(path.relative_to(workspace.folder)): file_sha256(path)
        for path in sorted(results.rglob("*"))
        if path.is_file() and "logs" not in path.parts and path.name != "times.js"
    }


def torn(workspace: Workspace, whole: dict[str, str]) -> list[str]:
    """The files that count as finished, since nothing marks them, and are not what they were to be."""
    snakemake = FilePersistence(path=workspace.folder / ".snakemake")

    def is_marked(path: str) -> bool:
        return bool(
            snakemake._filter_incomplete_keys([path, *map(str, Path(path).parents)])
        )  # an output may be a folder

    found = contents(workspace)
    return [path for path in found if path in whole and found[path] != whole[path] and not is_marked(path)]


def test_a_run_after_a_power_cut_ends_as_an_undisturbed_one(tmp_path, capsys):
    run = Run(tmp_path)
    report = []
    for image in run.images:
        with mounted(image, run.place):
            workspace = run.workspace()
            found, lost = len(contents(workspace)), torn(workspace, run.results)
            assert lost == [], f"{image.name}: these count as finished"
            workspace.snakemake("--unlock")
            workspace.snakemake()
            assert contents(workspace) == run.results, image.name
            plan = workspace.snakemake("-n").stdout + workspace.snakemake("-n").stderr
            assert "Nothing to be done" in plan
            assert "missing provenance" not in plan, f"{image.name}: an output is not recorded"
            report.append(f"{image.name}: {found} of {len(run.results)} files were there, {len(lost)} torn")
    with capsys.disabled():
        print("", *report, sep="\n")


def test_without_syncing_a_power_cut_leaves_torn_outputs(tmp_path, capsys):
    """What the other test would say if outputs were not brought to the disk."""
    run = Run(tmp_path, syncs=False)
    lost = {}
    for image in run.images:
        with mounted(image, run.place):
            lost[image.name] = torn(run.workspace(), run.results)
    with capsys.disabled():
        print("", *(f"{name}: {len(files)} torn" for name, files in lost.items()), sep="\n")
    assert sum(map(len, lost.values())) > 0

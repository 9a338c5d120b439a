"""Which result records there are, and where they lie."""

from pydantic import Field

from isheep.settings import Settings

PUBLISHED = "published"
"""What stands for a checkpoint in the records of a baseline."""


class Grid(Settings):
    """The result records of an experiment, or of a part of it."""

    results: str
    """Folder of the experiment's results."""
    seeds: tuple[int, ...]
    """The replicates."""
    measured: dict[str, dict[str, tuple[str, ...]]] = Field(default_factory=dict)
    """The benchmarks of each model's checkpoints."""
    baselines: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The benchmarks of each baseline."""

    def records(self) -> list[tuple[str, dict]]:
        """Return where each result record lies, with what it is of: model, seed, checkpoint and benchmark."""
        found = [
            (f"baselines/{baseline}", {"model": baseline, "seed": 0, "checkpoint": PUBLISHED, "benchmark": benchmark})
            for baseline, benchmarks in self.baselines.items()
            for benchmark in benchmarks
        ] + [
            (
                f"{model}/seed{seed}/{checkpoint}",
                {"model": model, "seed": seed, "checkpoint": checkpoint, "benchmark": benchmark},
            )
            for model, checkpoints in self.measured.items()
            for seed in self.seeds
            for checkpoint, benchmarks in checkpoints.items()
            for benchmark in benchmarks
        ]
        return [(f"{self.results}/{folder}/benchmarks/{what['benchmark']}/result.json", what) for folder, what in found]

"""Settings of the benchmarks that measure a checkpoint."""

from pydantic import Field

from isheep.settings import Settings


class BenchmarkSettings(Settings):
    """One lm-eval task, run on every checkpoint of the experiment."""

    task: str
    """lm-eval's name of the task."""
    files: tuple[str, ...] = ()
    """The task's own files (its .yaml first, then data) if it does not come with lm-eval; a change reruns it."""
    num_fewshot: int | None = Field(None, ge=0)
    """Worked examples before each question; null keeps the task's own number."""
    limit: int | None = Field(None, ge=1)
    """Only the first so many items, for a quick look; null measures all."""
    raw_suffix: str = ""
    """Put after a prompt when the untouched base model answers it raw, such as a newline."""

"""What a paid API costs, and the ledger that keeps a job within its spending limit."""

from pathlib import Path

from pydantic import Field

from isheep.engine.journal import AppendedLines
from isheep.settings import Settings

TOKENS_PER_PRICE = 1_000_000


class Prices(Settings):
    """What a model's provider asks, per million tokens."""

    prompt: float = Field(ge=0)
    """For a million tokens of prompts."""
    completion: float = Field(ge=0)
    """For a million written tokens."""
    currency: str = Field("USD", min_length=1)
    """The currency of both, as it is shown beside amounts."""

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The price of so many tokens, in `currency`."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / TOKENS_PER_PRICE

    def amount(self, cost: float) -> str:
        """A cost as it is shown to the user."""
        return f"{cost:.4f} {self.currency}"


class Ledger(AppendedLines):
    """The tokens that a job may have to pay for, kept beside its journal.

    Every request is entered with the most tokens that it can take *before* it is sent, and corrected when its
    answer tells how many it took. So the sums, `prompt_tokens` and `completion_tokens`, are never less than what
    the provider can charge for, whatever becomes of answers: those lost on the way, or with a killed job, stay
    entered in full. Tokens are kept rather than money, so that a corrected price holds for all of them.
    """

    def __init__(self, folder: Path):
        super().__init__(folder / "spending.jsonl")
        self.prompt_tokens = self.completion_tokens = 0

    def __enter__(self) -> "Ledger":
        super().__enter__()
        self.prompt_tokens = self.completion_tokens = 0
        tokens = self.read_rows(lambda row: (int(row["prompt_tokens"]), int(row["completion_tokens"])))
        for prompt, completion in tokens:
            self.prompt_tokens += prompt
            self.completion_tokens += completion
        return self

    def enter(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Add tokens, or take them off where negative."""
        self.append_row({"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens})
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens

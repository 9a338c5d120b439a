"""The key `training` of a recipe: which of the kept pairs are trained on, and how.

The two halves are apart, so that a change of one does not rerun the other's stage.
"""

from isheep.training.fine_tuning import FitSettings
from isheep.training.rows import RowSettings


class TrainingSettings(FitSettings, RowSettings):
    """Which pairs one checkpoint is trained on, and how."""

    def fit(self) -> FitSettings:
        """Return how it is trained."""
        return FitSettings(**{name: getattr(self, name) for name in FitSettings.model_fields})

    def row_choice(self) -> RowSettings:
        """Return which pairs it is trained on."""
        return RowSettings(**{name: getattr(self, name) for name in RowSettings.model_fields})

    def most_steps(self, kept: int) -> int:
        """Return the most steps that so many kept pairs can make."""
        return self.steps(kept if self.max_samples is None else min(kept, self.max_samples))

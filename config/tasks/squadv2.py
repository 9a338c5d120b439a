"""lm-eval's SQuAD 2.0, scored without the metric code that it would load from the hub at run time."""

from functools import partial
from types import SimpleNamespace

from lm_eval.tasks.squadv2 import task as published
from transformers.data.metrics.squad_metrics import squad_evaluate


class SQuAD2(published.SQuAD2):
    """The published task with transformers' copy of the official evaluation (squad_evaluate)."""

    def aggregation(self) -> dict:
        """Metric → the function of all items' (prediction, reference) that gives it, between 0 and 1."""
        return {metric: partial(evaluate, metric) for metric in super().aggregation()}


def evaluate(metric: str, items: list[tuple[dict, dict]]) -> float:
    """One metric of the official evaluation; 0 where no item is of its kind (answerable or not), as in lm-eval."""
    examples = [
        SimpleNamespace(qas_id=reference["id"], answers=[{"text": text} for text in reference["answers"]["text"]])
        for _, reference in items
    ]
    predictions = {prediction["id"]: prediction["prediction_text"] for prediction, _ in items}
    probabilities = {prediction["id"]: prediction["no_answer_probability"] for prediction, _ in items}
    return squad_evaluate(examples, predictions, probabilities).get(metric, 0.0) / 100

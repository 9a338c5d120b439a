"""lm-eval's SQuAD 2.0, scored question by question, without the metric code that it would load from the hub."""

from functools import partial
from types import SimpleNamespace

from lm_eval.api.metrics import mean
from lm_eval.tasks.squadv2 import task as published
from transformers.data.metrics.squad_metrics import squad_evaluate


class SQuAD2(published.SQuAD2):
    """The published task with transformers' copy of the official evaluation (squad_evaluate).

    `best_exact` and `best_f1` choose a threshold on all questions, so that they are no mean over questions. Of the
    other metrics each question has its own value, those of a kind of question (answerable or not) only these.
    """

    def process_results(self, doc: dict, results: list) -> dict:
        """Metric → a question's value between 0 and 1; for the best ones its (prediction, reference)."""
        found = super().process_results(doc, results)
        kind = "HasAns" if doc["answers"]["text"] else "NoAns"
        values = {metric: evaluate(metric, [found[metric]]) for metric in ("exact", "f1")}
        best = {metric: found[metric] for metric in found if metric.startswith("best_")}
        return values | {f"{kind}_{metric}": value for metric, value in values.items()} | best

    def aggregation(self) -> dict:
        """Metric → the function of all questions' values that gives it, between 0 and 1."""
        return {
            metric: partial(evaluate, metric) if metric.startswith("best_") else mean
            for metric in super().aggregation()
        }


def evaluate(metric: str, items: list[tuple[dict, dict]]) -> float:
    """One metric of the official evaluation of these (prediction, reference), between 0 and 1."""
    examples = [
        SimpleNamespace(qas_id=reference["id"], answers=[{"text": text} for text in reference["answers"]["text"]])
        for _, reference in items
    ]
    predictions = {prediction["id"]: prediction["prediction_text"] for prediction, _ in items}
    probabilities = {prediction["id"]: prediction["no_answer_probability"] for prediction, _ in items}
    return squad_evaluate(examples, predictions, probabilities)[metric] / 100

"""MT-Bench: two-turn questions whose answers a judge rates from 1 to 10 (arXiv 2306.05685).

The protocol is the published one of FastChat's `llm_judge`: its files, its temperature per category, grading of
single answers with and without a reference, its two patterns for a rating, its means. It differs in one thing: a
judgment without a rating is asked for again, and then missing (null), where FastChat writes a score of -1.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from isheep.data.prompts import chat_messages
from isheep.engine.engine import Completion, Request, Sampling, TokenLogprob
from isheep.engine.journal import complete_with_journal
from isheep.engine.sampling_sections import OnTopOf
from isheep.files.records import InputError, read_jsonl
from isheep.seeding import derive_seed
from isheep.settings import Settings, Unique
from isheep.spelling import listed, nearest

if TYPE_CHECKING:
    from isheep.benchmarks.judges import Judge

QuestionId = int | str
Temperature = Annotated[float, Field(ge=0)]

TURNS = 2
LOWEST_RATING, HIGHEST_RATING = 1, 10

PUBLISHED_TEMPERATURES = {
    "writing": 0.7,
    "roleplay": 0.7,
    "extraction": 0.0,
    "math": 0.0,
    "coding": 0.0,
    "reasoning": 0.0,
    "stem": 0.1,
    "humanities": 0.1,
}
"""FastChat, llm_judge/common.py, temperature_config."""
OTHER_TEMPERATURE = 0.7
"""Of a category without a temperature of its own (FastChat, llm_judge/gen_model_answer.py)."""
GREEDY_BELOW = 1e-4
"""Lower temperatures take the most likely token (FastChat, llm_judge/gen_model_answer.py)."""
JUDGING = Sampling(temperature=0.0, max_tokens=2048)
"""How a judgment is written (FastChat, llm_judge/common.py)."""

RATING = re.compile(r"\[\[(\d+\.?\d*)\]\]")
RATING_FALLBACK = re.compile(r"\[(\d+\.?\d*)\]")
"""The two patterns of a rating, the second where the first is nowhere (FastChat, llm_judge/common.py)."""
WHOLE_NUMBER = re.compile(r"\W*(\d+)\W*")

PLACEHOLDERS = {
    "single-v1": {"question", "answer"},
    "single-math-v1": {"question", "ref_answer_1", "answer"},
    "single-v1-multi-turn": {"question_1", "answer_1", "question_2", "answer_2"},
    "single-math-v1-multi-turn": {
        *("question_1", "ref_answer_1", "answer_1"),
        *("question_2", "ref_answer_2", "answer_2"),
    },
}
"""What the template of each judge prompt must show, by FastChat's names."""


class MtBenchSettings(Settings):
    """MT-Bench, or a question set in its format."""

    kind: Literal["mt_bench"]
    """MT-Bench: questions of two turns, whose answers a judge rates from 1 to 10."""
    questions: str
    """File of questions, one JSON object a line with `question_id`, `category` and two `turns` (FastChat's
    question.jsonl)."""
    references: str | None = None
    """File of reference answers (FastChat's reference_answer/gpt-4.jsonl); null where no category needs one."""
    judge_prompts: str
    """File of judge prompts (FastChat's judge_prompts.jsonl); those of single answers are used."""
    judge: str
    """Which of `judges` rates the answers."""
    answers_of: str | None = None
    """Another benchmark of this kind, on the same questions, whose answers are rated here: nothing is answered again,
    and what is said here of how answers are written plays no role. null: answers of its own."""
    temperatures: dict[str, Temperature] = PUBLISHED_TEMPERATURES
    """Temperature of the answers per category; those not named keep the published one, and an unknown category
    has 0.7. Below 0.0001 the most likely token is taken."""
    max_tokens: int = Field(1024, gt=0)
    """The most tokens of an answer (FastChat: 1024); lower it for a model with a short context."""
    judge_sampling: Annotated[Sampling, OnTopOf(JUDGING)] = JUDGING
    """How a judgment is written when first asked for (FastChat: greedy, 2048 tokens). A key that is left out keeps its
    default. With `top_logprobs` above 0, from a judge that reports log-probabilities, the expected rating is recorded
    beside the written one."""
    attempts: int = Field(3, ge=1)
    """How often a judgment is asked for until it has a rating; then it is missing (FastChat asks once)."""
    retry_temperature: float = Field(0.7, gt=0)
    """Temperature of the second and later attempts: a greedy judge would write the same text again."""
    reference_categories: Unique[str] = ("math", "reasoning", "coding")
    """Categories that are judged against a reference answer (FastChat, NEED_REF_CATS)."""
    raw_suffix: str = "\n"
    """Put behind each question, and each answer that another question follows, where the untouched base model
    is asked raw: the prompt is then plain text without any roles."""

    @field_validator("temperatures")
    @classmethod
    def _unnamed_keep_the_published(cls, value: dict[str, float]) -> dict[str, float]:
        return PUBLISHED_TEMPERATURES | value


@dataclass(frozen=True)
class Question:
    """Two user turns; the second refers to the first."""

    id: QuestionId
    category: str
    turns: tuple[str, str]


@dataclass(frozen=True)
class Answer:
    """A model's answers to both turns of a question."""

    model: str
    turns: tuple[str, str]


@dataclass(frozen=True)
class JudgePrompt:
    """A published prompt: system text (may be empty) and template."""

    name: str
    system: str
    template: str


@dataclass(frozen=True)
class Grading:
    """One turn of one answer, as a judge is asked about it."""

    question: Question
    turn: int
    """1 or 2; the second turn is judged with the first in sight."""
    prompt: JudgePrompt
    user_prompt: str
    """The filled template."""

    @property
    def id(self) -> str:
        return f"{self.question.id}/{self.turn}"

    def request_prompt(self, chat: bool) -> str | list[dict[str, str]]:
        """What a judge is sent: messages, or, where it continues plain text, all of it as one string.

        An empty system text is left out.
        """
        system = self.prompt.system
        if chat:
            return chat_messages(self.user_prompt, system or None)
        return f"{system}\n\n{self.user_prompt}" if system else self.user_prompt


def load_questions(path: str | Path) -> list[Question]:
    """Read questions in FastChat's format.

    Raises InputError, naming file and line, for a torn line, a repeated id, a missing category, or a question
    that has not exactly two turns.
    """
    questions = []
    for id, (line, row) in _by_question(path, _numbered(path)).items():
        where = f"{path}: line {line}, question {id!r}"
        if not isinstance(row.get("category"), str):
            raise InputError(f"{where}: found category {row.get('category')!r}, but it must be a text; add it.")
        questions.append(Question(id, row["category"], _two_turns(row, where)))
    if not questions:
        raise InputError(f"{path}: the file has no questions; restore it.")
    return questions


def load_answers(path: str | Path, questions: Sequence[Question], model: str | None = None) -> dict[QuestionId, Answer]:
    """Read one model's answers in FastChat's format; of several choices the first counts, as in FastChat.

    model: whose answers, where the file holds those of several models.

    Raises InputError, naming file and ids or line, for a torn line, a repeated id, answers of several models or
    to another question set, and an answer that has not exactly two turns.
    """
    lines = _numbered(path)
    for line, row in lines:
        if not isinstance(row.get("model_id"), str):
            raise InputError(
                f"{path}: line {line}: found model_id {row.get('model_id')!r}, but a text is needed; add it."
            )
    models = {row["model_id"] for _, row in lines}
    if len(models) > 1:
        lines = _of_model(path, "answers", lines, "model_id", model)
    rows = _by_question(path, lines)
    _check_same_ids(path, "answers", [question.id for question in questions], list(rows))
    answers = {}
    for question in questions:
        line, row = rows[question.id]
        where = f"{path}: line {line}, question {question.id!r}"
        answers[question.id] = Answer(row["model_id"], _two_turns(_first_choice(row, where), where))
    return answers


def load_references(
    path: str | Path | None, questions: Sequence[Question], categories: Sequence[str]
) -> dict[QuestionId, tuple[str, str]]:
    """Read the reference answers of the questions in `categories`; references of other questions are left out.

    Raises InputError as load_answers does, and, naming the ids, if a question that needs a reference has none.
    """
    needed = [question.id for question in questions if question.category in categories]
    if path is None:
        if needed:
            raise InputError(
                f"the benchmark's key references (--references): it names no file, but questions {_some(needed)} need "
                "a reference; name one, or change the key reference_categories."
            )
        return {}
    rows = _by_question(path, _numbered(path))
    if missing := [id for id in needed if id not in rows]:
        raise InputError(
            f"{path}: no reference answer for {len(missing)} of the {len(needed)} questions that need one "
            f"({_some(missing)}); add them, or change the benchmark's key reference_categories."
        )
    turns = {}
    for id in needed:
        where = f"{path}: line {rows[id][0]}, question {id!r}"
        turns[id] = _two_turns(_first_choice(rows[id][1], where), where)
    return turns


def load_judge_prompts(path: str | Path) -> dict[str, JudgePrompt]:
    """Read the four prompts for single answers, by name; others in the file, such as pairwise ones, are left out.

    Raises InputError, naming file and prompt, if one is missing or repeated, if its texts are no texts, or if
    its template has not just the placeholders of its kind.
    """
    prompts: dict[str, JudgePrompt] = {}
    for line, row in _numbered(path):
        name = row.get("name")
        if not isinstance(name, str) or name not in PLACEHOLDERS:
            continue
        where = f"{path}: line {line}, judge prompt {name!r}"
        if name in prompts:
            raise InputError(f"{where}: the file has it twice; remove one.")
        for key in ("system_prompt", "prompt_template"):
            if not isinstance(row.get(key), str):
                raise InputError(f"{where}: found {key} {row.get(key)!r}, but it must be a text; add it.")
        _check_placeholders(row["prompt_template"], PLACEHOLDERS[name], where)
        prompts[name] = JudgePrompt(name, row["system_prompt"], row["prompt_template"])
    if missing := [name for name in PLACEHOLDERS if name not in prompts]:
        raise InputError(f"{path}: the judge prompt {listed(missing)} is missing; add it.")
    return prompts


def answer_prompt(
    question: Question, first_answer: str | None, *, chat: bool, system_prompt: str | None, raw_suffix: str
) -> str | list[dict[str, str]]:
    """Return what a checkpoint is asked: turn 1 where `first_answer` is None, else turn 2 behind that answer.

    In a chat these are messages. Raw it is question, suffix, and for turn 2 also first answer, suffix, second
    question, suffix: plain text without roles.
    """
    first, second = question.turns
    if chat:
        messages = chat_messages(first, system_prompt)
        if first_answer is not None:
            messages += [{"role": "assistant", "content": first_answer}, {"role": "user", "content": second}]
        return messages
    texts = [first] if first_answer is None else [first, first_answer, second]
    return "".join(text + raw_suffix for text in texts)


def answer_sampling(category: str, temperatures: Mapping[str, float], max_tokens: int) -> Sampling:
    """Return how an answer to a question of this category is sampled."""
    temperature = temperatures.get(category, OTHER_TEMPERATURE)
    return Sampling(temperature=0.0 if temperature < GREEDY_BELOW else temperature, max_tokens=max_tokens)


def gradings(
    questions: Sequence[Question],
    answers: Mapping[QuestionId, Answer],
    references: Mapping[QuestionId, tuple[str, str]],
    prompts: Mapping[str, JudgePrompt],
) -> list[Grading]:
    """Return what a judge is asked: both turns of each question, with the reference where it has one."""
    asked = []
    for question in questions:
        texts = _texts(question, answers[question.id], references.get(question.id))
        name = "single-math-v1" if question.id in references else "single-v1"
        for turn, prompt in enumerate((prompts[name], prompts[f"{name}-multi-turn"]), start=1):
            asked.append(Grading(question, turn, prompt, prompt.template.format(**texts)))
    return asked


def ask_judge(
    judge: "Judge",
    asked: Sequence[Grading],
    *,
    sampling: Sampling,
    retry_temperature: float,
    attempts: int,
    seed: int,
    folder: Path,
) -> dict[str, list[Completion]]:
    """Ask for every judgment until it has a rating, at most `attempts` times, through the journal in `folder`.

    The first attempt is sampled as `sampling` says, later ones at `retry_temperature`; each has its own seed.
    Returns the completions of each grading, by its id, in the order in which they were asked for.
    """
    completions: dict[str, list[Completion]] = {grading.id: [] for grading in asked}
    for attempt in range(attempts):
        if attempt == 1:
            sampling = sampling.model_copy(update={"temperature": retry_temperature})
        pending = [grading for grading in asked if _unrated(completions[grading.id])]
        if not pending:
            break
        requests = [
            Request(
                grading.id,
                grading.request_prompt(judge.settings.chat),
                sampling,
                derive_seed(seed, grading.question.id, grading.turn, attempt),
            )
            for grading in pending
        ]
        for completion in complete_with_journal(judge, requests, folder):
            completions[completion.id].append(completion)
    return completions


def judgment_row(grading: Grading, model: str, judge: str, completions: Sequence[Completion]) -> dict:
    """Return the row of a judgment, FastChat's keys first; the last completion is the one that counts.

    It has `expected_score` (see expected_rating) where the judge reported log-probabilities.
    """
    last = completions[-1]
    row = _judgment(grading, model, judge, last.text) | {
        "asked": len(completions),
        "finish_reason": last.finish_reason,
    }
    if last.logprobs is not None:
        row["expected_score"] = None if row["score"] is None else expected_rating(last.logprobs)
    return row


def take_judgments(path: str | Path, model: str | None, asked: Sequence[Grading]) -> list[dict]:
    """Read the published judgments of one model in FastChat's format, in the order of `asked`.

    model: which of the file's models; None takes the only one. A row's key `prompt_checked` says whether the
    file has the judge's prompt, which then equals the rebuilt one. A published score of -1 or null is missing.

    Raises InputError, naming file and line or ids, for a torn line, an unknown model, a judgment too many or
    too few, and for a row whose prompt, judge prompt or score is not what the published rules give.
    """
    rows: dict[tuple, tuple[int, dict]] = {}
    for line, row in _rows_of(path, model):
        where = f"{path}: line {line}"
        key = (row.get("question_id"), row.get("turn"))
        if not isinstance(key[0], QuestionId) or key[1] not in range(1, TURNS + 1):
            raise InputError(
                f"{where}: found question_id {key[0]!r} and turn {key[1]!r}; a turn is 1 or 2, correct it."
            )
        if key in rows:
            raise InputError(
                f"{where} judges question {key[0]!r}, turn {key[1]}, of {row['model']!r} as line {rows[key][0]} "
                "does; remove one."
            )
        rows[key] = line, row
    for turn in range(1, TURNS + 1):
        expected = [grading.question.id for grading in asked if grading.turn == turn]
        _check_same_ids(path, f"judgments of turn {turn}", expected, [id for id, of in rows if of == turn])
    return [_taken_row(*rows[grading.question.id, grading.turn], grading, path) for grading in asked]


def parse_rating(judgment: str) -> float | None:
    """Read a judge's rating as FastChat does: the first `[[7]]`, or else the first `[7]`; None without any.

    A rating outside 1 to 10 is returned as it is, since published means have it in: dropping it here would make
    a number that cannot be compared with them. The result record counts such ratings.
    """
    found = _find_rating(judgment)
    if found is None or math.isinf(rating := float(found[1])):
        return None
    return int(rating) if rating.is_integer() else rating


def expected_rating(tokens: Sequence[TokenLogprob]) -> float | None:
    """Return the mean over what the judge might have written in place of its rating's first token, weighted by
    probability; None if the judgment has no rating, or none from 1 to 10 is among the alternatives.

    The written token stands for the written rating; an alternative counts if it is a whole number from 1 to 10.
    Where a tokenizer spells 10 in two tokens, the alternative `1` counts as 1.
    """
    found = _find_rating("".join(token.token for token in tokens))
    if found is None:
        return None
    end = 0
    for written in tokens:
        end += len(written.token)
        if end > found.start(1):
            break
    ratings = {
        token: float(number[1]) for token in written.top if (number := WHOLE_NUMBER.fullmatch(token)) is not None
    } | {written.token: float(found[1])}
    logprobs = written.top | {written.token: written.logprob}
    weights = {
        token: math.exp(logprobs[token])
        for token, rating in ratings.items()
        if LOWEST_RATING <= rating <= HIGHEST_RATING
    }
    total = sum(weights.values())
    return sum(weight * ratings[token] for token, weight in weights.items()) / total if total else None


def score_rows(judgments: Sequence[dict]) -> list[dict]:
    """Return the scores of a result record, one a metric of `metric_groups`.

    n counts turns; those without a rating are left out of the means.
    """
    return [
        {"metric": metric, **clustered_mean((row["question_id"], row.get(key)) for row in rows)}
        for metric, (rows, key) in metric_groups(judgments).items()
    ]


def metric_groups(judgments: Sequence[dict]) -> dict[str, tuple[list[dict], str]]:
    """Metric → the judged turns that it is the mean of, and the key of their rating.

    `average` over all judged turns (FastChat's show_result), `turn_<t>`, `category_<name>`, `turn_<t>_category_<name>`
    (arXiv 2408.08072, table 12), and `expected_average` where judgments have an expected score.
    """
    categories = dict.fromkeys(row["category"] for row in judgments)
    by_turn = {turn: [row for row in judgments if row["turn"] == turn] for turn in range(1, TURNS + 1)}
    groups = {"average": list(judgments)} | {f"turn_{turn}": rows for turn, rows in by_turn.items()}
    for prefix, rows in [("", judgments), *((f"turn_{turn}_", rows) for turn, rows in by_turn.items())]:
        for category in categories:
            groups[f"{prefix}category_{category}"] = [row for row in rows if row["category"] == category]
    metrics = {metric: (rows, "score") for metric, rows in groups.items()}
    if any("expected_score" in row for row in judgments):
        metrics["expected_average"] = list(judgments), "expected_score"
    return metrics


def clustered_mean(values: Iterable[tuple[QuestionId, float | None]]) -> dict:
    """Return `value`, `standard_error`, `n` and `n_valid` of the mean over (question, value), None being missing.

    Questions are what was sampled, and the two turns of one are not independent, so the error is the
    cluster-robust one: sqrt(m / (m - 1) * sum over questions of (sum of its deviations from the mean)²) / n_valid
    with m questions. For one value a question it is the sample standard deviation over sqrt(m); for m < 2 null.
    """
    values = list(values)
    valid = [(question, value) for question, value in values if value is not None]
    mean = sum(value for _, value in valid) / len(valid) if valid else None
    deviations: dict[QuestionId, float] = {}
    for question, value in valid:
        deviations[question] = deviations.get(question, 0.0) + value - mean
    m, squares = len(deviations), sum(deviation**2 for deviation in deviations.values())
    error = math.sqrt(m / (m - 1) * squares) / len(valid) if m > 1 else None
    return {"value": mean, "standard_error": error, "n": len(values), "n_valid": len(valid)}


def notes(judgments: Sequence[dict]) -> list[str]:
    """Return what a reader of the scores must know of these judgments."""
    ratings = [row["score"] for row in judgments if row["score"] is not None]
    missing = len(judgments) - len(ratings)
    outside = sum(not LOWEST_RATING <= rating <= HIGHEST_RATING for rating in ratings)
    unchecked = sum(not row["prompt_checked"] for row in judgments)
    counted = {
        f"{missing} of {len(judgments)} judgments have no rating and are left out of the means.": missing,
        f"{outside} ratings lie outside {LOWEST_RATING} to {HIGHEST_RATING} and count as they are, as in "
        "FastChat.": outside,
        f"{unchecked} of {len(judgments)} published judgments came without the judge's prompt, so that they "
        "belong to these answers could not be checked.": unchecked,
    }
    return [note for note, count in counted.items() if count]


def _numbered(path: str | Path) -> list[tuple[int, dict]]:
    """(line, row) of every row of a file."""
    return list(enumerate(read_jsonl(path), start=1))


def _by_question(path: str | Path, lines: Iterable[tuple[int, dict]]) -> dict[QuestionId, tuple[int, dict]]:
    """Question id → (line, row). Raises InputError for a missing or repeated id."""
    rows: dict[QuestionId, tuple[int, dict]] = {}
    for line, row in lines:
        id = row.get("question_id")
        if not isinstance(id, QuestionId):
            raise InputError(f"{path}: line {line}: found question_id {id!r}, but a number or text is needed; add it.")
        if id in rows:
            raise InputError(f"{path}: line {line} repeats question_id {id!r} of line {rows[id][0]}; remove one.")
        rows[id] = line, row
    return rows


def _of_model(
    path: str | Path, what: str, lines: list[tuple[int, dict]], key: str, model: str | None
) -> list[tuple[int, dict]]:
    """The rows of one model, whose name is under `key`; None takes the only one."""
    models = sorted({row[key] for _, row in lines})
    if model is None and len(models) > 1:
        raise InputError(
            f"{path}: {what} of {len(models)} models ({listed(models)}); name one of them under the baseline's key "
            "model (--model)."
        )
    if model is not None and model not in models:
        raise InputError(
            f"{path}: no {what} of the model {model!r}, but of {listed(models)}; name one of them under the baseline's "
            "key model (--model)."
        )
    return [(line, row) for line, row in lines if model in (None, row[key])]


def _two_turns(row: dict, where: str) -> tuple[str, str]:
    turns = row.get("turns")
    if not isinstance(turns, list) or len(turns) != TURNS or not all(isinstance(turn, str) for turn in turns):
        found = f"a list of {len(turns)}" if isinstance(turns, list) else repr(turns)
        raise InputError(f"{where}: 'turns' is {found}, but it must be a list of {TURNS} texts; complete it.")
    return tuple(turns)


def _first_choice(row: dict, where: str) -> dict:
    choices = row.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise InputError(f"{where}: no answer under 'choices'; give a list whose first object has the 'turns'.")
    return choices[0]


def _check_same_ids(path: str | Path, what: str, expected: Sequence[QuestionId], found: Sequence[QuestionId]) -> None:
    missing = [id for id in expected if id not in set(found)]
    unknown = [id for id in found if id not in set(expected)]
    if missing or unknown:
        parts = [
            f"{name} {len(ids)} ({_some(ids)})" for name, ids in (("missing", missing), ("unknown", unknown)) if ids
        ]
        raise InputError(
            f"{path}: the {what} do not belong to the {len(expected)} questions: question_id {', '.join(parts)}; "
            "give the file for this question set."
        )


def _some(ids: Sequence[QuestionId], most: int = 5) -> str:
    return listed([repr(id) for id in ids[:most]]) + (", …" if len(ids) > most else "")


def _check_placeholders(template: str, needed: set[str], where: str) -> None:
    """`str.format` fills the templates, as in FastChat: so `{{` is a brace."""
    try:
        found = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise InputError(f"{where}: the template cannot be filled ({error}); write a literal brace twice.") from None
    if missing := sorted(needed - found):
        raise InputError(
            f"{where}: the template lacks the placeholder {listed([f'{{{n}}}' for n in missing])}; add it."
        )
    if unknown := sorted(found - needed):
        raise InputError(
            f"{where}: the template has the unknown placeholder {{{unknown[0]}}}{nearest(unknown[0], sorted(needed))}; "
            "remove it, or write a literal brace twice."
        )


def _texts(question: Question, answer: Answer, reference: tuple[str, str] | None) -> dict[str, str]:
    texts = {"question": question.turns[0], "answer": answer.turns[0]}
    for turn in range(1, TURNS + 1):
        texts[f"question_{turn}"] = question.turns[turn - 1]
        texts[f"answer_{turn}"] = answer.turns[turn - 1]
        if reference is not None:
            texts[f"ref_answer_{turn}"] = reference[turn - 1]
    return texts


def _unrated(completions: Sequence[Completion]) -> bool:
    return not completions or parse_rating(completions[-1].text) is None


def _find_rating(judgment: str) -> re.Match | None:
    return RATING.search(judgment) or RATING_FALLBACK.search(judgment)


def _judgment(grading: Grading, model: str, judge: str, text: str, prompt_checked: bool = True) -> dict:
    return {
        "question_id": grading.question.id,
        "model": model,
        "judge": [judge, grading.prompt.name],
        "user_prompt": grading.user_prompt,
        "judgment": text,
        "score": parse_rating(text),
        "turn": grading.turn,
        "category": grading.question.category,
        "prompt_checked": prompt_checked,
    }


def _rows_of(path: str | Path, model: str | None) -> list[tuple[int, dict]]:
    """(line, row) of the rows of one model, each with its texts."""
    rows = _numbered(path)
    for line, row in rows:
        for key in ("model", "judgment"):
            if not isinstance(row.get(key), str):
                raise InputError(
                    f"{path}: line {line}: found {key} {row.get(key)!r}, but a judgment of a single answer has a text "
                    "there; give a file of such judgments."
                )
    return _of_model(path, "judgments", rows, "model", model)


def _taken_row(line: int, row: dict, grading: Grading, path: str | Path) -> dict:
    where = f"{path}: line {line}, question {grading.question.id!r}, turn {grading.turn}"
    judge = row.get("judge")
    if not isinstance(judge, list) or len(judge) != 2 or judge[1] != grading.prompt.name:
        raise InputError(
            f"{where}: found judge {judge!r}, but it must be the judge's name and the judge prompt "
            f"{grading.prompt.name!r}; check the categories that need references."
        )
    given = row.get("user_prompt")
    if given not in (None, grading.user_prompt):
        pairs = enumerate(zip_longest(str(given), grading.user_prompt), start=1)
        place = next(place for place, (stored, rebuilt) in pairs if stored != rebuilt)
        raise InputError(
            f"{where}: the judge's prompt is not the one that questions, references, answers and judge prompts "
            f"give (they differ from character {place} on); take the files that the judgments were made from."
        )
    taken = _judgment(grading, row["model"], judge[0], row["judgment"], prompt_checked=given is not None)
    stored = None if row.get("score") == -1 else row.get("score")
    if stored != taken["score"]:
        raise InputError(
            f"{where}: found score {row.get('score')!r}, but the judgment's text gives {taken['score']!r} by the "
            "published patterns; restore the row."
        )
    return taken

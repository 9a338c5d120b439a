"""MT-Bench: two-turn answers, what a judge is asked, which ratings are read, and the published numbers."""

import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

import answer_mt_bench
import judge_mt_bench
from isheep.benchmarks.judges import JudgeSettings
from isheep.benchmarks.mt_bench import (
    PLACEHOLDERS,
    MtBenchSettings,
    answer_sampling,
    clustered_mean,
    expected_rating,
    gradings,
    load_answers,
    load_judge_prompts,
    load_questions,
    load_references,
    notes,
    parse_rating,
    score_rows,
    take_judgments,
)
from isheep.engine.engine import Completion, Sampling, TokenLogprob
from isheep.files.records import InputError, read_jsonl, write_jsonl

SCRIPTS = Path(__file__).parents[3] / "scripts"
REFERENCE_CATEGORIES = ("math", "reasoning", "coding")

QUESTIONS = [
    {"question_id": 1, "category": "writing", "turns": ["Write {one} line.", "Now in capitals."]},
    {"question_id": 2, "category": "math", "turns": ["What is 2 + 3?", "And twice that?"]},
    {"question_id": "c", "category": "chess", "turns": ["Name a piece.", "How does it move?"]},
]
ANSWERS = [
    {"question_id": id, "model_id": "m", "choices": [{"index": 0, "turns": [f"first {id}", f"second {id}"]}]}
    for id in ("c", 1, 2)
]
REFERENCES = [{"question_id": 2, "choices": [{"index": 0, "turns": ["5", "10"]}]}]
PROMPTS = [
    {
        "name": name,
        "type": "single",
        "system_prompt": "Be fair." if "multi" in name else "",
        "prompt_template": f"{name}: " + " | ".join(f"{{{field}}}" for field in sorted(fields)) + " {{}}",
        "output_format": "[[rating]]",
    }
    for name, fields in PLACEHOLDERS.items()
]
PAIRWISE = {"name": "pair-v2", "type": "pairwise", "system_prompt": "", "prompt_template": "{answer_a}"}


@pytest.fixture
def files(tmp_path) -> SimpleNamespace:
    """A question set of our own and one model's answers, as files."""
    contents = {"questions": QUESTIONS, "answers": ANSWERS, "references": REFERENCES, "prompts": [PAIRWISE, *PROMPTS]}
    paths = {name: tmp_path / f"{name}.jsonl" for name in contents}
    for name, rows in contents.items():
        write_jsonl(paths[name], rows)
    return SimpleNamespace(folder=tmp_path, **paths)


def asked_of(files: SimpleNamespace) -> list:
    questions = load_questions(files.questions)
    references = load_references(files.references, questions, REFERENCE_CATEGORIES)
    return gradings(questions, load_answers(files.answers, questions), references, load_judge_prompts(files.prompts))


def published_rows(files: SimpleNamespace, model: str = "m") -> list[dict]:
    """A published file of judgments that fits the question set: every turn is rated 7."""
    return [
        {
            "question_id": grading.question.id,
            "model": model,
            "judge": ["gpt-4", grading.prompt.name],
            "user_prompt": grading.user_prompt,
            "judgment": "Fair. Rating: [[7]]",
            "score": 7,
            "turn": grading.turn,
            "tstamp": 1.5,
        }
        for grading in asked_of(files)
    ]


def run_program(name: str, *flags: object) -> subprocess.CompletedProcess:
    command = [sys.executable, SCRIPTS / f"{name}_mt_bench.py", *flags]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


# --- ratings


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ("Rating: [[7]]", 7),
        ("Rating: [[8.5]]", 8.5),
        ("Rating: [[9.]]", 9),
        ("[[3]] or rather [[4]]", 3),
        ("See item [2]. Rating: [[6]]", 6),
        ("Rating: [6]", 6),
        ("[5] then [6]", 5),
        ("[[10]]", 10),
        ("[[0]]", 0),
        ("[[11]]", 11),
    ],
)
def test_a_rating_is_read_as_published(text, rating):
    assert parse_rating(text) == rating


@pytest.mark.parametrize("text", ["", "7", "Rating: 7/10", "[[rating]]", "[[-1]]", "[[ 7 ]]", f"[[{'9' * 400}]]"])
def test_a_judgment_without_a_rating_is_missing(text):
    assert parse_rating(text) is None


def tokens(*texts: str, top: dict[str, dict[str, float]]) -> tuple[TokenLogprob, ...]:
    """Tokens, each of probability 1 but those with alternatives: token → {alternative: probability}."""
    return tuple(
        TokenLogprob(
            text,
            math.log(top.get(text, {text: 1.0})[text]),
            {token: math.log(share) for token, share in top.get(text, {text: 1.0}).items()},
        )
        for text in texts
    )


def test_the_expected_rating_weighs_the_numbers_that_could_stand_there():
    written = tokens("See", " [3]", ": [[", "8", "]]", top={"8": {"8": 0.5, "6": 0.25, "x": 0.15, "42": 0.1}})
    assert expected_rating(written) == pytest.approx((0.5 * 8 + 0.25 * 6) / 0.75)
    in_two_tokens = tokens("[[", "1", "0", "]]", top={"1": {"1": 0.8, "9": 0.2}})
    assert expected_rating(in_two_tokens) == pytest.approx(0.8 * 10 + 0.2 * 9)
    assert expected_rating(tokens("no", " number", top={})) is None


def test_a_written_token_outside_the_reported_alternatives_counts_too():
    unlikely = (TokenLogprob("[[", 0.0, {}), TokenLogprob("4", math.log(0.2), {"8": math.log(0.6)}))
    assert expected_rating((*unlikely, TokenLogprob("]]", 0.0, {}))) == pytest.approx((0.2 * 4 + 0.6 * 8) / 0.8)


# --- answers


def test_temperatures_are_the_published_ones_unless_named():
    settings = MtBenchSettings(kind="mt_bench", questions="q", judge_prompts="p", judge="j", temperatures={"stem": 0.5})
    expected = {"writing": 0.7, "roleplay": 0.7, "math": 0, "stem": 0.5, "humanities": 0.1, "chess": 0.7}
    found = {category: answer_sampling(category, settings.temperatures, 9) for category in expected}
    assert {category: sampling.temperature for category, sampling in found.items()} == expected
    assert answer_sampling("math", {"math": 0.00009}, 9) == Sampling(temperature=0, max_tokens=9)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        MtBenchSettings(kind="mt_bench", questions="q", judge_prompts="p", judge="j", temperatures={"stem": -1})


@pytest.fixture
def answering(files, scripted_engine, monkeypatch):
    """Run the answering program on an engine that writes `said(request)`; returns its requests and its rows."""

    def answer(*flags: str, said=lambda request: f" reply to {request.seed} \n", output="out.jsonl"):
        requests = []

        def write(request):
            requests.append(request)
            return [*engine.tokenizer.encode(said(request)), engine.tokenizer.eos_token_id]

        engine = scripted_engine(write)
        monkeypatch.setattr(answer_mt_bench, "open_requested_engine", lambda *_: engine)
        common = ["--questions", files.questions, "--answers", files.folder / output, "--checkpoint", "c"]
        common += ["--answered-by", files.folder / "answered_by.json"]
        common += ["--model-id", "mine", "--engine", "{}", "--seed", "5", "--max-tokens", "40"]
        common += ["--temperatures", json.dumps({"writing": 0.7, "math": 0.0})]
        answer_mt_bench.answer(answer_mt_bench.parser.parse_args([*map(str, common), *flags]))
        return requests, read_jsonl(files.folder / output)

    return answer


def test_the_second_turn_sees_the_first_answer_in_the_models_own_chat(answering):
    requests, rows = answering("--chat", "--system-prompt", "Be brief.")
    first = rows[0]["choices"][0]["turns"][0]
    assert first == f"reply to {requests[0].seed}"
    assert requests[0].prompt == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Write {one} line."},
    ]
    assert requests[3].prompt == [
        *requests[0].prompt,
        {"role": "assistant", "content": first},
        {"role": "user", "content": "Now in capitals."},
    ]
    assert [row["question_id"] for row in rows] == [1, 2, "c"]
    assert rows[0]["model_id"] == "mine"
    assert rows[0]["finish_reasons"] == ["stop", "stop"]


def test_a_base_model_is_asked_in_plain_text(answering):
    requests, rows = answering("--raw", "--raw-suffix", "\n")
    first = rows[1]["choices"][0]["turns"][0]
    assert requests[1].prompt == "What is 2 + 3?\n"
    assert requests[4].prompt == f"What is 2 + 3?\n{first}\nAnd twice that?\n"


def test_each_request_has_its_categorys_temperature_and_its_own_seed(answering):
    requests, _ = answering("--chat")
    assert [request.sampling.temperature for request in requests] == [0.7, 0.0, 0.7] * 2
    assert {request.sampling.max_tokens for request in requests} == {40}
    assert len({request.seed for request in requests}) == 6


def test_answers_of_a_killed_job_are_not_written_again(answering, files):
    def dies_in_the_second_turn(request):
        if len(request.prompt) > 1:
            raise KeyboardInterrupt
        return f"reply to {request.seed}"

    with pytest.raises(KeyboardInterrupt):
        answering("--chat", said=dies_in_the_second_turn)
    assert not (files.folder / "out.jsonl").exists()
    requests, rows = answering("--chat", said=lambda request: f"reply to {request.seed}")
    assert len(requests) == 3
    _, undisturbed = answering("--chat", said=lambda request: f"reply to {request.seed}", output="other.jsonl")
    assert rows == undisturbed


def test_published_answers_are_checked_and_put_in_order(files):
    out = files.folder / "taken.jsonl"
    done = run_program(
        "answer", "--take", files.answers, "--questions", files.questions, "--answers", out, *by(files.folder)
    )
    assert done.returncode == 0, done.stderr
    assert read_jsonl(out) == [ANSWERS[1], ANSWERS[2], ANSWERS[0]]
    others = [row | {"model_id": "other"} for row in ANSWERS]
    write_jsonl(files.answers, [*others, *ANSWERS])
    questions = load_questions(files.questions)
    assert {answer.model for answer in load_answers(files.answers, questions, "other").values()} == {"other"}
    with pytest.raises(InputError, match=r"answers of 2 models \(m, other\); name one"):
        load_answers(files.answers, questions)


# --- what the judge is asked


def test_each_turn_has_its_prompt_with_a_reference_where_its_category_has_one(files):
    asked = {grading.id: grading for grading in asked_of(files)}
    assert list(asked) == ["1/1", "1/2", "2/1", "2/2", "c/1", "c/2"]
    assert asked["1/1"].user_prompt == "single-v1: first 1 | Write {one} line. {}"
    assert asked["2/1"].user_prompt == "single-math-v1: first 2 | What is 2 + 3? | 5 {}"
    assert asked["2/2"].user_prompt == (
        "single-math-v1-multi-turn: first 2 | second 2 | What is 2 + 3? | And twice that? | 5 | 10 {}"
    )
    assert asked["c/2"].prompt.name == "single-v1-multi-turn"
    assert asked["1/1"].request_prompt(chat=True) == [{"role": "user", "content": asked["1/1"].user_prompt}]
    assert asked["1/1"].request_prompt(chat=False) == asked["1/1"].user_prompt
    assert asked["1/2"].request_prompt(chat=True)[0] == {"role": "system", "content": "Be fair."}
    assert asked["1/2"].request_prompt(chat=False) == f"Be fair.\n\n{asked['1/2'].user_prompt}"


def used(requests: int) -> dict:
    """What a scripted judge has used."""
    tokens = {"prompt_tokens": 10 * requests, "completion_tokens": 5 * requests}
    return {"requests": requests, **tokens, "cost": None, "currency": None}


class ScriptedJudge:
    """Answers with `say(request, how often the request's id was asked before)`."""

    def __init__(self, say, chat=True):
        self.settings = JudgeSettings(model="scripted", chat=chat)
        self.identity = {"judge": "scripted"}
        self.requests, self._say = [], say

    def complete(self, requests):
        for request in requests:
            before = sum(request.id == earlier.id for earlier in self.requests)
            self.requests.append(request)
            said = self._say(request, before)
            text, logprobs = said if isinstance(said, tuple) else (said, None)
            yield Completion(request.id, text, "stop", 10, 5, logprobs)


@pytest.fixture
def judging(files, monkeypatch):
    """Run the judging program with a scripted judge; returns its judgments and its usage record."""

    def run(judge: ScriptedJudge, top_logprobs: int = 0):
        monkeypatch.setattr(judge_mt_bench, "open_requested_judge", lambda arguments, journal: judge)
        judge_mt_bench.judge(judge_mt_bench.parser.parse_args(judge_flags(files, top_logprobs)))
        return read_jsonl(files.folder / "judgments.jsonl"), json.loads((files.folder / "usage.json").read_text())

    return run


def judge_flags(files: SimpleNamespace, top_logprobs: int = 0) -> list[str]:
    """The judging program's command line: three attempts, the later ones at temperature 0.6."""
    sampling = Sampling(temperature=0, max_tokens=50, top_logprobs=top_logprobs).model_dump_json()
    flags = ["--judge", '{"model": "scripted", "chat": false}', "--sampling", sampling, "--seed", 5]
    flags += ["--judgment-attempts", 3, "--retry-temperature", 0.6]
    return [*flags_of(files), *map(str, flags)]


def flags_of(files: SimpleNamespace) -> list[str]:
    """What the judging program is given whether or not it asks a judge."""
    outputs = ["--judgments", files.folder / "judgments.jsonl", "--usage", files.folder / "usage.json"]
    inputs = ["--questions", files.questions, "--answers", files.answers, "--references", files.references]
    inputs += ["--judge-prompts", files.prompts, "--reference-categories", *REFERENCE_CATEGORIES]
    return list(map(str, [*inputs, *outputs]))


def by(folder: Path) -> list:
    """The flag with the file that says who answered."""
    return ["--answered-by", folder / "answered_by.json"]


def score_of(files: SimpleNamespace) -> tuple[dict, dict]:
    """The result record, and its scores by metric, of the judgments that a test has made."""
    flags = ["--judgments", files.folder / "judgments.jsonl", "--usage", files.folder / "usage.json"]
    answered_by = files.folder / "answered_by.json"
    if not answered_by.exists():
        answered_by.write_text("{}")
    flags += by(files.folder)
    flags += ["--items", files.folder / "items.jsonl", "--result", files.folder / "result.json", "--benchmark", "b"]
    done = run_program("score", *flags)
    assert done.returncode == 0, done.stderr
    result = json.loads((files.folder / "result.json").read_text())
    return result, {row["metric"]: row for row in result["scores"]}


def test_an_unparsable_judgment_is_asked_again_and_then_missing(files, judging):
    def say(request, before):
        if request.id == "2/2":
            return "I cannot say."
        return "Good. [[8]]" if request.id != "1/1" or before == 1 else "Good."

    judge = ScriptedJudge(say)
    judgments, record = judging(judge)
    by_id = {(row["question_id"], row["turn"]): row for row in judgments}
    assert (by_id[1, 1]["score"], by_id[1, 1]["asked"]) == (8, 2)
    assert (by_id[2, 2]["score"], by_id[2, 2]["asked"]) == (None, 3)
    assert by_id["c", 1]["asked"] == 1
    stubborn = [request for request in judge.requests if request.id == "2/2"]
    assert [request.sampling.temperature for request in stubborn] == [0, 0.6, 0.6]
    assert len({request.seed for request in judge.requests}) == len(judge.requests) == 9
    assert record["judge"] == {"identity": {"judge": "scripted"}, "usage": used(9)}

    result, scores = score_of(files)
    assert (scores["average"]["value"], scores["average"]["n"], scores["average"]["n_valid"]) == (8, 6, 5)
    assert (scores["turn_2"]["n"], scores["turn_2"]["n_valid"]) == (3, 2)
    assert (scores["category_math"]["value"], scores["category_math"]["n_valid"]) == (8, 1)
    assert result["notes"] == ["1 of 6 judgments have no rating and are left out of the means."]
    assert result["seed"] == 5
    read = {Path(file).name for file in result["made_from"]["files"]}
    assert {Path(file).name for file in (files.questions, files.references, files.prompts, files.answers)} <= read
    assert len(read_jsonl(files.folder / "items.jsonl")) == 6


def test_judgments_of_a_killed_job_are_not_asked_again(judging):
    def dies(request, before):
        if request.id == "c/1":
            raise KeyboardInterrupt
        return "[[8]]" if before else "?"

    with pytest.raises(KeyboardInterrupt):
        judging(ScriptedJudge(dies))
    second = ScriptedJudge(lambda request, before: "[[8]]")
    judgments, record = judging(second)
    assert [request.id for request in second.requests][:2] == ["c/1", "c/2"]
    assert len(second.requests) == 6
    assert [row["asked"] for row in judgments] == [2, 2, 2, 2, 1, 1]
    assert record["judge"]["usage"] == used(10)


def test_a_judge_that_reports_log_probabilities_gives_expected_scores(files, judging):
    certain = tokens("[[", "8", "]]", top={"8": {"8": 0.5, "4": 0.5}})
    judgments, _ = judging(
        ScriptedJudge(lambda request, before: ("[[8]]", certain) if request.id != "c/2" else ("eight", certain)),
        top_logprobs=2,
    )
    assert [row["expected_score"] for row in judgments] == [pytest.approx(6)] * 5 + [None]
    _, scores = score_of(files)
    assert scores["average"]["value"] == 8
    assert scores["expected_average"]["value"] == pytest.approx(6)
    assert (scores["expected_average"]["n"], scores["expected_average"]["n_valid"]) == (6, 5)


def test_a_set_without_any_rating_has_no_average(files, judging):
    judging(ScriptedJudge(lambda request, before: "", chat=False))
    _, scores = score_of(files)
    assert (scores["average"]["value"], scores["average"]["standard_error"]) == (None, None)
    assert (scores["average"]["n"], scores["average"]["n_valid"]) == (6, 0)


def test_a_checkpoint_answers_and_judges(files, tiny_checkpoint):
    common = ["--engine", "{}", "--seed", "5", "--questions", files.questions, "--answers", files.answers]
    asks = [
        "--checkpoint",
        tiny_checkpoint,
        "--chat",
        "--model-id",
        "tiny",
        "--temperatures",
        "{}",
        "--max-tokens",
        "9",
    ]
    answer_mt_bench.answer(answer_mt_bench.parser.parse_args(list(map(str, [*common, *by(files.folder), *asks]))))
    flags = [*judge_flags(files), "--judge-weights", str(tiny_checkpoint), "--engine", "{}"]
    judge_mt_bench.judge(judge_mt_bench.parser.parse_args(flags))
    result, scores = score_of(files)
    judgments = read_jsonl(files.folder / "judgments.jsonl")
    assert [row["asked"] for row in judgments if row["score"] is None] == [3] * (6 - scores["average"]["n_valid"])
    assert (result["model"], scores["average"]["n"]) == ("tiny", 6)
    assert result["judge"]["usage"]["requests"] == sum(row["asked"] for row in judgments)
    assert "torch" in result["versions"]


# --- scores


def test_the_standard_error_is_that_over_questions():
    alone = clustered_mean([(1, 4.0), (2, 6.0), (3, 8.0)])
    assert alone == {"value": 6.0, "standard_error": pytest.approx(2 / math.sqrt(3)), "n": 3, "n_valid": 3}
    twice = clustered_mean([(id, value) for id, value in ((1, 4.0), (2, 6.0), (3, 8.0)) for _ in range(2)])
    assert twice["standard_error"] == pytest.approx(alone["standard_error"])
    assert clustered_mean([(1, 4.0), (1, 6.0), (2, None)]) == {
        "value": 5.0,
        "standard_error": None,
        "n": 3,
        "n_valid": 2,
    }


def test_the_scores_are_over_turns_categories_and_both():
    ratings = {(1, "math", 1): 8, (1, "math", 2): 4, (2, "math", 1): 6, (2, "math", 2): None, (3, "stem", 1): 10}
    rows = [
        {"question_id": id, "category": category, "turn": turn, "score": score}
        for (id, category, turn), score in ratings.items()
    ]
    scores = {score["metric"]: (score["value"], score["n"], score["n_valid"]) for score in score_rows(rows)}
    assert scores == {
        "average": (7, 5, 4),
        "turn_1": (8, 3, 3),
        "turn_2": (4, 2, 1),
        "category_math": (6, 4, 3),
        "category_stem": (10, 1, 1),
        "turn_1_category_math": (7, 2, 2),
        "turn_1_category_stem": (10, 1, 1),
        "turn_2_category_math": (4, 2, 1),
        "turn_2_category_stem": (None, 0, 0),
    }


def test_a_rating_off_the_scale_counts_and_is_told(files):
    rows = published_rows(files)
    rows[0] |= {"judgment": "[[0]]", "score": 0}
    rows[1] |= {"judgment": "none", "score": -1}
    del rows[2]["user_prompt"]
    write_jsonl(files.folder / "published.jsonl", rows)
    taken = take_judgments(files.folder / "published.jsonl", None, asked_of(files))
    assert [row["score"] for row in taken] == [0, None, 7, 7, 7, 7]
    assert score_rows(taken)[0]["value"] == pytest.approx(28 / 5)
    missing, outside, unchecked = notes(taken)
    assert missing.startswith("1 of 6 judgments have no rating")
    assert outside.startswith("1 ratings lie outside 1 to 10")
    assert unchecked.startswith("1 of 6 published judgments came without the judge's prompt")


# --- bad input


def change(rows: list[dict], index: int, **changes: object) -> list[dict]:
    return [row | changes if number == index else row for number, row in enumerate(rows)]


ONE_TURN = [{"index": 0, "turns": ["only one"]}]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (ANSWERS[:2], r"question_id missing 1 \(2\)"),
        ([*ANSWERS, ANSWERS[0] | {"question_id": 7}], r"question_id unknown 1 \(7\)"),
        (change(ANSWERS, 1, question_id="1"), r"question_id missing 1 \(1\), unknown 1 \('1'\)"),
        ([*ANSWERS, ANSWERS[0]], "line 4 repeats question_id 'c' of line 1"),
        (change(ANSWERS, 1, choices=ONE_TURN), "line 2, question 1: 'turns' is a list of 1, but .* 2 texts"),
        (change(ANSWERS, 1, choices=[{"turns": ["a", None]}]), "line 2, question 1: 'turns' is"),
        (change(ANSWERS, 2, choices=[]), "line 3, question 2: no answer under 'choices'"),
        (change(ANSWERS, 0, model_id=None), "line 1: found model_id None"),
        ([], "question_id missing 3"),
    ],
)
def test_wrong_answers_are_one_sentence(files, rows, problem):
    write_jsonl(files.answers, rows)
    with pytest.raises(InputError, match=problem) as error:
        load_answers(files.answers, load_questions(files.questions))
    assert str(error.value).startswith(f"{files.answers}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (change(QUESTIONS, 0, turns=["one"]), "line 1, question 1: 'turns' is a list of 1"),
        (change(QUESTIONS, 2, category=None), "line 3, question 'c': found category None"),
        (change(QUESTIONS, 1, question_id=1), "line 2 repeats question_id 1 of line 1"),
        (change(QUESTIONS, 1, question_id=None), "line 2: found question_id None"),
        ([], "no questions"),
    ],
)
def test_wrong_questions_are_one_sentence(files, rows, problem):
    write_jsonl(files.questions, rows)
    with pytest.raises(InputError, match=problem):
        load_questions(files.questions)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (PROMPTS[1:], "the judge prompt single-v1 is missing"),
        ([*PROMPTS, PROMPTS[0]], "line 5, judge prompt 'single-v1': the file has it twice"),
        (change(PROMPTS, 0, prompt_template="{question}"), r"lacks the placeholder \{answer\}"),
        (
            change(PROMPTS, 0, prompt_template="{question} {answer} {anwser}"),
            r"unknown placeholder \{anwser\}; did you",
        ),
        (change(PROMPTS, 0, prompt_template="{question} {answer} {"), "cannot be filled"),
        (change(PROMPTS, 0, system_prompt=None), "found system_prompt None"),
    ],
)
def test_wrong_judge_prompts_are_one_sentence(files, rows, problem):
    write_jsonl(files.prompts, rows)
    with pytest.raises(InputError, match=problem):
        load_judge_prompts(files.prompts)


def test_a_missing_reference_is_told(files):
    questions = load_questions(files.questions)
    with pytest.raises(InputError, match=r"key references .*questions 1, 2 need a reference"):
        load_references(None, questions, ("math", "writing"))
    with pytest.raises(InputError, match=r"no reference answer for 1 of the 2 questions that need one \('c'\)"):
        load_references(files.references, questions, ("math", "chess"))
    assert load_references(None, questions, ()) == {}


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (
            lambda rows: rows[:-1],
            r"judgments of turn 2 do not belong to the 3 questions: question_id missing 1 \('c'\)",
        ),
        (lambda rows: change(rows, 0, question_id=9), r"turn 1 do not .* missing 1 \(1\), unknown 1 \(9\)"),
        (lambda rows: [*rows, rows[3]], "line 7 judges question 2, turn 2, of 'm' as line 4 does"),
        (lambda rows: change(rows, 3, turn=3), "line 4: found question_id 2 and turn 3"),
        (lambda rows: change(rows, 3, score=8), "line 4, question 2, turn 2: found score 8, .* gives 7"),
        (lambda rows: change(rows, 3, score=-1), "found score -1, .* gives 7"),
        (lambda rows: change(rows, 3, judgment="?"), "found score 7, .* gives None"),
        (lambda rows: change(rows, 0, user_prompt="single-v1: First"), r"differ from character 12 on"),
        (lambda rows: change(rows, 0, user_prompt=rows[0]["user_prompt"] + " "), r"differ from character 42 on"),
        (lambda rows: change(rows, 2, judge=["gpt-4", "single-v1"]), r"line 3.*judge prompt 'single-math-v1'"),
        (lambda rows: change(rows, 0, judgment=None), "line 1: found judgment None"),
        (lambda rows: change(rows, 0, model="n"), r"judgments of 2 models \(m, n\); name one of them"),
        (lambda rows: [], "question_id missing 3"),
    ],
)
def test_wrong_published_judgments_are_one_sentence(files, edit, problem):
    path = files.folder / "published.jsonl"
    write_jsonl(path, edit(published_rows(files)))
    with pytest.raises(InputError, match=problem) as error:
        take_judgments(path, None, asked_of(files))
    assert "\n" not in str(error.value)


def test_the_program_refuses_a_torn_line_and_writes_nothing(files):
    path = files.folder / "published.jsonl"
    write_jsonl(path, published_rows(files))
    path.write_text(path.read_text()[:-40])
    done = take_published(files, path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {path}: line 6 is not valid JSON")
    assert not (files.folder / "usage.json").exists()
    write_jsonl(path, published_rows(files))
    done = take_published(files, path, "--model", "n")
    assert "no judgments of the model 'n', but of m; name one of them under the baseline's key model" in done.stderr


def take_published(files: SimpleNamespace, path: Path, *flags: str) -> subprocess.CompletedProcess:
    return run_program("judge", "--take", path, *flags_of(files), *flags)


# --- published numbers


@pytest.mark.parametrize(
    ("model", "turn_1", "turn_2", "average"),
    [("mamba_0_5_dpo_ep3", 7.7375, 6.8875, 7.3125), ("mamba_0_5_dpo_ep1", 7.59375, 6.65, 7.121875)],
)
def test_published_judgments_give_the_published_scores(published_data, tmp_path, model, turn_1, turn_2, average):
    data = published_data / "mt_bench"
    answers = tmp_path / "answers.jsonl"
    published = data / "model_answer" / f"{model}.jsonl"
    done = run_program(
        "answer", "--take", published, "--questions", data / "question.jsonl", "--answers", answers, *by(answers.parent)
    )
    assert done.returncode == 0, done.stderr
    files = SimpleNamespace(
        folder=tmp_path,
        questions=data / "question.jsonl",
        answers=answers,
        references=data / "reference_answer_gpt-4.jsonl",
        prompts=data / "judge_prompts.jsonl",
    )
    done = take_published(files, data / "model_judgment" / "gpt-4_single.jsonl", "--model", model)
    assert done.returncode == 0, done.stderr
    result, scores = score_of(files)
    assert (scores["turn_1"]["value"], scores["turn_2"]["value"], scores["average"]["value"]) == (
        turn_1,
        turn_2,
        average,
    )
    assert (scores["average"]["n"], scores["average"]["n_valid"]) == (160, 160)
    assert result["notes"] == ["The judgments are published ones, by gpt-4."]
    assert result["judge"] is None


def test_all_published_prompts_and_scores_are_rebuilt(published_data):
    data = published_data / "mt_bench"
    questions = load_questions(data / "question.jsonl")
    references = load_references(data / "reference_answer_gpt-4.jsonl", questions, REFERENCE_CATEGORIES)
    prompts = load_judge_prompts(data / "judge_prompts.jsonl")
    rebuilt = {}
    for path in sorted((data / "model_answer").glob("*.jsonl")):
        for grading in gradings(questions, load_answers(path, questions), references, prompts):
            rebuilt[path.stem, grading.question.id, grading.turn] = grading
    rows = read_jsonl(data / "model_judgment" / "gpt-4_single.jsonl")
    assert len(rows) == len(rebuilt) == 320
    for row in rows:
        grading = rebuilt[row["model"], row["question_id"], row["turn"]]
        assert row["user_prompt"].encode() == grading.user_prompt.encode()
        assert row["judge"][1] == grading.prompt.name
        assert row["score"] == parse_rating(row["judgment"])


def test_the_judgments_of_one_model_do_not_fit_anothers_answers(published_data):
    data = published_data / "mt_bench"
    questions = load_questions(data / "question.jsonl")
    references = load_references(data / "reference_answer_gpt-4.jsonl", questions, REFERENCE_CATEGORIES)
    answers = load_answers(data / "model_answer" / "mamba_0_5_dpo_ep1.jsonl", questions)
    asked = gradings(questions, answers, references, load_judge_prompts(data / "judge_prompts.jsonl"))
    with pytest.raises(InputError, match="the judge's prompt is not the one that questions, references, answers"):
        take_judgments(data / "model_judgment" / "gpt-4_single.jsonl", "mamba_0_5_dpo_ep3", asked)

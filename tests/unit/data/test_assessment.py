"""Assessment prompts: what a prompt file must have, how it is filled, and which completions have a score."""

from pathlib import Path

import pytest

from isheep.data.assessment import AssessmentPrompt, ReadableScores, load_assessment_prompt, parse_score
from isheep.files.records import InputError

PROMPTS = sorted(Path(__file__).parents[3].glob("config/prompts/assessment/*.yaml"))
VALID = "criterion: quality\ntemplate: 'Rate {instruction} {response}'\n"


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("10/10", 10),
        ("10||good", 10),
        ("8.6", 9),
        ("9.", 9),
        ("9. A good answer", 9),
        ("\n <7>||fine", 7),
        ("`8`", 8),
        ("7.5", 8),
        ("8.5||", 9),
        ("8.49", 8),
        ("10.4", 10),
        ("-3", 3),
        ("score 6||right", 6),
        ("Score: 4 || a 9 || b", 4),
        ("3 out of 10", 3),
    ],
)
def test_a_score_is_read(text, score):
    assert parse_score(text) == score


@pytest.mark.parametrize(
    ("fraction", "scores"),
    [
        ("nearest", {"8": 8, "8.4": 8, "8.5": 9, "9.0": 9, "0.5": 1, "10.4": 10, "10.5": None, "0.4": None}),
        ("down", {"8": 8, "8.4": 8, "8.5": 8, "9.0": 9, "0.5": None, "10.4": 10, "10.5": 10, "11": None}),
        ("missing", {"8": 8, "8.4": None, "8.5": None, "9.0": 9, "0.5": None, "10.4": None}),
    ],
)
def test_a_fraction_counts_as_the_prompt_says(fraction, scores):
    assert {text: parse_score(f"{text}||why", fraction=fraction) for text in scores} == scores


@pytest.mark.parametrize(
    "text",
    ["", "11", "0", "0.4", "10.5", "100", "9" * 400, "good", "good||9", "I give it a 9", "||", "ten||good"],
)
def test_a_completion_without_a_valid_score_is_missing(text):
    assert parse_score(text) is None


def test_a_judge_that_reasons_first_is_read_behind_its_marker():
    assert parse_score("2 birds asked, 2 given. Score: 9\n\nNext. Score: 1", "Score:") == 9
    assert parse_score("2 birds asked, 2 given.", "Score:") is None
    assert parse_score("2 birds asked. Score:", "Score:") is None


def test_a_template_is_filled_in_one_pass():
    prompt = AssessmentPrompt("quality", "I: {instruction}\nR: {response}\n{other} {}")
    assert prompt.render("Say {response}.", "{x}", "{instruction} \\1 {0}") == (
        "I: Say {response}. {x}\nR: {instruction} \\1 {0}\n{other} {}"
    )
    assert prompt.render("Say it.", "", "Yes.").startswith("I: Say it.\nR: Yes.")


def write(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "prompt.yaml"
    path.write_text(content, encoding="utf-8")
    return path


def test_a_prompt_file_is_read(tmp_path):
    prompt = load_assessment_prompt(write(tmp_path, VALID + "score_after: 'Score:'\n"))
    assert prompt == AssessmentPrompt("quality", "Rate {instruction} {response}", "Score:")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (VALID.replace("{response}", ""), "placeholder {response} is missing"),
        (VALID.replace("{instruction}", "{instructions}"), "placeholder {instruction} is missing"),
        ("criterion: quality\n", "key 'template' is missing"),
        (VALID.replace("criterion", "criterium"), "did you mean 'criterion'"),
        (VALID + "score_after: 3\n", "score_after: found 3"),
        (VALID + "score_after:\n", "score_after: found None"),
        (VALID + "fraction: downn\n", "fraction: found 'downn', allowed: nearest, down, missing; did you mean 'down'?"),
        ("Rate it.\n", "must have the keys criterion, template"),
        ("", "must have the keys criterion, template"),
        ("criterion: [\n", "not valid YAML"),
    ],
)
def test_a_wrong_prompt_file_is_one_sentence_with_its_name(tmp_path, content, problem):
    path = write(tmp_path, content)
    with pytest.raises(InputError) as error:
        load_assessment_prompt(path)
    assert str(error.value).startswith(f"{path}: ")
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", PROMPTS, ids=lambda path: path.stem)
def test_the_shipped_prompts_load_for_the_criterion_of_their_name_and_ask_for_the_format_that_is_parsed(path):
    prompt = load_assessment_prompt(path)
    assert path.stem.endswith(f"_{prompt.criterion}")
    assert prompt.render("TASK", "GIVEN", "ANSWER").count("TASK GIVEN") == 1
    assert not prompt.template[-1].isspace()
    assert "||" in prompt.template


def test_the_methods_three_ways_to_ask_are_shipped():
    assert {path.stem for path in PROMPTS} == {
        *("simple_quality", "simple_following", "combined_quality", "combined_following", "icl_overall")
    }


REASONED = AssessmentPrompt("quality", "{instruction} {response}", "Score:")


def count_scores(readable: int, unreadable: int, least: float = 0.05, prompt: AssessmentPrompt = REASONED) -> str:
    scores = ReadableScores(prompt, "quality.yaml", least)
    for text in ["fine\x1b[31m"] * unreadable + ["Score: 7"] * readable:
        scores.add(text)
    return scores.end()


def test_a_job_says_how_many_scores_it_could_read_and_shows_a_text_that_it_could_not():
    assert count_scores(60, 40) == '60 of 100 scores could be read; the first that could not: "fine\\u001b[31m"'
    assert count_scores(7, 0) == "7 of 7 scores could be read"


def test_almost_no_readable_score_is_one_sentence_with_file_pattern_and_a_text():
    with pytest.raises(InputError) as error:
        count_scores(0, 1000)
    sentence = str(error.value)
    assert sentence.startswith("quality.yaml: only 0 of 50 scores could be read"), "the other 950 are not asked for"
    assert 'the first text that could not: "fine\\u001b[31m". ' in sentence, (
        "what a model wrote cannot steer a terminal"
    )
    assert "at the beginning of what follows 'Score:' (score_after), or before ||" in sentence
    assert "config/prompts/README.md" in sentence


def test_a_prompt_without_score_after_says_so():
    with pytest.raises(InputError, match=r"at the beginning of the text \(no score_after is given\)"):
        count_scores(0, 30, prompt=AssessmentPrompt("quality", "{instruction} {response}"))


@pytest.mark.parametrize(("readable", "unreadable", "least"), [(0, 19, 0.05), (1, 19, 0.05), (5, 95, 0), (0, 60, 0)])
def test_few_assessments_and_enough_readable_ones_are_taken(readable, unreadable, least):
    assert count_scores(readable, unreadable, least).startswith(f"{readable} of {readable + unreadable} ")


def test_a_shard_too_small_to_be_stopped_early_is_refused_at_its_end():
    with pytest.raises(InputError, match="only 0 of 20 scores"):
        count_scores(0, 20)


def test_a_long_text_is_shown_by_its_beginning():
    scores = ReadableScores(REASONED, "quality.yaml", 0)
    scores.add("x" * 10_000)
    assert len(scores.end()) < 400


def test_the_description_of_prompt_files_has_every_key_and_its_example_is_read(tmp_path):
    text = Path("config/prompts/README.md").read_text()
    for key in ("criterion", "template", "score_after"):
        assert f"| `{key}` |" in text
    prompt = load_assessment_prompt(write(tmp_path, text.split("```yaml\n")[1].split("```")[0]))
    assert parse_score("Both agree. Score: 8", prompt.score_after) == 8

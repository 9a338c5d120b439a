"""The judge behind an API: whatever its server does, nothing is lost, paid twice or overspent."""

import argparse
import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from traceback import format_exception

import pytest
from pydantic import ValidationError

from isheep.benchmarks.judges import JudgeSettings, add_judge_arguments, open_requested_judge, usage
from isheep.engine.api_engine import ApiEngine, ApiSettings, seconds_to_wait, worst_case
from isheep.engine.engine import Completion, Request, Sampling, TokenLogprob
from isheep.engine.journal import Journal, complete_with_journal
from isheep.files.records import InputError
from judge_server import FAULTS, JudgeServer

SAMPLING = Sampling(temperature=0, max_tokens=16)
KEY = "sk-a-very-secret-key-0123456789"
PRICES = {"prompt": 10_000, "completion": 30_000}
"""So high that single tokens count: a cent and three cents a token."""


def requests(count: int) -> list[Request]:
    """Half of them are chats, the other half are continued."""
    return [
        Request(f"r{number}", prompt if number % 2 else [{"role": "user", "content": prompt}], SAMPLING, number)
        for number in range(count)
        for prompt in [f"Rate answer {number}."]
    ]


def engine(server: JudgeServer, journal, **options) -> ApiEngine:
    known = {"key_variable": None, "prices": PRICES} | {
        key: options.pop(key) for key in list(options) if key in ApiSettings.model_fields
    }
    settings = ApiSettings(model="judge", base_url=server.url, **known)
    return ApiEngine(settings, journal, **{"concurrency": 4, "timeout": 0.4, "backoff": 0.01} | options)


def kept_in(folder) -> dict[str, dict]:
    """The completions of a journal."""
    with Journal(folder) as journal:
        return journal.read()


def judge_all(server: JudgeServer, journal, count: int, **options) -> list[Completion]:
    return complete_with_journal(engine(server, journal, **options), requests(count), journal)


def first(number: int, fault: str):
    """The fault of the first attempts at each prompt."""
    return lambda prompt, times: fault if times < number else None


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_is_waited_out(tmp_path, fault):
    with JudgeServer(fault=first(1, fault)) as server:
        done = judge_all(server, tmp_path, 6)
    assert [completion.id for completion in done] == [f"r{number}" for number in range(6)]
    assert len({completion.text for completion in done}) == 6
    assert set(server.asked.values()) == {2}
    assert set(server.answered.values()) == {1}


def test_a_judge_that_misbehaves_loses_nothing(tmp_path):
    # Every prompt meets another mixture of all faults.
    def fault(prompt: str, times: int) -> str | None:
        number = int(prompt.rstrip(".").split()[-1])
        return None if times >= number % 4 else FAULTS[(number + 3 * times) % len(FAULTS)]

    with JudgeServer(fault=fault) as server:
        done = judge_all(server, tmp_path, 24)
    assert len({completion.text for completion in done}) == 24
    assert set(server.answered.values()) == {1}


@pytest.mark.parametrize("fault", [*FAULTS, "die"])
def test_what_was_paid_is_kept_and_the_second_run_pays_only_for_the_rest(tmp_path, fault):
    with JudgeServer(fault=lambda prompt, times: fault if prompt == "Rate answer 7." else None) as server:
        with pytest.raises(InputError) as error:
            judge_all(server, tmp_path, 12, attempts=2)
        before = dict(server.answered)
        kept = kept_in(tmp_path)
        assert len(kept) == sum(before.values()) >= 7 - 4
        message = str(error.value)
        assert f"{len(kept)} of the 12 requests of this run are answered and kept" in message
        assert "running the same command again pays only for the rest" in message
        if fault != "die":
            assert "failed 2 times on request 'r7', at last with: " in message
        assert "\n" not in message
    with JudgeServer(port=server.port) as server:
        assert len(judge_all(server, tmp_path, 12)) == 12
    assert set(server.answered) == {f"Rate answer {number}." for number in range(12)} - set(before)
    assert set(server.answered.values()) == {1}


@pytest.mark.parametrize(("fault", "cause"), [("500", "HTTP status 500"), ("hang", "no answer within 0.4 seconds")])
def test_the_last_cause_is_named(tmp_path, fault, cause):
    with JudgeServer(fault=first(9, fault)) as server, pytest.raises(InputError, match=cause):
        judge_all(server, tmp_path, 1, attempts=2)
    assert sum(server.asked.values()) == 2


def test_answers_under_way_are_collected_before_the_error(tmp_path):
    fault = lambda prompt, times: "400" if prompt == "Rate answer 0." else None  # noqa: E731
    with JudgeServer(fault=fault, delay=0.1) as server, pytest.raises(InputError) as error:
        judge_all(server, tmp_path, 20)
    answered = sum(server.answered.values())
    assert 3 <= answered < 19, "four were under way; the error ends the sending"
    assert f"; {answered} of the 20 requests" in str(error.value)
    assert len(kept_in(tmp_path)) == answered


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("400", r"refuses request 'r\d' \(HTTP status 400\) \(a fault of 400 for Bearer \*\*\*\)"),
        ("401", r"refuses the key \(HTTP status 401\); correct the key in JUDGE_KEY"),
        ("403", r"refuses the key \(HTTP status 403\); correct the key in JUDGE_KEY"),
        ("404", r"does not know the model 'judge' or is not its address"),
    ],
)
def test_a_refusal_ends_the_run_at_once(tmp_path, monkeypatch, status, sentence):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with JudgeServer(fault=first(9, status)) as server, pytest.raises(InputError, match=sentence):
        judge_all(server, tmp_path, 20, key_variable="JUDGE_KEY")
    assert set(server.asked.values()) == {1}
    assert len(server.asked) <= 4


@pytest.mark.parametrize("fault", [*FAULTS, "400", "401", "die"])
def test_the_key_is_nowhere_but_on_the_wire(tmp_path, monkeypatch, capfd, caplog, fault):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("JUDGE_KEY", f"{KEY}\n")
    faults = lambda prompt, times: fault if "7" in prompt else None  # noqa: E731
    with JudgeServer(fault=faults, key=KEY) as server, pytest.raises(InputError) as error:
        judge_all(server, tmp_path, 9, key_variable="JUDGE_KEY", attempts=2)
    assert server.answered
    assert set(server.authorizations) == {f"Bearer {KEY}"}
    files = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2
    shown = [*format_exception(error.value), *capfd.readouterr(), caplog.text, *files, *map(str, server.bodies)]
    assert not any(KEY in text for text in shown)


def test_a_missing_key_is_met_before_anything_is_sent(tmp_path, monkeypatch):
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with JudgeServer() as server:
        with pytest.raises(InputError, match="needs a key: set the environment variable JUDGE_KEY"):
            engine(server, tmp_path, key_variable="JUDGE_KEY")
        monkeypatch.setenv("JUDGE_KEY", "two words")
        with pytest.raises(InputError, match="JUDGE_KEY holds characters that no key can have"):
            engine(server, tmp_path, key_variable="JUDGE_KEY")
    assert not server.asked


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_requests_at_once_than_allowed(tmp_path, concurrency):
    with JudgeServer(delay=0.03, fault=first(1, "500")) as server:
        judge_all(server, tmp_path, 12, concurrency=concurrency)
    assert server.most_at_once == concurrency


def test_a_retry_after_holds_for_all(tmp_path):
    # The first request is answered by 429 and "0.05 seconds"; with one at a time, each later one is sent after that.
    with JudgeServer(fault=lambda prompt, times: "429" if "0" in prompt and not times else None) as server:
        judge_all(server, tmp_path, 3, concurrency=1, backoff=0)
    order = [body.get("prompt") or body["messages"][-1]["content"] for body in server.bodies]
    assert order[0] == "Rate answer 0."
    assert sorted(order[1:]) == [f"Rate answer {number}." for number in range(3)]


def test_a_retry_after_may_be_a_date():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 80 < seconds_to_wait(later) <= 90
    assert seconds_to_wait("1.5") == 1.5
    assert seconds_to_wait("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert seconds_to_wait("soon") is None
    assert seconds_to_wait(None) is None


def spent(server: JudgeServer) -> float:
    """What a provider could charge for, in cents."""
    return server.prompt_tokens * 1 + server.completion_tokens * 3


@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_the_spending_limit_holds_whatever_happens(tmp_path, fault):
    # One request reserves at most 15 + 64 + 16 + 4 tokens of prompt and 16 written: 147 cents; it takes about 12.
    limit = 400
    with JudgeServer(fault=first(1, fault) if fault else lambda *_: None) as server:
        for _ in range(3):
            with pytest.raises(
                InputError, match=r"the spending limit of 4\.0000 USD is reached: .*spending_limit"
            ) as e:
                judge_all(server, tmp_path, 40, spending_limit=limit, timeout=0.2)
            assert spent(server) <= limit
        kept = kept_in(tmp_path)
        assert len(kept) == sum(server.answered.values())
        assert set(server.answered.values()) <= {1}
        if fault is None:
            # What an answer did not take is free again: far more are answered than could be reserved for at once.
            assert len(kept) > 15
            assert f"; 0 of the {40 - len(kept)} requests of this run" in str(e.value)
        judge_all(server, tmp_path, 40, timeout=0.2)
    assert set(server.answered.values()) == {1}
    assert len(server.answered) == 40


def test_a_killed_job_s_requests_count_as_spent(tmp_path):
    with JudgeServer(delay=0.02) as server:
        reader = engine(server, tmp_path, concurrency=2).complete(requests(9))
        next(reader)
        reader.close()
        assert spent(server) > 0
        with pytest.raises(InputError, match="0 of the 9 requests"):
            judge_all(server, tmp_path, 9, spending_limit=150)
        assert server.prompt_tokens <= 3 * 3


def test_a_limit_below_the_first_request_sends_nothing(tmp_path):
    with JudgeServer() as server, pytest.raises(InputError, match="0 of the 3 requests"):
        judge_all(server, tmp_path, 3, spending_limit=20)
    assert not server.asked


def test_a_limit_needs_prices(tmp_path):
    with JudgeServer() as server, pytest.raises(InputError, match=r"a spending limit but no prices; give api\.prices"):
        engine(server, tmp_path, prices=None, spending_limit=5)


def test_a_prompt_has_no_more_tokens_than_reserved():
    text = "漢字 and Straße: 1234567890 !?"
    assert worst_case(Request("a", text, SAMPLING, 0))[0] >= len(text.encode())
    chat = [{"role": "system", "content": text}, {"role": "user", "content": text}]
    assert worst_case(Request("a", chat, SAMPLING, 0)) >= (2 * len(text.encode()) + 80, 16)


def test_a_request_says_all_that_matters(tmp_path):
    sampling = Sampling(temperature=0.7, top_p=0.9, max_tokens=5, stop=("\n", "###"), top_logprobs=3)
    chat = [{"role": "system", "content": "Be fair."}, {"role": "user", "content": "Rate."}]
    places = tuple(TokenLogprob(word, -0.5, {word: -0.5, "no": -1.5, "or": -2.5}) for word in ("Rome", " is"))
    answer = lambda request: Completion(request.id, "Rome is", "length", 3, 2, places)  # noqa: E731
    with JudgeServer(answer) as server:
        asked = [Request("raw", "Rate:", sampling, 11), Request("chat", chat, sampling, 12)]
        done = complete_with_journal(engine(server, tmp_path, concurrency=1), asked, tmp_path)
        other = engine(server, tmp_path, max_tokens_key="max_completion_tokens", send_seed=False)
        list(other.complete([Request("plain", chat, SAMPLING, 0)]))
        again = complete_with_journal(engine(server, tmp_path), asked, tmp_path)
    raw, messages, plain = server.bodies
    alike = {"model": "judge", "temperature": 0.7, "top_p": 0.9, "stop": ["\n", "###"]}
    assert raw == {**alike, "prompt": "Rate:", "max_tokens": 5, "seed": 11, "logprobs": 3}
    assert messages == {
        **alike, "messages": chat, "max_tokens": 5, "seed": 12, "logprobs": True, "top_logprobs": 3,
    }  # fmt: skip
    assert plain == {"model": "judge", "temperature": 0, "top_p": 1, "messages": chat, "max_completion_tokens": 16}
    for completion in done:
        assert completion == Completion(completion.id, "Rome is", "length", 3, 2, places)
    assert again == done


def test_an_answer_that_runs_on_behind_a_stop_text_is_cut(tmp_path):
    # Some servers list the end token too, and one token more than the most likely ones that were asked for.
    tokens = ("A", " b", ".\n", "C", "<|im_end|>")
    served = tuple(TokenLogprob(text, -0.1, {"rare": -9.0, text: -0.1}) for text in tokens)
    places = [TokenLogprob(text, -0.1, {text: -0.1}) for text in tokens]
    answer = lambda request: Completion(request.id, "A b.\nC", "length", 3, 4, served)  # noqa: E731
    sampling = SAMPLING.model_copy(update={"stop": ("\n",), "top_logprobs": 1})
    with JudgeServer(answer) as server:
        for prompt in ("Rate:", [{"role": "user", "content": "Rate."}]):
            (cut,) = engine(server, tmp_path).complete([Request("a", prompt, sampling, 0)])
            assert (cut.text, cut.finish_reason, cut.logprobs) == ("A b.", "stop", tuple(places[:3]))
            whole = SAMPLING.model_copy(update={"top_logprobs": 1})
            (full,) = engine(server, tmp_path).complete([Request("a", prompt, whole, 0)])
            assert (full.text, full.logprobs) == ("A b.\nC", tuple(places[:4]))


def test_a_server_without_log_probabilities_is_an_error(tmp_path):
    sampling = SAMPLING.model_copy(update={"top_logprobs": 2})
    with (
        JudgeServer() as server,
        pytest.raises(InputError, match="have no log-probabilities, which"),
    ):
        list(engine(server, tmp_path).complete([Request("a", "Rate:", sampling, 0)]))
    assert sum(server.asked.values()) == 1


def test_an_account_without_money_is_not_asked_again(tmp_path):
    with JudgeServer(fault=first(9, "broke")) as server, pytest.raises(InputError, match="no money left"):
        judge_all(server, tmp_path, 5)
    assert set(server.asked.values()) == {1}


@pytest.mark.parametrize(
    "base_url",
    ["https://me:pass@host/v1", "https://pass@host/v1", "https://host/v1?key=pass", "host/pass", "ftp://host/pass"],
)
def test_an_address_that_may_hold_a_secret_is_refused(base_url):
    with pytest.raises(ValidationError) as error:
        ApiSettings(model="judge", base_url=base_url)
    assert "pass" not in error.value.errors()[0]["msg"].replace("user, password or query", "")


def test_identity_has_what_changes_a_judgment_and_nothing_else(tmp_path):
    with JudgeServer() as server:
        one = engine(server, tmp_path / "a", concurrency=1, attempts=2, timeout=9, prices=None)
        two = engine(server, tmp_path / "b", concurrency=2, attempts=3, timeout=8, spending_limit=7)
    assert one.identity == two.identity
    assert one.identity["model"] == "judge"
    assert one.identity["base_url"] == server.url
    assert "key_variable" not in one.identity


def arguments(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_judge_arguments(parser)
    return parser.parse_args(["--seed", "1", *flags])


def test_the_flags_open_an_api(tmp_path):
    with JudgeServer() as server:
        settings = JudgeSettings(api={"model": "judge", "base_url": server.url, "key_variable": None, "prices": PRICES})
        flags = ["--judge", settings.model_dump_json(), "--concurrency", "2", "--timeout", "5"]
        judge = open_requested_judge(arguments(*flags), tmp_path)
        done = complete_with_journal(judge, requests(6), tmp_path)
    assert judge.settings == settings
    assert judge.identity["model"] == "judge"
    assert server.most_at_once <= 2
    assert usage(settings, done) == {
        "requests": 6,
        "prompt_tokens": server.prompt_tokens,
        "completion_tokens": server.completion_tokens,
        "cost": pytest.approx(spent(server) / 100),
        "currency": "USD",
    }
    free = JudgeSettings(model="tiny")
    assert usage(free, done)["cost"] is usage(free, done)["currency"] is None


def test_the_flags_open_a_checkpoint(tmp_path, tiny_checkpoint):
    flags = ["--judge", '{"model": "tiny", "chat": false}', "--engine", '{"dtype": "float32"}']
    judge = open_requested_judge(arguments(*flags, "--judge-weights", str(tiny_checkpoint)), tmp_path)
    done = complete_with_journal(judge, requests(3), tmp_path)
    assert [completion.id for completion in done] == ["r0", "r1", "r2"]
    assert judge.identity["checkpoint"]
    with pytest.raises(InputError, match="the judge is the model 'tiny': give --judge-weights and --engine"):
        open_requested_judge(arguments(*flags), tmp_path)


@pytest.mark.parametrize(("settings", "found"), [({}, "neither"), ({"model": "a", "api": {"model": "b"}}, "both")])
def test_a_judge_is_a_model_or_an_api(settings, found):
    with pytest.raises(ValidationError, match=f"either `model` or `api`; found {found}"):
        JudgeSettings.model_validate(settings)

"""The engine behind an OpenAI-compatible API: requests over the network, each of them paid for.

Requests are sent by the `openai` client, one thread each: a job has few of them under way, `complete` stays a
plain iterator as with the other engines, and a thread that waits costs nothing. Its own retries are switched
off, since they know neither the spending limit nor that an answer may be garbage. The thread that iterates
decides alone what is sent next and enters it in the ledger; the others only wait for one answer each.
"""

import heapq
import os
import random
import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from isheep.engine.api_answers import GarbageError, MissingLogprobsError, read_completion
from isheep.engine.engine import Completion, Progress, Request, require_unique_ids
from isheep.engine.spending import Ledger, Prices
from isheep.files.records import InputError
from isheep.settings import Settings

if TYPE_CHECKING:
    from openai import APIConnectionError, APIStatusError

LONGEST_BACKOFF = 60.0
"""Seconds; the delay doubles with each failure up to this."""

LONGEST_RETRY_AFTER = 600.0
"""Seconds; a server that asks for a longer pause is asked again after this, which counts as an attempt."""

TOKENS_AROUND_A_PROMPT = 64
TOKENS_AROUND_A_MESSAGE = 16
"""More than chat templates add: role, markers, and a default system text."""

RETRIED = {408, 409, 425, 429}
"""HTTP statuses below 500 that say "later"; so do all from 500 on."""

NOT_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}
"""Errors of the HTTP client from before a request was sent; after any other, the answer may be billed."""

MAYBE_BILLED = {502, 504, 520, 522, 524}
"""HTTP statuses of a gateway in front of the model, which may have answered."""

LONGEST_QUOTE = 300


class ApiSettings(Settings):
    """A model behind an OpenAI-compatible API. Model, base URL and how requests are put are part of a result."""

    model: str = Field(min_length=1)
    """The model's name at the server, best with its date (gpt-4-1106-preview), so that it cannot change."""
    base_url: str = "https://api.openai.com/v1"
    """The address before /chat/completions or /completions. Nothing secret: it is written into results."""
    key_variable: str | None = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key; null for a server that wants none."""
    max_tokens_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """How a chat request names its most tokens; OpenAI's reasoning models know only `max_completion_tokens`."""
    send_seed: bool = True
    """Send each request's own seed; false for a server that refuses the key `seed`."""
    prices: Prices | None = None
    """What tokens cost, for the usage in results and the spending limit; null where nothing is paid."""

    @field_validator("base_url")
    @classmethod
    def _holds_no_secret(cls, base_url: str) -> str:
        # The messages do not show the value: it may hold a password.
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("it must be an address such as https://api.openai.com/v1")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError(
                "it must hold no user, password or query, since it is written into results; put a key into the "
                "environment variable that key_variable names"
            )
        return base_url.rstrip("/")


class ApiEngine:
    """A model behind an API. `identity`: the JSON-ready facts that completions depend on.

    settings: the model and its server. journal: folder of the job's journal, where the ledger of what may have to
    be paid is kept. concurrency: the most requests under way. attempts: how often a request is sent before it
    counts as failed. timeout: seconds without a byte of an answer. spending_limit: hundredths of the prices'
    currency that the job may cost, with all earlier runs that the ledger knows of; 0 sets none. backoff: seconds
    before the first retry. Only `settings` can change a completion.

    Raises InputError for a key variable that is not set, or a limit without prices.
    """

    def __init__(
        self,
        settings: ApiSettings,
        journal: Path,
        *,
        concurrency: int = 8,
        attempts: int = 6,
        timeout: float = 120.0,
        spending_limit: int = 0,
        backoff: float = 1.0,
    ):
        if spending_limit and settings.prices is None:
            raise InputError(
                f"the judge {settings.model} has a spending limit but no prices; give api.prices (prompt and "
                "completion, per million tokens) or set runtime.judge_spending_limit to 0."
            )
        self.identity = settings.model_dump(mode="json", exclude={"key_variable", "prices"})
        self._settings, self._ledger = settings, Ledger(journal)
        self._concurrency, self._attempts, self._timeout = concurrency, attempts, timeout
        self._limit, self._backoff = spending_limit / 100, backoff
        self._key = _read_key(settings)
        from openai import OpenAI

        self._client = OpenAI(api_key=self._key or "none", base_url=settings.base_url, timeout=timeout, max_retries=0)

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield one completion for each request as it is answered, in any order.

        A string is sent to the completions endpoint, messages to chat completions. Raises InputError if two
        requests share an id, before anything is sent; or if the server refuses a request, a request has failed as
        often as `attempts`, or the next one might go over the spending limit: then nothing more is sent, all
        answers on their way are yielded first, and the message says how many there are.
        """
        asked = list(requests)
        require_unique_ids(asked)
        waiting = [_Waiting(0.0, number, request) for number, request in enumerate(asked)]
        running: dict[Future[Completion], _Waiting] = {}
        progress = Progress("answers", len(asked), "tokens")
        problem, done = "", 0
        with self._ledger, ThreadPoolExecutor(self._concurrency) as pool:
            while running or (waiting and not problem):
                problem = problem or self._send(waiting, running, pool)
                for future in _finished(running, waiting, ending=bool(problem)):
                    item = running.pop(future)
                    try:
                        completion = future.result()
                    except _Failure as failure:
                        problem = problem or self._after_failure(item, failure, waiting)
                        continue
                    self._correct(item.request, completion.prompt_tokens, completion.completion_tokens)
                    done += 1
                    progress.add(completion.completion_tokens)
                    yield completion
        if problem:
            raise InputError(
                f"{problem}; {done} of the {len(asked)} requests of this run are answered and kept, and running the "
                "same command again pays only for the rest."
            )

    def _send(
        self, waiting: list["_Waiting"], running: dict[Future[Completion], "_Waiting"], pool: ThreadPoolExecutor
    ) -> str:
        """Send what is due, as far as concurrency and spending limit allow; return why no more may be sent, or ""."""
        while waiting and len(running) < self._concurrency and waiting[0].due <= time.monotonic():
            most = worst_case(waiting[0].request)
            if self._limit and self._cost(*most) > self._limit:
                # Requests under way may leave enough of what is reserved for them.
                return "" if running else self._limit_reached(most)
            item = heapq.heappop(waiting)
            self._ledger.enter(*most)
            running[pool.submit(self._ask, item.request)] = item
        return ""

    def _cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The cost of all that the ledger holds and of so many tokens more."""
        ledger = self._ledger
        return self._settings.prices.cost(
            ledger.prompt_tokens + prompt_tokens, ledger.completion_tokens + completion_tokens
        )

    def _limit_reached(self, most: tuple[int, int]) -> str:
        prices = self._settings.prices
        return (
            f"the spending limit of {prices.amount(self._limit)} is reached: {prices.amount(self._cost(0, 0))} are "
            f"spent (requests whose answer was lost are counted in full), and the next request may cost "
            f"{prices.amount(prices.cost(*most))}; raise runtime.judge_spending_limit (--spending-limit)"
        )

    def _correct(self, request: Request, prompt_tokens: int, completion_tokens: int) -> None:
        """Replace the most that a request could take by what it took, in the ledger."""
        most_prompt, most_completion = worst_case(request)
        self._ledger.enter(prompt_tokens - most_prompt, completion_tokens - most_completion)

    def _after_failure(self, item: "_Waiting", failure: "_Failure", waiting: list["_Waiting"]) -> str:
        """Put the request back among those that wait, or return why nothing more may be sent."""
        if not failure.maybe_billed:
            self._correct(item.request, 0, 0)
        if not failure.may_retry:
            return str(failure)
        failures = item.failures + 1
        if failures == self._attempts:
            return (
                f"the judge {self._settings.model} at {self._settings.base_url} failed {failures} times on request "
                f"{item.request.id!r}, at last with: {failure}"
            )
        delay = min(self._backoff * 2 ** (failures - 1), LONGEST_BACKOFF) * random.uniform(0.5, 1)
        now = time.monotonic()
        if failure.retry_after is not None:
            # The server's wish holds for every request, not only for the one that it answered so.
            pause = now + min(failure.retry_after, LONGEST_RETRY_AFTER)
            waiting[:] = [other.not_before(pause) for other in waiting]
            heapq.heapify(waiting)
            delay += pause - now
        heapq.heappush(waiting, _Waiting(now + delay, item.number, item.request, failures))
        return ""

    def _ask(self, request: Request) -> Completion:
        """Send a request once and read the answer. Raises _Failure."""
        import openai

        chat = not isinstance(request.prompt, str)
        endpoint = self._client.chat.completions if chat else self._client.completions
        try:
            # The raw body, since the client takes any JSON for an answer, and any other text for one too.
            body = endpoint.with_raw_response.create(**self._parameters(request)).content
            return read_completion(request, body)
        except openai.APIConnectionError as error:
            raise self._connection_failure(error) from None
        except openai.APIStatusError as error:
            raise self._status_failure(error, request) from None
        except GarbageError as error:
            raise _Failure(f"an answer that is not of the API's form ({error})", maybe_billed=True) from None
        except MissingLogprobsError:
            cause = (
                f"the answers of {self._settings.base_url} have no log-probabilities, which this judgment needs; use a "
                "server that gives them"
            )
            raise _Failure(cause, may_retry=False, maybe_billed=True) from None

    def _parameters(self, request: Request) -> dict:
        """The body of a request. Nothing is left to the server's own defaults."""
        sampling, settings = request.sampling, self._settings
        parameters = {"model": settings.model, "temperature": sampling.temperature, "top_p": sampling.top_p}
        if sampling.stop:
            parameters["stop"] = list(sampling.stop)
        if settings.send_seed:
            parameters["seed"] = request.seed
        if isinstance(request.prompt, str):
            parameters |= {"prompt": request.prompt, "max_tokens": sampling.max_tokens}
            logprobs = {"logprobs": sampling.top_logprobs}
        else:
            parameters |= {"messages": list(request.prompt), settings.max_tokens_key: sampling.max_tokens}
            logprobs = {"logprobs": True, "top_logprobs": sampling.top_logprobs}
        return parameters | logprobs if sampling.top_logprobs else parameters

    def _connection_failure(self, error: "APIConnectionError") -> "_Failure":
        # By name, since the client brings one of two HTTP libraries.
        cause = type(error.__cause__).__name__
        if cause in NOT_SENT:
            return _Failure(f"no connection to the server ({cause})")
        if cause.endswith("Timeout"):
            return _Failure(f"no answer within {self._timeout:g} seconds", maybe_billed=True)
        return _Failure(f"the connection broke ({cause})", maybe_billed=True)

    def _status_failure(self, error: "APIStatusError", request: Request) -> "_Failure":
        status, settings = error.status_code, self._settings
        said = self._quote(error)
        if status == 429 and error.code == "insufficient_quota":
            return _Failure(f"{settings.base_url} says that the account has no money left{said}", may_retry=False)
        if status in RETRIED or status >= 500:
            return _Failure(
                f"HTTP status {status}{said}",
                maybe_billed=status in MAYBE_BILLED,
                retry_after=seconds_to_wait(error.response.headers.get("retry-after")),
            )
        if status in (401, 403):
            advice = f"correct the key in {settings.key_variable}" if self._key else "name its key_variable"
            # What a server says about a key may hold parts of it.
            sentence = f"{settings.base_url} refuses the key (HTTP status {status}); {advice}"
        elif status == 404:
            sentence = f"{settings.base_url} does not know the model {settings.model!r} or is not its address{said}"
        else:
            sentence = f"{settings.base_url} refuses request {request.id!r} (HTTP status {status}){said}"
        return _Failure(sentence, may_retry=False)

    def _quote(self, error: "APIStatusError") -> str:
        """What the server said about an error, in brackets and without the key; "" where it said nothing."""
        message = error.body.get("message") if isinstance(error.body, dict) else None
        if not isinstance(message, str):
            return ""
        message = message.replace(self._key, "***") if self._key else message
        return f" ({' '.join(message.split())[:LONGEST_QUOTE]})"


def worst_case(request: Request) -> tuple[int, int]:
    """The most tokens of prompt and completion that a request can take: a token spells at least one byte."""
    if isinstance(request.prompt, str):
        texts, around = [request.prompt], TOKENS_AROUND_A_PROMPT
    else:
        texts = [text for message in request.prompt for text in message.values()]
        around = TOKENS_AROUND_A_PROMPT + TOKENS_AROUND_A_MESSAGE * len(request.prompt)
    return sum(len(text.encode()) for text in texts) + around, request.sampling.max_tokens


@dataclass(order=True, frozen=True)
class _Waiting:
    """A request to be sent at `due` (monotonic clock), the earliest first, then in the order of requests."""

    due: float
    number: int
    request: Request = field(compare=False)
    failures: int = field(default=0, compare=False)

    def not_before(self, due: float) -> "_Waiting":
        return _Waiting(max(self.due, due), self.number, self.request, self.failures)


class _Failure(Exception):
    """An attempt that brought no completion; its text says why, without the key."""

    def __init__(
        self, cause: str, *, may_retry: bool = True, maybe_billed: bool = False, retry_after: float | None = None
    ):
        super().__init__(cause)
        self.may_retry, self.maybe_billed, self.retry_after = may_retry, maybe_billed, retry_after


def _finished(
    running: dict[Future[Completion], _Waiting], waiting: list[_Waiting], ending: bool
) -> set[Future[Completion]]:
    """Wait until a request that is under way has ended, or, unless `ending`, one that waits is due."""
    pause = None
    if waiting and not ending:
        left = waiting[0].due - time.monotonic()
        # One that is due already waits for another to end.
        pause = left if left > 0 else None
    if not running:
        time.sleep(pause or 0)
        return set()
    return wait(running, pause, FIRST_COMPLETED).done


def _read_key(settings: ApiSettings) -> str | None:
    """The key, from the environment. Raises InputError, which never shows it."""
    variable = settings.key_variable
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(
            f"the judge {settings.model} at {settings.base_url} needs a key: set the environment variable {variable}, "
            "or set api.key_variable to null for a server that wants none."
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise InputError(f"the environment variable {variable} holds characters that no key can have; set it anew.")
    return key


def seconds_to_wait(header: str | None) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or a date (RFC 9110, section 10.2.3)."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None

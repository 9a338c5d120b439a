"""Reading the answers of an OpenAI-compatible API.

Only what is needed is read: servers differ in all the rest, and leave out much of it.
"""

from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from isheep.engine.engine import Completion, Request, TokenLogprob, fewest, stop_position, top_by_text


class GarbageError(Exception):
    """An answer that is not of the API's form; the text says where, and holds nothing of the answer."""


class MissingLogprobsError(Exception):
    """A good answer that lacks the log-probabilities that were asked for."""


class _Usage(BaseModel):
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class _Token(BaseModel):
    token: str
    logprob: float
    bytes: list[Annotated[int, Field(ge=0, le=255)]] | None = None
    top_logprobs: list["_Token"] = []

    def spelled(self) -> bytes:
        return self.token.encode() if self.bytes is None else bytes(self.bytes)


class _ChatLogprobs(BaseModel):
    content: list[_Token] | None = None


class _Message(BaseModel):
    content: str | None


class _ChatChoice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: _ChatLogprobs | None = None

    def text(self) -> str:
        return self.message.content or ""

    def tokens(self) -> list[_Token]:
        return (self.logprobs and self.logprobs.content) or []


class _TextLogprobs(BaseModel):
    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]


class _TextChoice(BaseModel):
    written: str = Field(alias="text")
    finish_reason: str | None = None
    logprobs: _TextLogprobs | None = None

    def text(self) -> str:
        return self.written

    def tokens(self) -> list[_Token]:
        if self.logprobs is None:
            return []
        columns = (self.logprobs.tokens, self.logprobs.token_logprobs, self.logprobs.top_logprobs)
        return [
            _Token(token=token, logprob=logprob, top_logprobs=[_Token(token=t, logprob=p) for t, p in top.items()])
            for token, logprob, top in zip(*columns, strict=False)
        ]


class _ChatAnswer(BaseModel):
    """What is read of an answer of /chat/completions; other keys, and those that servers leave out, do not matter."""

    choices: list[_ChatChoice] = Field(min_length=1)
    usage: _Usage


class _TextAnswer(BaseModel):
    """What is read of an answer of /completions."""

    choices: list[_TextChoice] = Field(min_length=1)
    usage: _Usage


def read_completion(request: Request, body: bytes) -> Completion:
    """The completion in the body of an answer of /completions, or for messages of /chat/completions.

    The text is cut at a stop text, for servers that do not, and log-probabilities end with the text. Raises
    GarbageError or MissingLogprobsError.
    """
    answer_type = _TextAnswer if isinstance(request.prompt, str) else _ChatAnswer
    try:
        answer = answer_type.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise GarbageError(": ".join([".".join(map(str, first["loc"])), first["type"]]).removeprefix(": ")) from None
    choice, usage, sampling = answer.choices[0], answer.usage, request.sampling
    text = choice.text()
    cut = stop_position(text, sampling.stop)
    ended = cut is not None or choice.finish_reason != "length"
    text = text[:cut]
    logprobs = _logprobs(text, choice.tokens(), sampling.top_logprobs) if sampling.top_logprobs else None
    if sampling.top_logprobs and text and not logprobs:
        raise MissingLogprobsError
    reason = "stop" if ended else "length"
    return Completion(request.id, text, reason, usage.prompt_tokens, usage.completion_tokens, logprobs)


def _logprobs(text: str, tokens: list[_Token], count: int) -> tuple[TokenLogprob, ...]:
    """One TokenLogprob for each of the fewest leading tokens whose text holds `text`."""

    def holds(number: int) -> bool:
        return text in b"".join(token.spelled() for token in tokens[:number]).decode(errors="replace")

    # The completions endpoint may list the written token beside the most likely ones.
    return tuple(
        TokenLogprob(
            token.token,
            token.logprob,
            dict(list(top_by_text((other.token, other.logprob) for other in token.top_logprobs).items())[:count]),
        )
        for token in tokens[: fewest(len(tokens), holds)]
    )

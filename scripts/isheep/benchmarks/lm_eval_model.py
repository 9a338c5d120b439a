"""What lm-eval's tasks question: a checkpoint, through the engine, or published responses."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM, TemplateLM
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from isheep.engine.engine import Engine, Request, Sampling
from isheep.engine.journal import complete_with_journal
from isheep.files.records import InputError, read_jsonl
from isheep.seeding import derive_seed
from isheep.spelling import listed

GENERATION_KEYS = {"until", "max_gen_toks", "do_sample", "temperature", "top_p"}


class EngineLM(TemplateLM):
    """An lm-eval model on top of an Engine.

    engine: writes and scores. journal: folder of the journal for generated texts. seed: every generated text
    has its own seed, from this one, its prompt, and how often the prompt was asked before. raw_suffix: put
    after the prompts of generated texts, for a base model that is queried without a chat template.
    """

    def __init__(self, engine: Engine, journal: Path, seed: int, raw_suffix: str = ""):
        super().__init__()
        self.engine, self.tokenizer = engine, engine.tokenizer
        self.journal, self.seed, self.raw_suffix = journal, seed, raw_suffix

    @property
    def max_length(self) -> int:
        """The most tokens of a prompt and its completion."""
        return self.engine.max_length

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return self.tokenizer.eos_token_id

    @property
    def prefix_token_id(self) -> int:
        """What a text without context follows: the token that begins a text, or else the one that ends it."""
        begin = self.tokenizer.bos_token_id
        return self.eot_token_id if begin is None else begin

    @property
    def tokenizer_name(self) -> str:
        """What lm-eval keys its caches by."""
        return self.engine.identity["checkpoint"]

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs) -> list[int]:
        """Token ids as the engine reads a text: special tokens are never added."""
        return self.engine.encode(string)

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True, ends_turn: bool = False
    ) -> str:
        """The text of a chat by the checkpoint's own template. ends_turn: with the end of the last turn too, for texts
        that are compared as they are."""
        return self.tokenizer.apply_chat_template(
            chat_history,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt and not ends_turn,
        )

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Texts for (prompt, generation settings), through the journal."""
        asked: Counter[str] = Counter()
        texts = []
        for index, (prompt, settings) in enumerate(request.args for request in requests):
            seed = derive_seed(self.seed, prompt, asked[prompt])
            asked[prompt] += 1
            texts.append(Request(str(index), prompt + self.raw_suffix, sampling_from(settings), seed))
        return [completion.text for completion in complete_with_journal(self.engine, texts, self.journal)]

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple], disable_tqdm: bool = False, **kwargs
    ) -> list[tuple[float, bool]]:
        return self.engine.loglikelihoods([(context, continuation) for _, context, continuation in requests])

    def mean_loglikelihood(self, requests: list[Instance]) -> list[float]:
        """The log-likelihood of whole texts from their second token on, divided by the number of all their tokens: the
        negative of what OpenCompass calls a text's perplexity (config/tasks/opencompass/README.md)."""
        texts = [self.tok_encode(request.args[0]) for request in requests]
        scored = self.engine.loglikelihoods([(ids[:1], ids[1:]) for ids in texts])
        return [logprob / len(ids) for (logprob, _), ids in zip(scored, texts, strict=True)]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """The log-likelihood of whole texts; each token is predicted once, in windows that fit."""
        owners, pairs = [], []
        for index, request in enumerate(requests):
            windows = get_rolling_token_windows(
                self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                # A window holds one token more than this, and the engine scores max_length - 1.
                max_seq_len=self.max_length - 2,
                context_len=1,
            )
            for window in map(make_disjoint_window, windows):
                owners.append(index)
                pairs.append(window)
        totals = [0.0] * len(requests)
        for index, (logprob, _) in zip(owners, self.engine.loglikelihoods(pairs), strict=True):
            totals[index] += logprob
        return totals


class RecordedLM(LM):
    """An lm-eval model that answers every prompt with its published response; it needs no engine.

    responses: prompt → response. source: the file that they come from, for errors.
    """

    def __init__(self, responses: dict[str, str], source: Path):
        super().__init__()
        self.responses, self.source = responses, source

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """The responses in the order of the requests; their generation settings are the publisher's affair."""
        missing = [request.args[0] for request in requests if request.args[0] not in self.responses]
        if missing:
            raise InputError(
                f"{self.source}: {len(missing)} of the task's {len(requests)} prompts have no response, the first is "
                f"{_shortened(missing[0])}; add them, or leave these items out by the benchmark's key exclude "
                "(--exclude)."
            )
        return [self.responses[request.args[0]] for request in requests]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Raise InputError: published responses say nothing about likelihoods."""
        raise InputError(f"{self.source}: the task compares likelihoods, which published responses do not hold.")

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Raise InputError as `loglikelihood` does."""
        return self.loglikelihood(requests)

    def mean_loglikelihood(self, requests: list[Instance]) -> list[float]:
        """Raise InputError as `loglikelihood` does."""
        return self.loglikelihood(requests)


def read_responses(path: Path, prompts: set[str], model: str | None = None) -> dict[str, str]:
    """Read published responses, {"prompt", "response"} a line: prompt → response.

    prompts: all that the task has. model: take only the lines whose `model` is this one. Raises InputError, naming the
    line, for a row without the two texts, for a prompt that an earlier line has, and for one that is not among
    `prompts`.
    """
    lines: dict[str, int] = {}
    responses = {}
    rows = list(enumerate(read_jsonl(path), start=1))
    chosen = [(number, row) for number, row in rows if model is None or row.get("model") == model]
    if not chosen:
        found = listed(sorted({str(row.get("model")) for _, row in rows}))
        raise InputError(
            f"{path}: it has no responses of {model}, but of {found}; name one of them under the baseline's key model "
            "(--model)."
        )
    for number, row in chosen:
        for key in ("prompt", "response"):
            if not isinstance(row.get(key), str):
                raise InputError(f"{path}: line {number}: {key!r} is {row.get(key)!r}, but it must be a text; add it.")
        prompt = row["prompt"]
        if prompt in lines:
            raise InputError(f"{path}: lines {lines[prompt]} and {number} have the same prompt; remove one of them.")
        if prompt not in prompts:
            raise InputError(
                f"{path}: line {number}: the task has no prompt {_shortened(prompt)}; give the responses to this very "
                "set of prompts."
            )
        lines[prompt], responses[prompt] = number, row["response"]
    return responses


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


def sampling_from(generation_settings: dict) -> Sampling:
    """Read a task's `generation_kwargs` as lm-eval does: greedy unless `do_sample` or a temperature is set.

    Raises InputError for a key that the engine does not know.
    """
    settings = normalize_gen_kwargs(generation_settings)
    unknown = sorted(settings.keys() - GENERATION_KEYS)
    if unknown:
        raise InputError(
            f"the task's generation_kwargs have the key {unknown[0]!r}; allowed are "
            f"{', '.join(sorted(GENERATION_KEYS))}."
        )
    return Sampling(
        temperature=settings.get("temperature", 1.0) if settings["do_sample"] else 0.0,
        top_p=settings.get("top_p", 1.0),
        max_tokens=settings["max_gen_toks"],
        stop=tuple(settings["until"]),
    )

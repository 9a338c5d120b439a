"""The contract that every engine keeps, and the parts that all engines share."""

import importlib.util
import json
import shutil
from argparse import Namespace
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Lock

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import merge_adapter
from isheep.engine.api_engine import ApiEngine, ApiSettings
from isheep.engine.engine import Completion, Engine, EngineSettings, Request, Sampling
from isheep.engine.identity import read_identity, write_identity
from isheep.engine.opening import open_engine
from isheep.files.records import InputError
from judge_server import JudgeServer

HAS_VLLM = importlib.util.find_spec("vllm") is not None
LOCAL_ENGINES = [
    "transformers",
    pytest.param("vllm", marks=pytest.mark.skipif(not HAS_VLLM, reason="vLLM is not installed")),
]
PROMPTS = [
    "Where is Paris?",
    "Name three fruits that are yellow,",
    "Rome",
    "Write a list with 12 bullets.\n* one\n* two",
    "The banana, the lemon and the pineapple are yellow fruits. Paris is in",
]
GREEDY = Sampling(temperature=0, max_tokens=24)
SAMPLED = Sampling(max_tokens=24)


@cache
def opened(kind: str, checkpoint: Path) -> Engine:
    return open_engine(checkpoint, EngineSettings(kind=kind, dtype="float32"), batch_size=64, threads=1)


@pytest.fixture(scope="module", params=LOCAL_ENGINES)
def local_engine(request, tiny_checkpoint):
    return opened(request.param, tiny_checkpoint)


@pytest.fixture(scope="module", params=[*LOCAL_ENGINES, "api"])
def engine(request, tiny_checkpoint, tmp_path_factory):
    """Each engine; that of an API asks a server that writes by the transformers engine."""
    if request.param != "api":
        yield opened(request.param, tiny_checkpoint)
        return
    writer, one_at_a_time = opened("transformers", tiny_checkpoint), Lock()

    def answer(asked: Request) -> Completion:
        with one_at_a_time:
            return next(writer.complete([asked]))

    with JudgeServer(answer) as server:
        settings = ApiSettings(model="tiny", base_url=server.url, key_variable=None)
        yield ApiEngine(settings, tmp_path_factory.mktemp("journal"))


@pytest.fixture(scope="module")
def reference(tiny_checkpoint):
    """The model and the tokenizer as the library loads them, without an engine."""
    model = AutoModelForCausalLM.from_pretrained(tiny_checkpoint, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(tiny_checkpoint)


def requests(sampling: Sampling, seeds=range(10)) -> list[Request]:
    """One request for each seed, over prompts of different lengths."""
    return [Request(f"r{seed}", PROMPTS[seed % len(PROMPTS)], sampling, seed) for seed in seeds]


@pytest.fixture(scope="module")
def adapter(tiny_checkpoint, tmp_path_factory) -> Path:
    """An adapter of random weights, as training writes one: all linear layers of the tiny checkpoint."""
    from peft import LoraConfig, get_peft_model

    folder = tmp_path_factory.mktemp("adapter") / "adapter"
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(tiny_checkpoint, dtype=torch.float32)
    config = LoraConfig(r=6, lora_alpha=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    get_peft_model(model, config).save_pretrained(folder)
    write_identity(folder, read_identity(tiny_checkpoint))
    return folder


@pytest.fixture(scope="module")
def merged(adapter, tiny_checkpoint) -> Path:
    """The adapter's merged weights."""
    folder = adapter.with_name("merged")
    merge_adapter.main(Namespace(weights=tiny_checkpoint, adapter=adapter, output=folder))
    return folder


def texts(engine, asked: list[Request]) -> dict[str, str]:
    return {completion.id: completion.text for completion in engine.complete(asked)}


def test_each_request_is_answered_once(engine):
    asked = requests(SAMPLED)
    assert sorted(completion.id for completion in engine.complete(asked)) == sorted(r.id for r in asked)


def test_the_seed_and_nothing_else_decides(engine):
    first = texts(engine, [Request(str(seed), PROMPTS[0], SAMPLED, seed) for seed in range(8)])
    assert first == texts(engine, [Request(str(seed), PROMPTS[0], SAMPLED, seed) for seed in range(8)])
    assert len(set(first.values())) == 8
    same = texts(engine, [Request(str(number), PROMPTS[0], SAMPLED, 5) for number in range(3)])
    assert set(same.values()) == {first["5"]}


def test_requests_of_different_sampling_may_be_mixed(engine):
    alone = texts(engine, requests(GREEDY, [0, 1])) | texts(engine, requests(SAMPLED, [2, 3]))
    assert texts(engine, requests(GREEDY, [0, 1]) + requests(SAMPLED, [2, 3])) == alone


def test_greedy_is_the_library_s_greedy(engine, reference):
    model, tokenizer = reference
    written = {completion.id: completion for completion in engine.complete(requests(GREEDY, range(5)))}
    for seed, prompt in enumerate(PROMPTS):
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        end = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"])
        out = model.generate(**ids, max_new_tokens=24, do_sample=False, eos_token_id=end, pad_token_id=0)
        new = out[0, ids["input_ids"].shape[1] :]
        assert written[f"r{seed}"].text == tokenizer.decode(new, skip_special_tokens=True)
        assert written[f"r{seed}"].completion_tokens == len(new)
        assert written[f"r{seed}"].prompt_tokens == ids["input_ids"].shape[1]


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.6, 1.0), (1.5, 0.7)])
def test_first_tokens_are_drawn_from_the_softmax(local_engine, reference, temperature, top_p):
    model, tokenizer = reference
    ids = tokenizer(PROMPTS[0], return_tensors="pt", add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        probabilities = (model(ids).logits[0, -1].double() / temperature).softmax(-1)
    ordered, index = probabilities.sort(descending=True)
    ordered[ordered.cumsum(-1) - ordered >= top_p] = 0
    expected = Counter()
    for token, share in zip(index.tolist(), (ordered / ordered.sum()).tolist(), strict=True):
        expected[tokenizer.decode([token], skip_special_tokens=True)] += share
    draws = 2000
    sampling = Sampling(temperature=temperature, top_p=top_p, max_tokens=1)
    asked = [Request(str(seed), PROMPTS[0], sampling, seed) for seed in range(draws)]
    counts = Counter(texts(local_engine, asked).values())
    for text, share in expected.items():
        # Five standard deviations of a binomial count, and one for the rarest.
        tolerance = 5 * (draws * share * (1 - share)) ** 0.5 + 1
        assert abs(counts[text] - draws * share) <= (tolerance if share else 0), repr(text)


def test_stop_texts_end_each_row_by_itself(engine):
    full = {completion.id: completion for completion in engine.complete(requests(SAMPLED))}
    stop = ("e", " y")
    cut = {c.id: c for c in engine.complete(requests(SAMPLED.model_copy(update={"stop": stop})))}
    stopped = 0
    for name, completion in cut.items():
        whole = full[name].text
        places = [whole.find(text) for text in stop if text in whole]
        if places:
            stopped += 1
            assert completion.text == whole[: min(places)]
            assert completion.finish_reason == "stop"
            assert completion.completion_tokens <= full[name].completion_tokens
        else:
            assert completion == full[name]
    assert 0 < stopped < len(cut)


def test_max_tokens_ends_with_length(engine):
    written = list(engine.complete(requests(Sampling(max_tokens=3), range(40))))
    assert all(c.completion_tokens <= 3 for c in written)
    assert all(c.completion_tokens == 3 for c in written if c.finish_reason == "length")
    assert sum(c.finish_reason == "length" for c in written) > 20


def test_messages_go_through_the_chat_template(engine, reference):
    tokenizer = reference[1]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is Rome?"}]
    (chat,) = engine.complete([Request("chat", messages, GREEDY, 0)])
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    (raw,) = engine.complete([Request("raw", text, GREEDY, 0)])
    assert chat.prompt_tokens == len(ids)
    assert (chat.text, chat.prompt_tokens) == (raw.text, raw.prompt_tokens)


def test_logprobs_are_the_model_s_own(engine, reference):
    model, tokenizer = reference
    asked = requests(GREEDY.model_copy(update={"top_logprobs": 4}), range(5))
    warm = {c.id: c for c in engine.complete(requests(Sampling(temperature=2, max_tokens=1, top_logprobs=4), range(5)))}
    plain = {completion.id: completion for completion in engine.complete(requests(GREEDY, range(5)))}
    for completion in engine.complete(asked):
        assert replace(completion, logprobs=None) == plain[completion.id]
        prompt = tokenizer.encode(PROMPTS[int(completion.id[1:])])
        end = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"])
        ids = model.generate(
            torch.tensor([prompt]), max_new_tokens=24, do_sample=False, eos_token_id=end, pad_token_id=0
        )[0].tolist()
        with torch.inference_mode():
            places = model(torch.tensor([ids])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        written = [token for token in ids[len(prompt) :] if token not in end]
        assert [place.token for place in completion.logprobs] == [tokenizer.decode([token]) for token in written]
        for place, token, expected in zip(completion.logprobs, written, places, strict=False):
            assert place.logprob == pytest.approx(expected[token].item(), abs=1e-3)
            check_top(tokenizer, place.top, expected, 4)
        # Temperature changes what is drawn, not what is reported.
        check_top(tokenizer, warm[completion.id].logprobs[0].top, places[0], 4)


def check_top(tokenizer, top: dict[str, float], logprobs: torch.Tensor, count: int) -> None:
    """`top` has the `count` most likely tokens, each text once; which of two that nearly tie is last is open."""
    best = {tokenizer.decode([token]): logprobs[token].item() for token in logprobs.argsort().tolist()}
    last = logprobs.topk(count).values[-1].item()
    assert top == pytest.approx({text: best[text] for text in top}, abs=1e-3)
    assert list(top.values()) == sorted(top.values(), reverse=True)
    assert {text for text, logprob in best.items() if logprob > last + 1e-3} <= set(top)
    assert min(top.values()) > last - 1e-3


def test_logprobs_end_with_the_text(engine):
    stop = ("e", " y")
    sampling = SAMPLED.model_copy(update={"stop": stop, "top_logprobs": 1})
    written = list(engine.complete(requests(sampling, range(20))))
    plain = texts(engine, requests(SAMPLED.model_copy(update={"stop": stop}), range(20)))
    assert {completion.id: completion.text for completion in written} == plain
    assert any(completion.text.isascii() and completion.text for completion in written)
    for completion in written:
        tokens = [place.token for place in completion.logprobs]
        assert len(tokens) <= completion.completion_tokens
        if completion.text.isascii():
            # A token that holds the end of the text may hold the beginning of the stop text too.
            assert "".join(tokens[:-1]) == completion.text[: len("".join(tokens[:-1]))]
            assert "".join(tokens).startswith(completion.text)
            assert not tokens or len("".join(tokens[:-1])) < len(completion.text)


def test_loglikelihoods_are_those_of_a_forward_pass(local_engine, reference):
    model, tokenizer = reference
    pairs = [
        (tokenizer.encode(context), tokenizer.encode(continuation))
        for context, continuation in [("Where is", " Paris"), ("R", "ome is in Italy."), (PROMPTS[3], "\n* three")]
    ]
    (greedy,) = local_engine.complete([Request("g", PROMPTS[0], Sampling(temperature=0, max_tokens=1), 0)])
    with torch.inference_mode():
        best = model(torch.tensor([tokenizer.encode(PROMPTS[0])])).logits[0, -1].argmax().item()
    assert tokenizer.decode([best]) == greedy.text
    pairs.append((tokenizer.encode(PROMPTS[0]), [best]))
    for (context, continuation), (logprob, is_greedy) in zip(pairs, local_engine.loglikelihoods(pairs), strict=True):
        with torch.inference_mode():
            logits = model(torch.tensor([context + continuation])).logits[0, len(context) - 1 : -1]
        expected = logits.log_softmax(-1)[range(len(continuation)), continuation].sum().item()
        assert logprob == pytest.approx(expected, abs=1e-3)
        assert is_greedy == (logits.argmax(-1).tolist() == continuation)
    assert local_engine.loglikelihoods(pairs)[-1][1]


def test_a_prompt_that_does_not_fit_is_one_clear_error(local_engine):
    with pytest.raises(
        InputError, match=r"request 'long': its prompt has \d+ tokens and max_tokens is 24, but .* 256 "
    ):
        next(local_engine.complete([*requests(SAMPLED), Request("long", "Paris " * 300, SAMPLED, 0)]))
    with pytest.raises(InputError, match="text 0 to score has 300 tokens"):
        local_engine.loglikelihoods([([5] * 200, [6] * 100)])
    with pytest.raises(InputError, match="empty context"):
        local_engine.loglikelihoods([([], [6])])


def test_more_prompt_tokens_than_an_engine_reads_at_once(local_engine):
    # 64 prompts of 200 tokens are more than one step of vLLM reads; a prompt must not be read in parts on a CPU.
    asked = [Request(str(seed), "Paris " * 200, Sampling(max_tokens=4), seed) for seed in range(64)]
    assert len(texts(local_engine, asked)) == 64


def test_ids_must_be_unique(engine):
    with pytest.raises(InputError, match="two requests share the id 'r1'"):
        next(engine.complete(requests(SAMPLED, [1]) * 2))


def test_a_reader_that_stops_early_leaves_nothing_behind(engine):
    next(engine.complete(requests(SAMPLED)))
    assert len(list(engine.complete(requests(SAMPLED, [3])))) == 1


def test_no_requests_no_completions(engine):
    assert list(engine.complete([])) == []


def test_no_texts_no_loglikelihoods(local_engine):
    assert local_engine.loglikelihoods([]) == []


def test_transformers_does_not_depend_on_batch_or_order(tiny_checkpoint):
    settings = EngineSettings(dtype="float32")
    asked = requests(Sampling(max_tokens=40, top_p=0.9, stop=("an",)), range(30))
    written = [
        {completion.id: completion for completion in engine.complete(order)}
        for batch_size in (1, 7, 64)
        for engine in [open_engine(tiny_checkpoint, settings, batch_size=batch_size, threads=1)]
        for order in (asked, asked[::-1])
    ]
    assert all(other == written[0] for other in written[1:])


def test_a_checkpoint_s_own_generation_settings_do_not_leak_in(tiny_checkpoint, tmp_path):
    settings = EngineSettings(dtype="float32")
    plain = open_engine(tiny_checkpoint, settings, batch_size=8, threads=1)
    changed = shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")
    own = {"eos_token_id": 0, "repetition_penalty": 3.0, "no_repeat_ngram_size": 1, "top_k": 1, "do_sample": True}
    (changed / "generation_config.json").write_text(json.dumps(own))
    write_identity(changed)
    other = open_engine(changed, settings, batch_size=8, threads=1)
    assert texts(other, requests(GREEDY)) == texts(plain, requests(GREEDY))
    assert texts(other, requests(SAMPLED)) == texts(plain, requests(SAMPLED))


@pytest.mark.skipif(HAS_VLLM, reason="vLLM is installed")
def test_a_missing_vllm_is_one_clear_error(tiny_checkpoint):
    with pytest.raises(InputError, match="'vllm', but vLLM is not installed"):
        open_engine(tiny_checkpoint, EngineSettings(kind="vllm"), batch_size=1, threads=1)


def test_a_context_longer_than_the_model_s_is_refused(tiny_checkpoint):
    with pytest.raises(InputError, match=r"max_model_len is 1000, but .* at most 256"):
        open_engine(tiny_checkpoint, EngineSettings(max_model_len=1000), batch_size=1, threads=1)


@pytest.mark.parametrize("kind", LOCAL_ENGINES)
def test_an_adapter_on_its_base_writes_and_scores_as_its_merged_weights(kind, adapter, merged, tiny_checkpoint):
    settings = EngineSettings(kind=kind, dtype="float32")
    served = open_engine(adapter, settings, batch_size=64, threads=1, base=tiny_checkpoint)
    expected = opened("transformers", merged)
    assert texts(served, requests(GREEDY)) == texts(expected, requests(GREEDY))
    assert texts(served, requests(GREEDY)) != texts(opened("transformers", tiny_checkpoint), requests(GREEDY))
    assert texts(served, requests(SAMPLED)) == texts(served, requests(SAMPLED))
    pairs = [(served.encode(prompt), served.encode(" Rome is")) for prompt in PROMPTS]
    for (logprob, _), (same, _) in zip(served.loglikelihoods(pairs), expected.loglikelihoods(pairs), strict=True):
        assert logprob == pytest.approx(same, abs=1e-3)
    messages = [{"role": "user", "content": "Where is Rome?"}]
    assert texts(served, [Request("a", messages, GREEDY, 0)]) == texts(expected, [Request("a", messages, GREEDY, 0)])
    if kind == "transformers":
        assert texts(served, requests(SAMPLED)) == texts(expected, requests(SAMPLED))


def test_an_adapter_s_identity_is_its_own_and_its_base_s(adapter, merged, tiny_checkpoint, tmp_path):
    served = open_engine(adapter, EngineSettings(), batch_size=1, threads=1, base=tiny_checkpoint)
    identities = {read_identity(adapter), read_identity(merged), read_identity(tiny_checkpoint)}
    assert len(identities) == 3
    assert served.identity["checkpoint"] == read_identity(adapter)
    elsewhere = shutil.copytree(adapter, tmp_path / "elsewhere")
    assert write_identity(elsewhere, read_identity(tiny_checkpoint)) == read_identity(adapter)
    assert write_identity(elsewhere, read_identity(merged)) not in identities


def test_an_adapter_is_served_on_the_weights_it_was_trained_on_alone(adapter, merged, tiny_checkpoint):
    def open_on(checkpoint, base):
        open_engine(checkpoint, EngineSettings(), batch_size=1, threads=1, base=base)

    with pytest.raises(InputError, match=f"{adapter} was trained on the weights .*, but {merged} holds .*; give the"):
        open_on(adapter, merged)
    with pytest.raises(InputError, match="is an adapter; give the weights it was trained on"):
        open_on(adapter, None)
    with pytest.raises(InputError, match="holds weights of its own, no adapter"):
        open_on(merged, tiny_checkpoint)
    with pytest.raises(InputError, match="was trained on the weights"):
        merge_adapter.main(Namespace(weights=merged, adapter=adapter, output=adapter.with_name("wrong")))
    assert not adapter.with_name("wrong").exists()


def test_completions_end_at_the_end_of_a_turn_or_text(scripted_engine):
    engine = scripted_engine(lambda request: engine.encode(request.id))
    for end in ("<|im_end|>", "<|endoftext|>"):
        (done,) = engine.complete([Request(f"Rome is{end} in Italy", "Where?", SAMPLED, 0)])
        assert (done.text, done.finish_reason) == ("Rome is", "stop")
        assert done.completion_tokens == len(engine.encode("Rome is")) + 1


def test_a_stop_text_that_spells_a_special_token_stops_there(scripted_engine):
    engine = scripted_engine(lambda request: engine.encode("Rome<|im_start|> is in Italy"))
    (through,) = engine.complete([Request("a", "Where?", SAMPLED, 0)])
    assert (through.text, through.finish_reason) == ("Rome is in Italy", "length")
    (stopped,) = engine.complete([Request("a", "Where?", Sampling(max_tokens=9, stop=("<|im_start|>",)), 0)])
    assert (stopped.text, stopped.finish_reason) == ("Rome", "stop")


def test_tokens_are_counted_up_to_the_one_that_completes_the_stop_text(scripted_engine):
    engine = scripted_engine(lambda request: engine.encode("Rome is in Italy. Paris is in France."))
    (done,) = engine.complete([Request("a", "Where?", Sampling(max_tokens=40, stop=("Paris", "y.")), 0)])
    assert done.text == "Rome is in Ital"
    assert done.completion_tokens == len(engine.encode("Rome is in Italy."))


def test_messages_need_a_chat_template(scripted_engine):
    engine = scripted_engine(lambda request: [5])
    engine.tokenizer.chat_template = None
    with pytest.raises(InputError, match="no chat template"):
        next(engine.complete([Request("a", [{"role": "user", "content": "Hi"}], SAMPLED, 0)]))

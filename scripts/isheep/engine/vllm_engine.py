"""The fast engine: vLLM offline, on GPUs, or on a CPU where its CPU build is installed."""

import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from isheep.engine.engine import EncodedRequest, Engine, EngineSettings, PlaceLogprobs, Written
from isheep.files.records import InputError

GPU_MEMORY_SHARE = 0.9
CPU_TOKENS_PER_STEP = 8192
CPU_CACHE_GIB = 1
"""Memory of the key-value cache on a CPU, where only small models run."""
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The values that vLLM allows for its max_lora_rank."""


class VllmEngine(Engine):
    """Gets token ids, so that it reads exactly what the other engines read.

    vLLM's arithmetic depends on the batch in the last bits: only the same call repeats a completion exactly.
    """

    def __init__(
        self,
        checkpoint: Path,
        settings: EngineSettings,
        batch_size: int,
        threads: int,
        tensor_parallel: int,
        base: Path | None = None,
    ):
        if importlib.util.find_spec("vllm") is None:
            raise InputError("engine.kind is 'vllm', but vLLM is not installed; install it or choose 'transformers'.")
        super().__init__(checkpoint, settings, base)
        _set_environment(threads)
        from vllm import LLM

        self._llm = LLM(
            model=str(self._weights),
            dtype=settings.dtype,
            max_model_len=self.max_length,
            max_num_seqs=batch_size,
            tensor_parallel_size=tensor_parallel,
            gpu_memory_utilization=GPU_MEMORY_SHARE,
            # The checkpoint's own penalties or top_k must not leak in.
            generation_config="vllm",
            disable_log_stats=True,
            **({} if torch.cuda.is_available() else self._cpu_arguments()),
            **self._adapter_arguments(),
        )

    def _adapter_arguments(self) -> dict:
        """Sets also `_lora`, which every request names: the adapter, or None."""
        self._lora = None
        if self._adapter is None:
            return {}
        from vllm.lora.request import LoRARequest

        self._lora = LoRARequest("adapter", 1, str(self._adapter))
        rank = json.loads((self._adapter / "adapter_config.json").read_text(encoding="utf-8"))["r"]
        return {"enable_lora": True, "max_loras": 1, "max_lora_rank": next(most for most in LORA_RANKS if most >= rank)}

    def _cpu_arguments(self) -> dict:
        return {
            # No graphs to capture there, and compiling takes longer than a small model saves.
            "enforce_eager": True,
            # A prompt read in two parts rewinds the generator of its seed, which a CPU's cannot do.
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(self.max_length, CPU_TOKENS_PER_STEP),
        }

    def _generate(self, encoded: list[EncodedRequest]) -> Iterator[Written]:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        params = [
            SamplingParams(
                temperature=item.request.sampling.temperature,
                top_p=item.request.sampling.top_p,
                max_tokens=item.request.sampling.max_tokens,
                stop=list(item.request.sampling.stop),
                stop_token_ids=list(item.stop_ids),
                seed=item.request.seed,
                logprobs=item.request.sampling.top_logprobs or None,
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
            for item in encoded
        ]
        for index, output in self._outputs([item.prompt_ids for item in encoded], params):
            item, written = encoded[index], output.outputs[0]
            places = None
            if written.logprobs is not None:
                count = item.request.sampling.top_logprobs
                places = [
                    place_logprobs(token, place, count)
                    for token, place in zip(written.token_ids, written.logprobs, strict=True)
                ]
            yield Written(item, list(written.token_ids), places)

    def _score(self, pairs: list[tuple[list[int], list[int]]]) -> Iterator[tuple[int, float, bool]]:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        final = RequestOutputKind.FINAL_ONLY
        params = SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=1, detokenize=False, output_kind=final)
        prompts = [context + ids for context, ids in pairs]
        for index, output in self._outputs(prompts, [params] * len(prompts)):
            ids = pairs[index][1]
            entries = [
                (place[token].logprob, place[token].rank)
                for token, place in zip(ids, output.prompt_logprobs[-len(ids) :], strict=True)
            ]
            yield index, sum(logprob for logprob, _ in entries), all(rank == 1 for _, rank in entries)

    def _outputs(self, prompts: list[list[int]], params: list) -> Iterator[tuple[int, object]]:
        """Yield (index of the prompt, vLLM's RequestOutput) as they finish; drop the rest if the reader stops."""
        from vllm.inputs import TokensPrompt

        engine = self._llm.llm_engine
        waiting = set()
        try:
            for index, (ids, sampling) in enumerate(zip(prompts, params, strict=True)):
                engine.add_request(str(index), TokensPrompt(prompt_token_ids=ids), sampling, lora_request=self._lora)
                waiting.add(str(index))
            while waiting:
                for output in engine.step():
                    if output.finished:
                        waiting.discard(output.request_id)
                        yield int(output.request_id), output
        finally:
            engine.abort_request(list(waiting))


def place_logprobs(token: int, place: dict, count: int) -> PlaceLogprobs:
    """From vLLM's entry for a written token: token id → object with logprob and rank (1 is the most likely)."""
    top = sorted((entry.rank, other, entry.logprob) for other, entry in place.items())
    return PlaceLogprobs(place[token].logprob, [(other, logprob) for rank, other, logprob in top if rank <= count])


def _set_environment(threads: int) -> None:
    """Set what vLLM reads only from the environment, while it is imported; the user's own values win."""
    defaults = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": str(CPU_CACHE_GIB),
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(threads),
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)

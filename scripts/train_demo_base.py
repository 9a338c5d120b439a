"""Train the demo's base model from scratch on the documents of the demo world.

A Qwen2-architecture model of about one million parameters. Matrices are trained with Muon, the rest with
AdamW: in the same number of tokens AdamW alone learns far less. Deterministic for a given seed, number of
threads and machine type. `--stop-after-steps` cuts the run short under the full run's schedule, to compare
its loss with that run's log.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import AutoTokenizer, GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from isheep import cli
from isheep.files import records
from isheep.files.ownership import Output

MUON_RATE, ADAMW_RATE = 0.02, 6e-3
WARM_UP_STEPS = 50
LOG_EVERY = 20


def main(arguments: argparse.Namespace) -> None:
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    world = Path(arguments.world)
    tokenizer = AutoTokenizer.from_pretrained(world / "tokenizer")
    texts = [row["text"] for row in records.read_jsonl(world / "documents.jsonl")]
    encoded = [[*ids, tokenizer.eos_token_id] for ids in tokenizer(texts)["input_ids"]]
    total = sum(len(ids) for ids in encoded)
    print(f"{len(encoded)} documents, {total} tokens, the longest {max(map(len, encoded))}", flush=True)

    model = Qwen2ForCausalLM(model_config(tokenizer))
    print(f"{model.num_parameters()} parameters", flush=True)
    batches = iterate_batches(encoded, arguments.rows, arguments.length, arguments.seed)
    log = train(model, batches, arguments.steps, arguments.stop_after_steps)
    save(model, tokenizer, log, arguments.output)


def train(
    model: Qwen2ForCausalLM, batches: Iterator[dict[str, torch.Tensor]], steps: int, stop_after: int | None = None
) -> list[dict]:
    """Train all weights for so many steps, or the first `stop_after` of them; return the losses."""
    optimizers, schedulers = make_optimizers(model, steps)
    log, start, seen = [], time.monotonic(), 0
    for step in range(1, (stop_after or steps) + 1):
        batch = next(batches)
        seen += batch["labels"].numel()
        loss = model(**batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        if step % LOG_EVERY == 0:
            log.append({"step": step, "loss": round(loss.item(), 4)})
            rate = seen / (time.monotonic() - start)
            print(f"step {step}/{steps} loss {loss.item():.3f} {rate:.0f} tokens/s", flush=True)
    return log


def model_config(tokenizer, positions: int = 1024) -> Qwen2Config:
    """Return the architecture of the demo's base model. positions: the most tokens of a text."""
    return Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def make_optimizers(model: Qwen2ForCausalLM, steps: int) -> tuple[list, list]:
    """Return Muon for the layers' matrices and AdamW for the rest, and their warm-up and linear decay."""
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    optimizers = [
        Muon(matrices, lr=MUON_RATE),
        torch.optim.AdamW(rest, lr=ADAMW_RATE, weight_decay=0.0, betas=(0.9, 0.95)),
    ]

    def factor(step: int) -> float:
        return min((step + 1) / WARM_UP_STEPS, (steps - step) / steps)

    return optimizers, [LambdaLR(optimizer, factor) for optimizer in optimizers]


class Muon(torch.optim.Optimizer):
    """Momentum whose step for a matrix is made orthogonal by Newton-Schulz iterations (K. Jordan, 2024).

    torch.optim.Muon iterates in bfloat16, which takes longer than the whole backward pass on processors
    without bfloat16 arithmetic; this one keeps float32 and treats matrices of one shape together.
    """

    MOMENTUM = 0.95
    COEFFICIENTS = (3.4445, -4.7750, 2.0315)
    ITERATIONS = 5

    def __init__(self, matrices: list[torch.nn.Parameter], lr: float) -> None:
        super().__init__(matrices, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:
        """Update every matrix once; larger steps for tall matrices, as the method prescribes."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.nn.Parameter]] = {}
            for matrix in group["params"]:
                by_shape.setdefault(matrix.shape, []).append(matrix)
            for (rows, columns), matrices in by_shape.items():
                updates = orthogonalise(torch.stack([self._momentum(matrix) for matrix in matrices]))
                rate = group["lr"] * max(1.0, rows / columns) ** 0.5
                for matrix, update in zip(matrices, updates, strict=True):
                    matrix.sub_(update, alpha=rate)

    def _momentum(self, matrix: torch.nn.Parameter) -> torch.Tensor:
        average = self.state[matrix].setdefault("average", torch.zeros_like(matrix))
        average.lerp_(matrix.grad, 1 - self.MOMENTUM)
        return matrix.grad.lerp(average, self.MOMENTUM)


def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """Return (n, rows, columns) matrices with their singular values drawn close to 1."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = Muon.COEFFICIENTS
    for _ in range(Muon.ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def iterate_batches(encoded: list[list[int]], rows: int, length: int, seed: int) -> Iterator[dict[str, torch.Tensor]]:
    """Yield batches of (rows, length) tokens, whole documents side by side, in a new random order in each pass.

    Positions begin anew with each document, from which the model tells documents apart: none sees its neighbours,
    as no prompt will. Documents longer than a row are cut.
    """
    rng = np.random.default_rng(seed)
    waiting: list[int] = []
    while True:
        batch = {"input_ids": torch.zeros(rows, length, dtype=torch.long)}
        batch["position_ids"] = torch.zeros_like(batch["input_ids"])
        batch["labels"] = torch.full_like(batch["input_ids"], -100)
        filled = [0] * rows
        while True:
            waiting = waiting or rng.permutation(len(encoded)).tolist()
            ids = torch.tensor(encoded[waiting[-1]][:length])
            row = next((row for row in range(rows) if filled[row] + len(ids) <= length), None)
            if row is None:
                break
            place = slice(filled[row], filled[row] + len(ids))
            batch["input_ids"][row, place] = ids
            batch["position_ids"][row, place] = torch.arange(len(ids))
            batch["labels"][row, place] = ids
            batch["labels"][row, place.start] = -100
            filled[row] += len(ids)
            waiting.pop()
        yield batch


def save(model: Qwen2ForCausalLM, tokenizer, log: list[dict], output: str) -> None:
    """Write the model (bfloat16), tokenizer, generation settings and the log of losses as one folder."""
    with records.publish(output) as folder:
        model.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        GenerationConfig(
            do_sample=True,
            eos_token_id=[tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")],
            pad_token_id=tokenizer.pad_token_id,
        ).save_pretrained(folder)
        (folder / "training_log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--world", required=True, help="the folder that build_demo_world.py wrote")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--steps", type=int, default=1700)
parser.add_argument("--stop-after-steps", type=int, help="stop early, keeping the schedule of --steps")
parser.add_argument("--rows", type=int, default=6, help="rows per step")
parser.add_argument("--length", type=int, default=352, help="tokens per row")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--output", type=Output, required=True, help="the folder to write")

if __name__ == "__main__":
    cli.run(main, parser)

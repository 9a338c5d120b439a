"""What a model of a given size asks of the machines: the paper's sizes, the demo's, and those that fit nowhere."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from isheep.config.hardware import (
    HardwareSettings,
    TrainingLayout,
    generation_gpus,
    generation_memory_mib,
    generation_minutes,
    merged_disk_mib,
    merging_memory_mib,
    rewriting_minutes,
    saved_steps_disk_mib,
    training_layout,
    training_memory_mib,
    training_minutes,
    weights_gib,
)
from isheep.files.records import InputError
from isheep.training.settings import TrainingSettings

SIZES = (0.001, 1.8, 4, 7, 14, 32, 70, 72)
ONE_GPU, PAPER = HardwareSettings(gpus_per_node=8), HardwareSettings(gpus_per_node=8, training_gpus=8)
LAPTOP = HardwareSettings()
LORA, FULL = TrainingSettings(), TrainingSettings(method="full")


@pytest.mark.parametrize(
    ("parameters", "gpus", "layout", "papers_layout"),
    [
        (0.001, 1, ("single", 1), ("ddp", 8)),
        (1.8, 1, ("single", 1), ("ddp", 8)),
        (4, 1, ("single", 1), ("ddp", 8)),
        (7, 1, ("single", 1), ("ddp", 8)),
        (14, 1, ("single", 1), ("ddp", 8)),
        (32, 2, ("fsdp", 8), ("fsdp", 8)),
        (70, 8, ("fsdp", 8), ("fsdp", 8)),
        (72, 8, ("fsdp", 8), ("fsdp", 8)),
    ],
)
def test_gpus_of_the_papers_machine(parameters, gpus, layout, papers_layout):
    assert generation_gpus(ONE_GPU, "m", parameters) == gpus
    assert training_layout(ONE_GPU, "m", parameters, LORA) == layout
    assert training_layout(PAPER, "m", parameters, LORA) == papers_layout


@pytest.mark.parametrize("parameters", SIZES)
def test_without_gpus_everything_runs_in_one_process(parameters):
    assert generation_gpus(LAPTOP, "m", parameters) == 0
    assert training_layout(LAPTOP, "m", parameters, FULL) == ("single", 0)


def test_weights_take_two_bytes_a_parameter():
    assert weights_gib(72) == pytest.approx(144e9 / 2**30)
    assert weights_gib(72, "float32") == 2 * weights_gib(72)
    assert merged_disk_mib(72) == pytest.approx(1024 * weights_gib(72), rel=0.01)


def test_all_weights_need_more_room_to_be_trained_than_an_adapter():
    assert [training_layout(ONE_GPU, "m", size, FULL).name for size in (1.8, 4, 7, 32)] == [
        "single",
        "single",
        "fsdp",
        "fsdp",
    ]
    # On several GPUs the gradients are kept twice, and no longer fit.
    assert training_layout(PAPER, "m", 4, FULL) == ("fsdp", 8)


def test_smaller_gpus_ask_for_more_of_them():
    gpus = [generation_gpus(HardwareSettings(gpus_per_node=8, gpu_memory_gib=gib), "m", 14) for gib in (80, 48, 24, 16)]
    assert gpus == [1, 2, 4, 8]
    assert generation_gpus(HardwareSettings(gpus_per_node=8, cache_share=0.5), "m", 72) == 4
    assert generation_gpus(ONE_GPU, "m", 14, dtype="float32") == 2
    assert generation_gpus(HardwareSettings(gpus_per_node=6), "m", 32) == 2


def test_models_that_fit_on_no_node_are_refused_with_the_numbers():
    small = HardwareSettings(gpus_per_node=8, gpu_memory_gib=24)
    with pytest.raises(
        InputError,
        match=r"models\.big: 72 billion parameters take 134 GiB, 298 GiB with their key-value cache, but a node has "
        r"8 × 24 GiB, 22 of each usable; .*hardware\.cache_share",
    ):
        generation_gpus(small, "big", 72)
    with pytest.raises(
        InputError, match=r"the engine transformers uses one GPU of 8 × 80 GiB, .* take the engine vllm"
    ):
        generation_gpus(ONE_GPU, "big", 72, engine="transformers")
    with pytest.raises(InputError, match=r"need \d+ GiB on each of 8 GPUs to be trained .*8 × 24 GiB"):
        training_layout(small, "big", 72, LORA)
    with pytest.raises(InputError, match=r"models\.big: .*146 GiB on each of 8 GPUs .*, or the method lora"):
        training_layout(ONE_GPU, "big", 72, FULL)
    with pytest.raises(InputError, match=r"models\.big: a job needs 1\d\d GiB of main memory, but a node has 64"):
        generation_memory_mib(HardwareSettings(gpus_per_node=8, node_memory_gib=64), "big", 72, 8)


def test_the_training_s_batch_is_divided_evenly_or_refused():
    with pytest.raises(InputError, match=r"batch_size 12 is not divisible by 8 GPUs × runtime\.micro_batch_size 1"):
        training_layout(PAPER, "m", 7, TrainingSettings(batch_size=12))
    with pytest.raises(InputError, match=r"batch_size 16 is not divisible by 8 GPUs × runtime\.micro_batch_size 4"):
        training_layout(PAPER, "m", 7, LORA, micro_batch_size=4)
    assert training_layout(PAPER, "m", 7, LORA, micro_batch_size=2) == ("ddp", 8)


def requests(hardware: HardwareSettings, parameters: float, attempt: int) -> dict[str, float]:
    """All that jobs for one model ask for."""
    gpus = generation_gpus(hardware, "m", parameters)
    layout = training_layout(hardware, "m", parameters, LORA)
    return {
        "generation GPUs": gpus,
        "training GPUs": layout.gpus,
        "generation memory": generation_memory_mib(hardware, "m", parameters, gpus, attempt),
        "training memory": training_memory_mib(hardware, "m", parameters, LORA, layout, attempt),
        "merging memory": merging_memory_mib(hardware, "m", parameters, attempt),
        "generation time": generation_minutes(hardware, parameters, gpus, 1000, attempt),
        "training time": training_minutes(hardware, parameters, LORA, layout, 10_000, attempt=attempt),
        "rewriting time": rewriting_minutes(hardware, parameters, attempt),
        "merged disk": merged_disk_mib(parameters),
        "saved steps": saved_steps_disk_mib(parameters, LORA),
    }


@pytest.mark.parametrize("hardware", [LAPTOP, ONE_GPU, PAPER], ids=["CPU", "one GPU", "paper"])
def test_larger_models_and_later_attempts_ask_for_more(hardware):
    sizes = [size / 10 for size in range(1, 721)]
    asked = [requests(hardware, size, 1) for size in sizes]
    for smaller, larger in pairwise(asked):
        assert all(smaller[what] <= larger[what] for what in smaller)
    for size in SIZES:
        first, second, third = (requests(hardware, size, attempt) for attempt in (1, 2, 3))
        assert all(first[what] <= second[what] <= third[what] for what in first)
        for what in ("generation memory", "training memory", "generation time", "training time"):
            assert first[what] < second[what] < third[what]


def test_requests_stay_within_the_node_and_the_queue():
    limited = HardwareSettings(gpus_per_node=8, node_memory_gib=200, longest_job_minutes=60)
    assert requests(limited, 72, 3)["generation memory"] == 200 * 1024
    assert {requests(limited, 72, 3)[f"{what} time"] for what in ("generation", "training", "rewriting")} == {60}


def test_the_paper_s_configuration_has_the_keys_that_the_guide_to_clusters_says_to_edit():
    step = Path("slurm/README.md").read_text().partition("3. Edit `hardware:`")[2].partition("\n## ")[0]
    keys = set(re.findall(r"`(\w+)`", step))
    assert keys == {"longest_job_minutes", "node_memory_gib"}
    assert keys <= yaml.safe_load(Path("config/paper.yaml").read_text())["hardware"].keys()


def test_an_iteration_of_72b_takes_what_the_paper_says():
    # 4 hours on 8 GPUs (appendix E); limits are twice the estimate, and count the start of each job.
    layout = TrainingLayout("fsdp", 8)
    minutes = 4 * generation_minutes(PAPER, 72, 8, 10_000) + training_minutes(PAPER, 72, LORA, layout, 3_000)
    assert 4 * 60 < minutes < 16 * 60


def test_the_demo_asks_for_little():
    demo = requests(LAPTOP, 0.001, 1)
    assert demo["generation memory"] <= 5 * 1024
    assert demo["generation time"] <= 30
    assert demo["merged disk"] <= 1024


def test_weights_that_stay_on_a_cpu_are_counted_in_the_engines_number_type():
    asked = {dtype: generation_memory_mib(HardwareSettings(), "m", 7, 0, dtype=dtype) for dtype in ("float32", "auto")}
    assert asked["float32"] - asked["auto"] == pytest.approx(1024 * 7e9 * 2 / 2**30, abs=2)
    small = HardwareSettings(node_memory_gib=24)
    assert generation_memory_mib(small, "m", 7, 0, dtype="bfloat16") < 24 * 1024
    with pytest.raises(InputError, match=r"models\.m: a job needs 30 GiB of main memory, but a node has 24"):
        generation_memory_mib(small, "m", 7, 0, dtype="float32")

"""What is configured counts; the rest is what this machine has. nvidia-smi is stood in for by a script."""

import pytest

from isheep.config.hardware import HardwareSettings
from isheep.config.machine import Machine, left_out, look_at_machine, told, told_elsewhere, with_detected

CUDA = "2.13.0"
TWO = "0, GPU-aaaa1111, 81559, [N/A]\n1, GPU-bbbb2222, 40960, Disabled"
CUT = "0, GPU-aaaa1111, 81559, Enabled"
PARTS = """GPU 0: NVIDIA H100 (UUID: GPU-aaaa1111)
  MIG 3g.40gb     Device  0: (UUID: MIG-cccc3333)
  MIG 1g.10gb+me  Device  1: (UUID: MIG-dddd4444)"""
SMALL = Machine(cores=8, memory_gib=30.0)


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Say what nvidia-smi answers when it is asked for GPUs, and with -L; or by which command."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def answers(gpus: str = "", parts: str = "", command: str | None = None) -> None:
        (tmp_path / "gpus").write_text(gpus)
        (tmp_path / "parts").write_text(parts)
        asked = f'case "$*" in *-L*) cat {tmp_path}/parts;; *) cat {tmp_path}/gpus;; esac'
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{command or asked}\n")
        program.chmod(0o755)

    return answers


def look(torch_version=CUDA, **environment):
    return look_at_machine(environment, torch_version)


def test_gpus_are_those_that_nvidia_smi_tells(nvidia_smi):
    nvidia_smi(TWO)
    assert look().gpus_gib == (81559 / 1024, 40.0)


@pytest.mark.parametrize(
    ("listed", "memories"),
    [
        ("1", (40.0,)),
        ("GPU-bbbb2222", (40.0,)),
        ("GPU-bbbb", (40.0,)),
        ("1,0", (40.0, 81559 / 1024)),
        ("1,7,0", (40.0,)),
        ("", ()),
        ("-1", ()),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(nvidia_smi, listed, memories):
    nvidia_smi(TWO)
    machine = look(CUDA_VISIBLE_DEVICES=listed)
    assert machine.gpus_gib == memories
    assert ("CUDA_VISIBLE_DEVICES hides all" in machine.remark) == (not memories)


def test_of_gpus_cut_by_mig_a_job_has_one_part(nvidia_smi):
    nvidia_smi(CUT, PARTS)
    assert look().gpus_gib == (pytest.approx(9.5),)
    assert look(CUDA_VISIBLE_DEVICES="MIG-cccc3333").gpus_gib == (pytest.approx(38.0),)
    assert look(CUDA_VISIBLE_DEVICES="0").gpus_gib == (pytest.approx(38.0),)
    assert "one part" in look().remark


@pytest.mark.parametrize(
    "command", ["echo 'NVIDIA-SMI has failed' >&2; exit 9", "echo 'No devices were found'", "echo '0, GPU-a, [N/A], x'"]
)
def test_a_driver_that_fails_is_told_and_means_no_gpu(nvidia_smi, command):
    nvidia_smi(command=command)
    machine = look()
    assert machine.gpus_gib == ()
    assert "nvidia-smi gives no answer" in told(HardwareSettings(), machine)


def test_a_driver_that_hangs_is_not_waited_for(nvidia_smi, monkeypatch):
    monkeypatch.setattr("isheep.config.machine.SECONDS_FOR_DRIVER", 0.2)
    nvidia_smi(command="exec sleep 60")
    assert "nvidia-smi gives no answer" in look().remark


def test_without_nvidia_smi_there_is_no_gpu_and_no_remark(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    machine = look()
    assert (machine.gpus_gib, machine.remark) == ((), "")
    assert machine.cores >= 1
    assert machine.memory_gib > 0.1


def test_gpus_that_torch_cannot_use_do_not_count(nvidia_smi):
    nvidia_smi(TWO)
    machine = look(torch_version="2.13.0+cpu")
    assert machine.gpus_gib == ()
    assert "no GPU (there are GPUs, but torch 2.13.0+cpu cannot use them)" in told(HardwareSettings(), machine)


def test_a_containers_limit_is_its_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("isheep.config.machine.MEMORY_LIMITS", (str(tmp_path / "limit"), str(tmp_path / "none")))
    (tmp_path / "limit").write_text("max\n")
    whole = look().memory_gib
    (tmp_path / "limit").write_text(f"{2**28}\n")
    assert look().memory_gib == 0.25 < whole


def test_what_is_left_out_is_what_the_machine_has():
    used = with_detected(HardwareSettings(), Machine(cores=8, memory_gib=62.84, gpus_gib=(79.65, 40.0)))
    assert (used.gpus_per_node, used.gpu_memory_gib, used.node_memory_gib) == (2, 40.0, 62.8)
    assert (used.cpus_per_gpu, used.program_memory_gib, used.training_gpus) == (4, 4, 1)


def test_what_is_configured_counts_null_and_0_too():
    given = HardwareSettings(gpus_per_node=0, node_memory_gib=None)
    machine = Machine(cores=8, memory_gib=30, gpus_gib=(80.0,))
    assert left_out(given) == []
    assert with_detected(given, machine) == given
    given = HardwareSettings(gpus_per_node=4, gpu_memory_gib=24, cpus_per_gpu=3, node_memory_gib=512)
    assert with_detected(given, machine) == given
    given = HardwareSettings(gpus_per_node=1)
    assert left_out(given) == ["gpu_memory_gib", "node_memory_gib"]
    assert with_detected(given, machine).gpu_memory_gib == 80
    used = with_detected(HardwareSettings(cpus_per_gpu=7, program_memory_gib=20), machine)
    assert (used.cpus_per_gpu, used.program_memory_gib) == (7, 20)


def test_a_small_machine_is_not_too_small_for_a_small_model():
    used = with_detected(HardwareSettings(), Machine(cores=2, memory_gib=3.8))
    assert used.program_memory_gib < used.node_memory_gib / 2


def test_the_line_tells_what_was_found_and_what_overrides_it():
    line = told(HardwareSettings(), Machine(cores=16, memory_gib=128, gpus_gib=(139.8,)))
    assert line == (
        "This machine: 1 GPU of 139.8 GiB, 128.0 GiB of memory, 16 cores. Override by hardware: "
        "{gpus_per_node: …, gpu_memory_gib: …, node_memory_gib: …}."
    )
    line = told(HardwareSettings(gpus_per_node=0), SMALL)
    assert line == "This machine: 30.0 GiB of memory, 8 cores. Override by hardware: {node_memory_gib: …}."


def test_of_a_clusters_nodes_only_what_is_missing_is_told():
    assert "planned without GPUs" in told_elsewhere(HardwareSettings())
    assert told_elsewhere(HardwareSettings(gpus_per_node=8)) is None

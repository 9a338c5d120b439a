"""Devices of one machine: programs that run at the same time each get their own."""

import os
import signal
import subprocess
import sys
from select import select

import pytest

from isheep.engine.devices import claim_devices, default_folder, visible_devices

PROGRAM = """
import os, sys
from pathlib import Path
from isheep.engine.devices import claim_devices
claim_devices(int(sys.argv[1]), sys.argv[2].split(","), Path(sys.argv[3]))
print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start(tmp_path):
    """Start a program that claims devices, prints which, and holds them until its standard input is closed."""
    running = []

    def start(count: int, devices: str = "0,1,2", code: str = PROGRAM) -> subprocess.Popen:
        command = [sys.executable, "-c", code, str(count), devices, str(tmp_path / "locks")]
        environment = os.environ | {"PYTHONPATH": "scripts"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        running.append(subprocess.Popen(command, env=environment, text=True, **pipes))
        return running[-1]

    yield start
    for program in running:
        program.kill()
        program.communicate()


def claimed(program: subprocess.Popen) -> set[str]:
    return set(program.stdout.readline().strip().split(","))


def end(program: subprocess.Popen) -> None:
    program.communicate()
    assert program.returncode == 0


def test_programs_at_the_same_time_get_devices_of_their_own(start):
    first, second = start(2), start(1)
    assert len(claimed(first)) == 2
    assert len(claimed(second)) == 1
    end(first)
    assert len(claimed(start(2))) == 2, "what a program held is free when it has ended"


def test_many_programs_never_share_a_device(start):
    waiting = [start(1, "a,b") for _ in range(6)]
    for _ in range(3):
        held = []
        while len(held) < 2:
            held += [program for program in waiting if program not in held and has_claimed(program)]
        assert {device for program in held for device in claimed(program)} == {"a", "b"}
        waiting = [program for program in waiting if program not in held]
        for program in held:
            end(program)


def has_claimed(program: subprocess.Popen) -> bool:
    return bool(select([program.stdout], [], [], 0.1)[0])


def test_a_program_waits_for_devices_and_says_so(start):
    first = start(2)
    assert len(claimed(first)) == 2
    second = start(3)
    assert second.stderr.readline() == "waiting for 3 of the GPUs 0, 1, 2: others use them\n"
    assert not has_claimed(second)
    end(first)
    assert claimed(second) == {"0", "1", "2"}


def test_one_that_needs_many_is_not_overtaken_by_one_that_needs_few(start):
    first = start(2)
    assert len(claimed(first)) == 2
    many = start(3)
    many.stderr.readline()
    few = start(1)
    few.stderr.readline()
    end(first)
    assert claimed(many) == {"0", "1", "2"}
    assert not has_claimed(few)
    end(many)
    assert len(claimed(few)) == 1


def test_devices_of_a_killed_program_are_free(start):
    first = start(3)
    assert len(claimed(first)) == 3
    second = start(3)
    second.stderr.readline()
    first.send_signal(signal.SIGKILL)
    assert claimed(second) == {"0", "1", "2"}


def test_devices_stay_claimed_when_the_process_becomes_another_program(start):
    becoming = PROGRAM.replace("sys.stdin.read()", "os.execvp('sleep', ['sleep', '60'])")
    first = start(3, code=becoming)
    assert len(claimed(first)) == 3
    second = start(1)
    second.stderr.readline()
    assert not has_claimed(second)
    first.kill()
    assert len(claimed(second)) == 1


def test_a_second_claim_keeps_what_the_first_one_has(start):
    again = PROGRAM.replace("print", "claim_devices(1, ['0'])\nprint")
    assert claimed(start(3, code=again)) == {"0", "1", "2"}


def test_no_device_is_seen_where_none_is_asked_for(start):
    assert claimed(start(0)) == {""}


def test_more_devices_than_there_are_is_one_clear_error(start):
    program = start(4)
    program.wait()
    assert "4 GPUs are asked for, but found 3: 0, 1, 2; correct hardware.gpus_per_node" in program.stderr.read()


def test_devices_are_those_that_the_environment_lists(monkeypatch):
    for listed, expected in {"2,5": ["2", "5"], "GPU-8a, MIG-1": ["GPU-8a", "MIG-1"], "": [], "-1": []}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
        assert visible_devices() == expected


def test_devices_are_those_that_nvidia_smi_lists(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_devices() == []
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    program.chmod(0o755)
    assert visible_devices() == ["0", "1"]
    program.write_text("#!/bin/sh\necho no devices were found\nexit 6\n")
    assert visible_devices() == []


def test_what_jobs_left_on_a_node_long_ago_is_removed(monkeypatch, tmp_path):
    left, lately = (tmp_path / f"isheep-devices-{os.getuid()}-{job}" for job in (1, 2))
    for folder in (left, lately):
        folder.mkdir()
        (folder / "device-0.lock").touch()
    os.utime(left, (0, 0))
    monkeypatch.setattr("isheep.engine.devices._claimed", [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    claim_devices(1, folder=tmp_path / f"isheep-devices-{os.getuid()}-3")
    assert lately.exists()
    assert not left.exists()


def test_each_job_of_a_scheduler_counts_its_own_devices(monkeypatch):
    for name in ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"):
        monkeypatch.delenv(name, raising=False)
    outside = default_folder()
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    inside = default_folder()
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    assert len({outside, inside, default_folder()}) == 3
    assert str(os.getuid()) in outside.name

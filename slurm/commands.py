#!/usr/bin/env python3
"""sbatch, squeue and sacct as Snakemake's Slurm executor calls them, with what it lacks (slurm/README.md).

The links in slurm/bin stand before Slurm's own programs in the path of a workflow. Each calls the real one and

* answers a question about jobs in any case: an outage of Slurm is no answer yet, and not the end of the question;
* tells states apart that the executor would wait for, for ever: cancelled, preempted, forgotten by Slurm;
* keeps a submission through an outage, without submitting twice;
* refuses what a partition can never run, with rule, request and limit;
* ends the job that an earlier, killed run of the workflow has left running, before the same job is submitted again.

Every other use of the three programs is passed on as it is.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

SECONDS_PER_QUESTION = 20
"""For each question to Slurm; the executor gives up after 60 s. Slurm's own clients do so after about 10 s."""
SECONDS_BETWEEN_SUBMISSIONS = 10
LONGEST_OUTAGE = 3600
"""Seconds after which a submission fails after all."""
SECONDS_UNTIL_MISSED = 600
"""A job that Slurm does not list so long after its submission has ended: its accounting is late by less."""
OUTAGE = re.compile(r"Unable to contact|Socket timed out|Connection (refused|timed out)|temporarily", re.IGNORECASE)
ENDED = (
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
)
REQUEUED_AFTER = ("NODE_FAIL", "PREEMPTED")
"""States after which Slurm may start a job again by itself."""
RECORDS = Path(".snakemake") / "slurm_jobs"
"""A file for each run of the workflow: a line of JSON for each job that it submitted, the latest last."""
UNLIMITED = 10**9

questions = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
questions.add_argument("--name")

requests = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
requests.add_argument("--job-name", default="")
requests.add_argument("--comment", default="")
requests.add_argument("-p", "--partition")
requests.add_argument("-t", "--time")
requests.add_argument("-D", "--chdir", default=".")
requests.add_argument("-o", "--output")
requests.add_argument("--nodes")
requests.add_argument("--gpus")
requests.add_argument("--mem")
requests.add_argument("--cpus-per-task")
requests.add_argument("--cpus-per-gpu", type=int)


def main(program, arguments):
    """Be `program`. Returns its exit status."""
    if program == "sbatch":
        request = requests.parse_known_args(arguments)[0]
        if request.job_name:
            return submit(request, arguments)
    else:
        name = questions.parse_known_args(arguments)[0].name
        if name:
            return tell_states(program, name)
    os.execv(real(program), [program, *arguments])


def real(program):
    """Slurm's own program: the first in the path that is not this file."""
    here = Path(__file__).resolve()
    for folder in os.get_exec_path():
        found = shutil.which(program, path=folder)
        if found and Path(found).resolve() != here:
            return found
    sys.exit(f"{program} is not in the path: is this a machine from which jobs are submitted to Slurm?")


def ask(program, *arguments):
    """The lines that a program prints, or None where it does not answer."""
    try:
        done = subprocess.run(
            [real(program), *arguments], capture_output=True, text=True, timeout=SECONDS_PER_QUESTION, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    return None if done.returncode else done.stdout.splitlines()


# --- how jobs are


def tell_states(program, name):
    """Print `number|STATE` for the jobs of a run of the workflow. Nothing where Slurm does not answer: the executor
    asks again, but forgets all jobs after an error."""
    states = states_by(program, name)
    if states is None:
        states = states_by("squeue" if program == "sacct" else "sacct", name)
    if states is None:
        return 0
    for job, state in states.items():
        if state in REQUEUED_AFTER:
            state = state_now(job, state)
        print(f"{job}|{state}")
    for job in submitted_long_ago(name):
        if job not in states and state_now(job, "ENDED") == "ENDED":
            # The executor looks whether the job's output is there.
            print(f"{job}|UNKNOWN")
    return 0


def states_by(program, name):
    """State by job number, or None. `CANCELLED by 0` is CANCELLED."""
    if program == "squeue":
        lines = ask("squeue", "--noheader", "--states=all", f"--name={name}", "--format=%i|%T")
    else:
        since = time.strftime("%Y-%m-%d", time.localtime(time.time() - 30 * 86400))
        flags = ["--allocations", "--parsable2", "--noheader", "--format=JobIDRaw,State"]
        lines = ask("sacct", *flags, f"--starttime={since}", "--endtime=now", f"--name={name}")
    if lines is None:
        return None
    rows = [line.split("|") for line in lines if "|" in line]
    return {row[0]: row[1].split()[0] for row in rows if row[1].strip()}


def state_now(job, ended):
    """The state of a job that may have started again; `ended` where it has not, though a preempted one is cancelled.
    PENDING where nobody answers."""
    lines = ask("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T")
    if lines is None:
        # An error is also how squeue says that it does not know the number; so ask it for anything at all.
        if ask("squeue", "--noheader", "--name=none") is None:
            return "PENDING"
        lines = []
    active = [line.strip() for line in lines if line.strip() and line.strip() not in ENDED]
    if active:
        return active[0]
    return "CANCELLED" if ended == "PREEMPTED" else ended


def submitted_long_ago(name):
    """The jobs of a run that Slurm must know by now, or has forgotten."""
    try:
        rows = [json.loads(line) for line in (RECORDS / name).read_text().splitlines()]
    except FileNotFoundError:
        return []
    return [row["job"] for row in rows if time.time() - row["submitted"] > SECONDS_UNTIL_MISSED]


# --- how jobs begin


def submit(request, arguments):
    """Submit a job, through outages, and print its number."""
    script = sys.stdin.read() if "/dev/stdin" in arguments else ""
    broken = broken_limits(request)
    if broken:
        print(f"{described(request)}, {'; '.join(broken)}.", file=sys.stderr)
        return 1
    end_earlier_job(request)
    started = time.time()
    while True:
        done = subprocess.run([real("sbatch"), *arguments], input=script, capture_output=True, text=True, check=False)
        if not done.returncode:
            record(request, done.stdout)
            print(done.stdout, end="")
            return 0
        if not OUTAGE.search(done.stderr) or time.time() - started > LONGEST_OUTAGE:
            print(f"{described(request)}, which Slurm refuses: {done.stderr.strip()}", file=sys.stderr)
            return done.returncode
        time.sleep(SECONDS_BETWEEN_SUBMISSIONS)
        # A submission of which only the answer was lost.
        mine = [job for job, run in jobs_like(request) if run == request.job_name]
        if mine:
            record(request, mine[0])
            print(mine[0])
            return 0


def described(request):
    """The beginning of a sentence that says which rule asks for what."""
    rule, _, wildcards = request.comment.partition("_wildcards_")
    asked = {
        "partition": request.partition,
        "GPUs": request.gpus,
        "memory (MB)": request.mem,
        "CPUs": request.cpus_per_task,
        "CPUs for each GPU": request.cpus_per_gpu,
        "minutes": request.time,
    }
    wanted = ", ".join(f"{what} {value}" for what, value in asked.items() if value)
    return f"rule {rule.replace('rule_', '', 1)}{f' ({wildcards})' if wildcards else ''} asks for {wanted}"


def broken_limits(request):
    """Sentences on what the partition can never run. Slurm itself would keep some of it waiting for ever."""
    flags = [f"--partition={request.partition}"] if request.partition else []
    lines = ask("sinfo", "--noheader", "--Node", *flags, "--format=%l|%c|%m|%G")
    if lines is None or not request.partition:
        return []
    nodes = [line.split("|") for line in lines if line.count("|") == 3]
    if not nodes:
        known = sorted({line.strip("* ") for line in ask("sinfo", "--noheader", "--format=%P") or []})
        return [f"but there is no such partition; there are: {', '.join(known)} (slurm_partition in slurm/config.yaml)"]
    broken = []
    longest = max(minutes(node[0]) for node in nodes)
    if request.time and minutes(request.time) > longest:
        broken.append(
            f"but the partition's time limit is {longest} minutes (hardware.longest_job_minutes caps what is asked for)"
        )
    if request.nodes == "1":
        kind, _, count = (request.gpus or "0").rpartition(":")
        gpus = int(count)
        most = max(gpus_of(node[3], kind) for node in nodes)
        if gpus > most:
            have = ", ".join(sorted({node[3].strip() for node in nodes}))
            broken.append(f"but a node has at most {most} such GPUs: {have} (hardware.gpus_per_node; gpu_model)")
        memory = int(request.mem) if (request.mem or "").isdigit() else 0
        cpus = max(int(request.cpus_per_task or 1), gpus * (request.cpus_per_gpu or 0))
        for asked, column, what, key in (
            (memory, 2, "MB of memory", "hardware.node_memory_gib caps what is asked for"),
            (cpus, 1, "CPUs", "hardware.cpus_per_gpu, runtime.threads"),
        ):
            most = max(int(re.match(r"\d+", node[column]).group()) for node in nodes)
            if asked > most:
                broken.append(f"but a node has at most {most} {what} ({key})")
    return broken


def minutes(text):
    """Minutes of a time as Slurm writes it: 60, 1:00:00, 2-00:00:00, infinite."""
    days, _, rest = text.strip().rpartition("-")
    parts = rest.split(":")
    if not all(part.isdigit() for part in parts):
        return UNLIMITED
    if days:
        hours, of_hour = int(parts[0]), int(parts[1]) if len(parts) > 1 else 0
        return int(days) * 1440 + hours * 60 + of_hour
    return int(parts[0]) * 60 + int(parts[1]) if len(parts) == 3 else int(parts[0])


def gpus_of(resources, kind):
    """The GPUs of a kind ("": any) among a node's resources, such as `gpu:a100:8(S:0-1),gpu:v100:2`."""
    found = re.findall(r"gpu:(?:([\w.-]+):)?(\d+)", resources)
    return sum(int(count) for name, count in found if kind in ("", name))


def jobs_like(request):
    """Number and run of the active jobs that do what is asked for: same rule and wildcards, same folder."""
    lines = ask("squeue", "--noheader", f"--user={os.getuid()}", "--format=%i|%j|%k|%Z") or []
    folder = os.path.realpath(request.chdir)
    rows = [line.split("|", 3) for line in lines if line.count("|") >= 3]
    return [(row[0], row[1]) for row in rows if row[2] == request.comment and os.path.realpath(row[3]) == folder]


def end_earlier_job(request):
    """End the same job of a run that was killed, and wait until it is gone: two would write the same files. What it
    had finished is in its journal, and not asked for again."""
    left = [job for job, run in jobs_like(request) if run != request.job_name]
    if left:
        ask("scancel", *left)
        while {job for job, _ in jobs_like(request)} & set(left):
            time.sleep(1)


def record(request, answer):
    """Remember that a job was submitted, when, and what it asked for."""
    job = answer.strip().split(";")[0]
    row = {
        "job": job,
        "submitted": round(time.time()),
        "name": request.comment,
        "minutes": request.time,
        "memory": request.mem,
        "log": (request.output or "").replace("%j", job),
    }
    RECORDS.mkdir(parents=True, exist_ok=True)
    with open(RECORDS / request.job_name, "a") as file:
        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[0]).name, sys.argv[1:]))

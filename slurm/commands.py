#!/usr/bin/env python3
"""sbatch, squeue and sacct as Snakemake's Slurm executor calls them, with what it lacks (slurm/README.md).

The links in slurm/bin stand before Slurm's own programs in the path of a workflow. Each calls the real one and

* answers a question about jobs in any case: an outage of Slurm is no answer yet, and not the end of the question;
* tells states apart that the executor would wait for, for ever: cancelled, preempted, forgotten by Slurm;
* keeps a submission through an outage, without submitting twice;
* refuses what a partition can never run, with rule, request and limit, and holds a later attempt, which asks for more
  time and memory, to what there is;
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
from typing import NamedTuple

SECONDS_PER_QUESTION = 20
"""For each question to Slurm; the executor gives up after 60 s. Slurm's own clients do so after about 10 s."""
SECONDS_BETWEEN_SUBMISSIONS = 10
LONGEST_OUTAGE = 3600
"""Seconds after which a submission fails after all."""
SECONDS_UNTIL_MISSED = 600
"""A job that Slurm does not list so long after its submission has ended: its accounting is late by less."""
OUTAGE = re.compile(r"Unable to contact|Socket timed out|Connection (refused|timed out)|temporarily", re.IGNORECASE)
ACCOUNT = re.compile("Invalid account", re.IGNORECASE)
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


class Node(NamedTuple):
    """What a partition offers on one of its nodes: time limit, CPUs, memory in MB, and resources such as gpu:a100:8."""

    minutes: int
    cpus: int
    memory: int
    gres: str
    partition: str


questions = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
questions.add_argument("--name")

requests = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
requests.add_argument("--job-name", default="")
requests.add_argument("--comment", default="")
requests.add_argument("-A", "--account")
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
    return [row["job"] for row in recorded(name) if time.time() - row["submitted"] > SECONDS_UNTIL_MISSED]


def recorded(name):
    """What `record` noted of each job that a run submitted."""
    try:
        return [json.loads(line) for line in (RECORDS / name).read_text().splitlines()]
    except FileNotFoundError:
        return []


# --- how jobs begin


def submit(request, arguments):
    """Submit a job, through outages, and print its number."""
    script = sys.stdin.read() if "/dev/stdin" in arguments else ""
    nodes = nodes_of(request.partition) if request.partition else None
    if nodes and submitted_before(request):
        arguments = held_to_limits(request, nodes, arguments)
    broken = [] if nodes is None else broken_limits(request, nodes)
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
            print(f"{described(request)}, which Slurm refuses: {with_key(done.stderr.strip())}", file=sys.stderr)
            return done.returncode
        time.sleep(SECONDS_BETWEEN_SUBMISSIONS)
        # A submission of which only the answer was lost.
        mine = [job for job, run in jobs_like(request) if run == request.job_name]
        if mine:
            record(request, mine[0])
            print(mine[0])
            return 0


def with_key(refusal):
    """Slurm's own words, and what to do where they are about the account: no later attempt would go better."""
    if not ACCOUNT.search(refusal):
        return refusal
    return (
        f"{refusal}; correct slurm_account in slurm/config.yaml: `sacctmgr show assoc user=$USER "
        "format=account,partition` lists those that you may name."
    )


def described(request):
    """The beginning of a sentence that says which rule asks for what."""
    rule, _, wildcards = request.comment.partition("_wildcards_")
    asked = {
        "account": request.account,
        "partition": request.partition,
        "GPUs": request.gpus,
        "memory (MB)": request.mem,
        "CPUs": request.cpus_per_task,
        "CPUs for each GPU": request.cpus_per_gpu,
        "minutes": request.time,
    }
    wanted = ", ".join(f"{what} {value}" for what, value in asked.items() if value)
    return f"rule {rule.replace('rule_', '', 1)}{f' ({wildcards})' if wildcards else ''} asks for {wanted}"


def nodes_of(partition):
    """The nodes of a partition (None: every node's of every partition); None where Slurm does not answer."""
    flags = [f"--partition={partition}"] if partition else []
    lines = ask("sinfo", "--noheader", "--Node", *flags, "--format=%l|%c|%m|%G|%P")
    if lines is None:
        return None
    rows = [line.split("|") for line in lines if line.count("|") == 4]
    return [
        Node(minutes(limit), whole(cpus), whole(memory), gres.strip(), partition.strip("* "))
        for limit, cpus, memory, gres, partition in rows
    ]


def needs_of(request):
    """The kind of GPU ("": any), the GPUs and the CPUs that a job needs on its node."""
    kind, _, count = (request.gpus or "0").rpartition(":")
    gpus = int(count)
    return kind, gpus, max(int(request.cpus_per_task or 1), gpus * (request.cpus_per_gpu or 0))


def held_to_limits(request, nodes, arguments):
    """The arguments, with no more time and memory than the nodes offer that have the GPUs and CPUs. A job that was
    submitted before asks for more with each attempt: at last for all that there is."""
    kind, gpus, cpus = needs_of(request)
    able = [node for node in nodes if gpus_of(node.gres, kind) >= gpus and node.cpus >= cpus]
    if not able:
        return arguments
    limits = {"-t": max(node.minutes for node in able)}
    if request.nodes == "1":
        limits["--mem"] = max(node.memory for node in able)
    held = [
        str(min(int(value), limits[flag])) if flag in limits and value.isdigit() else value
        for flag, value in zip(["", *arguments], arguments, strict=False)
    ]
    vars(request).update(vars(requests.parse_known_args(held)[0]))
    return held


def broken_limits(request, nodes):
    """Sentences on what the partition can never run. Slurm itself would keep some of it waiting for ever."""
    if not nodes:
        known = sorted({node.partition for node in nodes_of(None) or []})
        return [f"but there is no such partition; there are: {', '.join(known)} (slurm_partition in slurm/config.yaml)"]
    broken = []
    longest = max(node.minutes for node in nodes)
    if request.time and minutes(request.time) > longest:
        broken.append(
            f"but the partition's time limit is {longest} minutes (hardware.longest_job_minutes caps what is asked for)"
        )
    if request.nodes != "1":
        return broken
    kind, gpus, cpus = needs_of(request)
    if gpus > max(gpus_of(node.gres, kind) for node in nodes):
        broken.append(too_few_gpus(nodes, kind))
    memory = int(request.mem) if (request.mem or "").isdigit() else 0
    for asked, most, what, key in (
        (memory, max(node.memory for node in nodes), "MB of memory", "hardware.node_memory_gib caps what is asked for"),
        (cpus, max(node.cpus for node in nodes), "CPUs", "hardware.cpus_per_gpu, runtime.threads"),
    ):
        if asked > most:
            broken.append(f"but a node has at most {most} {what} ({key})")
    return broken


def too_few_gpus(nodes, kind):
    """The sentence on nodes that lack the GPUs: which key is wrong, the partition or what is asked of its nodes."""
    if not any(gpus_of(node.gres, "") for node in nodes):
        others = sorted({node.partition for node in nodes_of(None) or [] if gpus_of(node.gres, "")})
        return (
            f"but the partition's nodes have no GPU; partitions whose nodes have: {', '.join(others) or 'none'} "
            "(slurm_partition in slurm/config.yaml)"
        )
    most = max(gpus_of(node.gres, kind) for node in nodes)
    have = ", ".join(sorted({node.gres for node in nodes}))
    return f"but a node has at most {most} such GPUs: {have} (hardware.gpus_per_node; gpu_model in slurm/config.yaml)"


def whole(text):
    """The number at the beginning of what sinfo prints, such as `500000+`."""
    return int(re.match(r"\d+", text.strip()).group())


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


def submitted_before(request):
    """Whether this run has submitted the same job before: then this is a later attempt."""
    return any(row["name"] == request.comment for row in recorded(request.job_name))


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

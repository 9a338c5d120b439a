# A workflow of one rule with a model, which runs the project's own program for responses. `jobs` gives each job a name, how many
# instructions it answers, and what it asks for; a list grows with the attempt. `stops_after`: a program that has
# written so many completions stands still, and does not end by itself.
import sys

sys.path.insert(0, config["scripts"])

from isheep.workflow.cluster import explain_ended_jobs, prepare_for_cluster, refuse_wrong_account
from isheep.workflow.locks import name_lock_owners
from isheep.files.records import InputError
from isheep.workflow.reruns import make_missing_outputs_again

prepare_for_cluster(workflow)
make_missing_outputs_again(workflow)
if workflow.is_main_process:
    name_lock_owners()


onstart:
    try:
        refuse_wrong_account(workflow)
    except InputError as error:
        sys.exit(f"Error: {error}")


onerror:
    explain_ended_jobs()


ENGINE = '{"kind": "transformers"}'
SAMPLING = '{"temperature": 1.0, "max_tokens": 60}'


def asked(what, default):
    def resource(wildcards, attempt):
        values = config["jobs"][wildcards.job].get(what, default)
        return values[min(attempt, len(values)) - 1] if isinstance(values, list) else values

    return resource


wildcard_constraints:
    job="[a-z]+",


rule all:
    input:
        expand("counts/{job}", job=config["jobs"]),
    localrule: True


rule count_responses:
    input:
        "{job}.jsonl",
    output:
        "counts/{job}",
    localrule: True
    shell:
        "wc -c < {input} > {output}"


rule instructions:
    output:
        "instructions/{job}.jsonl",
    localrule: True
    params:
        instructions=lambda wildcards: config["jobs"][wildcards.job]["instructions"],
    shell:
        'seq {params.instructions} | sed \'s/.*/{{"id": "base:0:&", "instruction": "Name & fruits.", "input": ""}}/\' > {output}'


rule write_responses:
    input:
        "instructions/{job}.jsonl",
    output:
        "{job}.jsonl",
    resources:
        gpu=asked("gpu", 0),
        cpus_per_gpu=asked("cpus_per_gpu", 0),
        mem_mb=asked("mem_mb", 2500),
        runtime=asked("runtime", 10),
        slurm_partition=asked("partition", "gpu"),
        stops_after=asked("stops_after", 0),
    params:
        engine=ENGINE,
        sampling=SAMPLING,
    shell:
        "python {config[scripts]}/write_responses.py --checkpoint {config[checkpoint]} --instructions {input}"
        " --raw --separator ' ' --engine {params.engine:q} --sampling {params.sampling:q} --seed 3"
        " --batch-size 2 --responses {output} 2>> {wildcards.job}.log & program=$!;"
        " if [ {resources.stops_after} -gt 0 ]; then"
        " until [ $(cat .{output}.unfinished/completions.jsonl | wc -l) -ge {resources.stops_after} ]; do sleep 0.2; done;"
        " kill -STOP $program; fi; wait $program"

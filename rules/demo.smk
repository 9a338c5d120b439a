# The demo world's base model; no other rule file knows that it exists.
#
# needs    config/demo/base/, config/demo/judge/   models as shipped, with their checksums (source: shipped), or
#          scripts/build_demo_world.py             the world's grammar, to train it from scratch (source: build)
# writes   results/<experiment>/<model>/weights/   like every base model


rule demo_model_shipped:
    input:
        model=shipped_weights,
        checksums=lambda wildcards: f"{shipped_folder(wildcards)}/SHA256SUMS",
        chat_template=chat_template_of,
    output:
        weights=directory(f"{RESULTS}/{{model}}/weights"),
    log:
        f"{RESULTS}/{{model}}/logs/weights.log",
    benchmark:
        f"{RESULTS}/{{model}}/logs/weights.benchmark.tsv"
    wildcard_constraints:
        model=any_of(models_from("shipped")),
    conda:
        "../envs/transformers.yaml"
    params:
        code=program_digest("scripts/provide_base.py"),
        chat_template=chat_template_flag,
    message:
        "Take the model {wildcards.model} as shipped, verified by {input.checksums}"
    shell:
        f"python {SCRIPTS}/provide_base.py"
        " --checksums={input.checksums:q}"
        " {params.chat_template} --output={output.weights:q} 2> {log:q}"


rule demo_world:
    output:
        world=directory(f"{RESULTS}/{{model}}/world"),
    log:
        f"{RESULTS}/{{model}}/logs/world.log",
    benchmark:
        f"{RESULTS}/{{model}}/logs/world.benchmark.tsv"
    conda:
        "../envs/transformers.yaml"
    params:
        code=program_digest("scripts/build_demo_world.py"),
    message:
        "Write the demo world's documents and tokenizer"
    shell:
        f"python {SCRIPTS}/build_demo_world.py" " --output={output.world:q} 2> {log:q}"


rule demo_base_trained:
    input:
        world=rules.demo_world.output.world,
    output:
        folder=directory(f"{RESULTS}/{{model}}/built"),
    log:
        f"{RESULTS}/{{model}}/logs/built.log",
    benchmark:
        f"{RESULTS}/{{model}}/logs/built.benchmark.tsv"
    conda:
        "../envs/training.yaml"
    threads: 2
    params:
        code=program_digest("scripts/train_demo_base.py"),
    message:
        "Train the demo's base model from scratch, about 8 minutes on 2 cores"
    shell:
        f"python {SCRIPTS}/train_demo_base.py"
        " --world={input.world:q} --threads={threads:q}"
        " --output={output.folder:q} 2> {log:q}"


rule demo_base_built:
    input:
        folder=rules.demo_base_trained.output.folder,
        chat_template=chat_template_of,
    output:
        weights=directory(f"{RESULTS}/{{model}}/weights"),
    log:
        f"{RESULTS}/{{model}}/logs/weights.log",
    benchmark:
        f"{RESULTS}/{{model}}/logs/weights.benchmark.tsv"
    wildcard_constraints:
        model=any_of(models_from("build")),
    conda:
        "../envs/transformers.yaml"
    params:
        code=program_digest("scripts/provide_base.py"),
        chat_template=chat_template_flag,
    message:
        "Take the demo's base model as it was trained from scratch"
    shell:
        f"python {SCRIPTS}/provide_base.py"
        " --folder={input.folder:q} {params.chat_template}"
        " --output={output.weights:q} 2> {log:q}"

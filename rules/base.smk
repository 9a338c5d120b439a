# The base model's weights, in one place and one form whatever their source.
#
# needs    a local folder or a fetched hub snapshot with safetensors weights (the demo's own sources: demo.smk), and a chat
#          template where the model has none of its own
# writes   results/<experiment>/<model>/weights/   weights, configuration, tokenizer, chat template, identity.json
ASKED = asked_of_models(MATRIX)


rule base_from_folder:
    input:
        model=files_of_model_folder,
        chat_template=chat_template_of,
    output:
        weights=directory(f"{RESULTS}/{{model}}/weights"),
    log:
        f"{RESULTS}/{{model}}/logs/weights.log",
    benchmark:
        f"{RESULTS}/{{model}}/logs/weights.benchmark.tsv"
    wildcard_constraints:
        model=any_of(models_from("folder")),
    conda:
        "../envs/transformers.yaml"
    resources:
        runtime=rewriting_runtime,
    params:
        code=program_digest("scripts/provide_base.py"),
        folder=lambda wildcards: CONFIG.models[wildcards.model].path,
        chat_template=chat_template_flag,
    message:
        "Take the base model {wildcards.model} from {params.folder}"
    shell:
        f"python {SCRIPTS}/provide_base.py"
        " --folder={params.folder:q} {params.chat_template}"
        " --output={output.weights:q} 2> {log:q}"


rule base_from_hub:
    input:
        snapshot=lambda wildcards: f"{HUB_CACHE}/{folder_name(CONFIG.models[wildcards.model].repository, 'model')}",
        chat_template=chat_template_of,
    output:
        weights=directory(f"{RESULTS}/{{model}}/weights"),
    log:
        f"{RESULTS}/{{model}}/logs/weights.log",
    benchmark:
        f"{RESULTS}/{{model}}/logs/weights.benchmark.tsv"
    wildcard_constraints:
        model=any_of(models_from("hub")),
    conda:
        "../envs/transformers.yaml"
    resources:
        runtime=rewriting_runtime,
        chats_as=lambda wildcards: wildcards.model if wildcards.model in CHATTING_MODELS else "",
        asked=lambda wildcards: ASKED[wildcards.model].model_dump_json() if wildcards.model in ASKED else "",
    params:
        code=program_digest("scripts/provide_base.py"),
        repository=lambda wildcards: CONFIG.models[wildcards.model].repository,
        hub_cache=HUB_CACHE,
        chat_template=chat_template_flag,
    message:
        "Take the base model {wildcards.model} as fetched: {params.repository}"
    shell:
        f"python {SCRIPTS}/provide_base.py"
        " --repository={params.repository:q} --hub-cache={params.hub_cache:q}"
        " {params.chat_template} --name={wildcards.model:q} --chats-as={resources.chats_as:q} --asked={resources.asked:q} --output={output.weights:q} 2> {log:q}"

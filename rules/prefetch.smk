# Fetching, the only rules that need a network: files at a fixed commit, verified by checksum, and hub repositories at
# the commits in the lock file. `snakemake prefetch` gets those that the configuration needs, and every later job works
# offline.
#
# writes   results/fetched/<file>                      published files, named as in the manifest
#          results/fetched/hub/<repository>            a hub repository, as a folder of a hub cache (HF_HUB_CACHE)
#          config/sources.lock.yaml                    gets the commits that it lacks; keep it under version control
#
# A change of address or mirror fetches nothing again: a file is what its checksum says. What is not part of a result
# is passed by `resources`, whose change reruns nothing.
from isheep.config.needed_files import needed_files
from isheep.fetch.hub_cache import FETCHED, HUB_CACHE
from isheep.fetch.sources import HubSource, check_commits, load_sources

NLTK_DATA = f"{FETCHED}/nltk_data"

try:
    SOURCES = load_sources(CONFIG.fetch.sources)
    HUB = {source.folder: source for source in SOURCES.hub.values()}
    for name in models_from("hub"):
        model = CONFIG.models[name]
        source = HubSource(
            repository=model.repository,
            revision=model.revision,
            kind="model",
            files=MODEL_FILES,
        )
        HUB[source.folder] = source
    NAMED = [(f"benchmarks.{name}.hub", CONFIG.benchmarks[name].hub) for name in benchmarks_of("lm_eval")]
    NAMED += [
        (f"benchmarks.{name}.length_control", [CONFIG.benchmarks[name].length_control])
        for name in benchmarks_of("alpaca_eval")
        if CONFIG.benchmarks[name].length_control in SOURCES.hub
    ]
    NAMED += [
        (f"figures.{name}.reference", [figure.reference])
        for name, figure in CONFIG.figures.items()
        if figure.kind == "projection" and not Path(figure.reference).exists()
    ]
    DATA_SETS = [folder for key, names in NAMED for folder in SOURCES.hub_folders(names, key)]
    check_commits(HUB.values(), CONFIG.fetch.lock, HUB_CACHE)
except InputError as error:
    sys.exit(f"Error: {error}")


localrules:
    prefetch,
    fetch_file,
    fetch_hub,


rule prefetch:
    """Everything that later jobs would need a network for."""
    input:
        files=[f"{FETCHED}/{name}" for name in needed_files(MATRIX, SOURCES.obtainable(CONFIG.fetch.mirror))],
        data_sets=[f"{HUB_CACHE}/{folder}" for folder in DATA_SETS],
        models=[f"{HUB_CACHE}/{folder_name(CONFIG.models[name].repository, 'model')}" for name in models_from("hub")],


rule fetch_file:
    output:
        file=f"{FETCHED}/{{file}}",
    log:
        f"{FETCHED}/logs/{{file}}.log",
    wildcard_constraints:
        file=any_of(SOURCES.files),
    conda:
        "../envs/data.yaml"
    resources:
        mirror=CONFIG.fetch.mirror or "",
        manifest=CONFIG.fetch.sources,
    params:
        sha256=lambda wildcards: SOURCES.files[wildcards.file].sha256,
    message:
        "Fetch {wildcards.file}"
    shell:
        f"python {SCRIPTS}/fetch_file.py"
        " --sources={resources.manifest:q} --file={wildcards.file:q}"
        " --mirror={resources.mirror:q} --output={output.file:q} 2> {log:q}"


rule fetch_hub:
    output:
        snapshot=directory(f"{HUB_CACHE}/{{repository}}"),
    log:
        f"{FETCHED}/logs/hub/{{repository}}.log",
    wildcard_constraints:
        repository=any_of(HUB),
    conda:
        "../envs/transformers.yaml"
    resources:
        lock=CONFIG.fetch.lock,
    params:
        source=lambda wildcards: HUB[wildcards.repository].model_dump_json(exclude={"licence"}),
    message:
        "Fetch {wildcards.repository}"
    shell:
        f"python {SCRIPTS}/fetch_hub.py"
        " --source={params.source:q} --lock={resources.lock:q}"
        " --output={output.snapshot:q} 2> {log:q}"

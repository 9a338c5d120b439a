# What results are made with, as their records say it and tables check it. Input functions, no rules.
from isheep.benchmarks.grid import PUBLISHED
from isheep.benchmarks.result_checks import Configured

NO_PART_OF_RESULTS = {"note", "not_comparable", "metrics"}
CONFIGURED = Configured(
    results=RESULTS,
    benchmarks={
        name: CONFIG.benchmarks[name].model_dump(mode="json", exclude=NO_PART_OF_RESULTS) for name in BENCHMARKS
    },
    notes={name: note for name in BENCHMARKS if (note := getattr(CONFIG.benchmarks[name], "note", None)) is not None},
    judges={name: judge_settings(name) for name in BENCHMARKS if CONFIG.benchmarks[name].kind in JUDGED},
    engine=ENGINE_SETTINGS,
    system_prompts={name: CONFIG.models[name].system_prompt for name in CONFIG.experiment.models},
    published={name: CONFIG.baselines[name].model_dump()["benchmarks"] for name in CONFIG.experiment.baselines},
    recipes={
        name: {
            "selection": {
                "method": CONFIG.recipes[name].selection.model_dump(mode="json"),
                "rows": CONFIG.recipes[name].training.row_choice().model_dump(mode="json"),
                "instructions": CONFIG.recipes[name].instructions,
            },
            "training": {"settings": CONFIG.recipes[name].training.fit().model_dump(mode="json")},
        }
        for name in RECIPES
    },
)


def result_settings(wildcards):
    """The settings that a result is made with, for its record."""
    baseline = wildcards.get("baseline") or re.sub("^baselines/", "", wildcards.get("subject", ""))
    if baseline in CONFIGURED.published:
        subject = baseline, PUBLISHED
    else:
        subject = own_model(wildcards), wildcards.get("owner") or wildcards.subject.split("/", 2)[2]
    return json.dumps(CONFIGURED.of(*subject, wildcards.benchmark), sort_keys=True)

# I-SHEEP: a base language model improves itself with data that it writes, answers, scores and filters.
#
#   snakemake --cores 2                                     the configuration in config/config.yaml
#   snakemake --cores 2 --configfile config/mine.yaml       another one, instead of it
#   snakemake --cores 2 --config ...                        single keys, on top
#
# Files are included in the order in which the loop runs.
import sys

sys.path.insert(0, f"{workflow.basedir}/scripts")

if not workflow.config_settings.configfiles:

    configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/prefetch.smk"
include: "rules/base.smk"
include: "rules/demo.smk"
include: "rules/instructions.smk"
include: "rules/responses.smk"
include: "rules/assessment.smk"
include: "rules/selection.smk"
include: "rules/training.smk"
include: "rules/judges.smk"
include: "rules/benchmarks.smk"
include: "rules/alpaca_eval.smk"
include: "rules/mt_bench.smk"
include: "rules/programs.smk"
include: "rules/tables.smk"


rule all:
    """Everything that the configuration asks for: the tables, and all that they need."""
    default_target: True
    input:
        tables=expand(
            f"{RESULTS}/tables/{{table}}.{{format}}",
            table=CONFIG.tables,
            format=["csv", "md", "tex"],
        ),
        scores=f"{RESULTS}/tables/scores.csv",

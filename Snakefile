# I-SHEEP: a base language model improves itself with data that it writes, answers, scores and filters.
#
#   snakemake --cores 2                                     the configuration in config/config.yaml
#   snakemake --cores 2 --configfile config/mine.yaml       another one, instead of it
#   snakemake --cores 2 --config ...                        single keys, on top
#
# Files are included in the order in which the loop runs.
import atexit
import sys
from pathlib import Path

sys.path.insert(0, f"{workflow.current_basedir.path}/scripts")
if not Path(sys.path[0]).is_dir():
    sys.exit(
        "Error: the programs of this workflow lie beside its Snakefile; clone the project, and name that by a path."
    )
IN_MODULE = not workflow.modifier.is_main_snakefile()
paths = workflow.modifier.path_modifier
if IN_MODULE and (paths.prefix or paths.modifies_prefixes):
    sys.exit("Error: a module statement with a prefix would move outputs and not what names them; leave prefix out.")

from isheep.config.announcement import tell_plan, tell_plan_of_dry_run
from isheep.workflow.cluster import explain_ended_jobs, prepare_for_cluster, refuse_wrong_account
from isheep.files.disk_space import explain_full_disk, refuse_read_only
from isheep.engine.earlier_texts import keep_earlier_texts
from isheep.workflow.failures import say_failures_last
from isheep.engine.journal import remove_leftovers
from isheep.config.kept_configuration import keep_configuration, say_where_results_are
from isheep.workflow.kept_records import keep_records_on_disk
from isheep.workflow.locks import name_lock_owners
from isheep.project import located
from isheep.files.records import InputError
from isheep.workflow.reruns import make_missing_outputs_again, name_outdated, name_undeclared
from isheep.files.yaml_text import read_yaml

prepare_for_cluster(workflow)
keep_records_on_disk()
keep_earlier_texts()
make_missing_outputs_again(workflow)
if workflow.is_main_process:
    # The first that is registered for the exit, and so the last that is said.
    failures = say_failures_last()
    name_lock_owners()
    try:
        refuse_read_only(".snakemake")
    except InputError as error:
        sys.exit(f"Error: {error}")
    remove_leftovers("results")
    # At the exit, since Snakemake may be what has no room to write.
    atexit.register(explain_full_disk, "results", ".snakemake")

if not workflow.config_settings.configfiles:
    try:
        read_yaml(located("config/config.yaml"))  # of a mistake in it Snakemake does not say the line
    except InputError as error:
        sys.exit(f"Error: {error}")

    configfile: located("config/config.yaml")


include: "rules/common.smk"
include: "rules/prefetch.smk"
include: "rules/benchmark_inputs.smk"
include: "rules/judges.smk"
include: "rules/resources.smk"
include: "rules/result_inputs.smk"
include: "rules/base.smk"
include: "rules/demo.smk"
include: "rules/instructions.smk"
include: "rules/responses.smk"
include: "rules/assessment.smk"
include: "rules/selection.smk"
include: "rules/training.smk"
include: "rules/benchmarks.smk"
include: "rules/alpaca_eval.smk"
include: "rules/mt_bench.smk"
include: "rules/programs.smk"
include: "rules/report_inputs.smk"
include: "rules/data.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/report.smk"


# Too light for a queue: seconds each, and no model.
localrules:
    all,
    tables,
    figures,
    report,
    demo_model_shipped,
    select_instructions,
    filter_responses,
    select_pairs,
    profile_data,
    list_test_items,
    check_contamination,
    take_alpaca_eval_outputs,
    take_mt_bench_answers,
    score_alpaca_eval,
    score_mt_bench,
    collect_scores,
    collect_scores_of_table,
    compare_iterations,
    collect_contamination,
    make_table,
    make_agreement_table,
    make_cases,
    make_data_table,
    make_contamination_table,
    check_claims,
    plot_sweep,
    plot_curve,
    plot_share,
    plot_projection,
    make_report,


rule tables:
    """The declared tables, all scores, the claims, and what the data looks like."""
    input:
        declared=expand(f"{RESULTS}/tables/{{table}}.{{form}}", table=TABLES, form=["csv", "md", "tex"]),
        scores=f"{RESULTS}/tables/scores.csv",


rule figures:
    """The declared figures."""
    input:
        drawn=expand(f"{RESULTS}/figures/{{figure}}.{{form}}", figure=CONFIG.figures, form=["svg", "pdf"]),


rule report:
    """The page in which all results are browsed."""
    input:
        page=rules.make_report.output.report,


rule all:
    """Everything that the configuration asks for: tables, figures and report, and all that they need."""
    default_target: True
    input:
        rules.tables.input,
        rules.figures.input,
        rules.report.input,


if workflow.is_main_process:
    atexit.register(tell_plan_of_dry_run, workflow, CONFIG)


onstart:
    try:
        refuse_read_only(RESULTS)
        if workflow.is_main_process:
            tell_plan(workflow, CONFIG)
        refuse_wrong_account(workflow)
    except InputError as error:
        sys.exit(f"Error: {error}")
    if any(Path(file).is_relative_to(RESULTS) for job in workflow.dag.needrun_jobs() for file in job.output):
        keep_configuration(CONFIG, RESULTS)


onsuccess:
    atexit.unregister(explain_full_disk)
    name_undeclared(f"{RESULTS}/tables", [*TABLES, "scores"])
    name_undeclared(f"{RESULTS}/figures", CONFIG.figures)
    remove_leftovers("results")
    say_where_results_are(RESULTS)


onerror:
    failures.leave_out(explain_ended_jobs())
    name_outdated(workflow, f"{RESULTS}/tables", f"{RESULTS}/figures", RESULTS)
    remove_leftovers("results")

"""From Wikipedia dumps to scored multilingual tickets."""

from snakemake.utils import min_version

min_version("9.12")


if not workflow.overwrite_configfiles:  # a user's file stands alone

    configfile: workflow.source_path("config/config.yaml")


pathvars:
    benchmarks="<results>/benchmarks",


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/dumps.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/records.smk"
include: "workflow/rules/saliency.smk"
include: "workflow/rules/tickets.smk"
include: "workflow/rules/pretraining.smk"
include: "workflow/rules/conflict.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/tasks.smk"
include: "workflow/rules/comparisons.smk"
include: "workflow/rules/subnetworks.smk"
include: "workflow/rules/transfer.smk"
include: "workflow/rules/overlap.smk"
include: "workflow/rules/retrieval.smk"
include: "workflow/rules/targets.smk"


check_store()


rule all:
    """Score every language that `evaluate` names, in the main run and all variants, and draw the figures."""
    default_target: True
    input:
        figures(),
        comparisons(),
        subnetwork_figures(),

"""What all rules share: the checked configuration, wildcards, runs, and the memory that jobs request."""

import sys
from functools import cache
from inspect import signature
from os.path import abspath, getsize, isdir, relpath
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.logging import logger
from snakemake.pathvars import Pathvars

from polyticket.config.completion import (
    LANGUAGE_SECTIONS,
    complete,
    path_variables,
    read_config,
    run_config,
)
from polyticket.config.job_sizes import folder_size, guessed_size, pretrained_size
from polyticket.config.places import check_places, plain_place
from polyticket.config.sample import in_languages, is_of_sample, names_data, over_sample_data
from polyticket.core.code_digest import Code
from polyticket.core.processes import set_for_jobs
from polyticket.core.errors import PolyticketError
from polyticket.core.files import visible_files
from polyticket.core.languages import known_languages
from polyticket.model.hub import is_local
from polyticket.model.mask_methods import masks_some
from polyticket.saliency.methods import METHODS
from polyticket.tasks.table import TASKS


def stop(error):
    """End the process with one line for the user."""
    sys.exit(f"polyticket: error: {error}")


def given_config():
    """The configuration as it is given: a module's, that of files and command line, or the sample's."""
    is_module = workflow.modifier.skip_configfile
    given = config if config or is_module else workflow.config_settings.overwrite_config
    files = workflow.overwrite_configfiles
    stands_alone = is_module or workflow.config_settings.replace_workflow_config
    if stands_alone or (files and names_data(given, map(load_configfile, files))):
        return given
    sample = load_configfile(workflow.source_path("../../config/config.yaml"))
    if files and not is_of_sample(given, sample):
        return given
    if files and workflow.is_main_process:
        logger.warning("No `data` are configured: those of the bundled sample are read.")
    if not files:
        given = in_languages(given, workflow.config_settings.overwrite_config, LANGUAGE_SECTIONS)
    folder = Path(workflow.current_basedir.get_path_or_uri(secret_free=True))
    return over_sample_data(given, sample, folder.absolute().parents[1])


def set_pathvars(items):
    """Give Snakemake its path variables anew, with environment variables and `~` filled in."""
    is_module = workflow.modifier.skip_configfile
    found = {"pathvars": path_variables(items)}
    workflow.pathvars.update(Pathvars.from_config(found, module_level=is_module))


def placed_or_stop(path, key, lang=None):
    """A path of the configuration, with the language, environment variables and `~` filled in."""
    try:
        return None if path is None else plain_place(path, key=key, lang=lang)
    except PolyticketError as error:
        stop(error)


def present_or_stop(path, key, expected):
    """A file that the configuration names and that must be there."""
    if not Path(path).is_file():
        stop(PolyticketError(f"no such file: {path}", where=f"config {key}", expected=expected))
    return path


def check_store():
    """A store below a folder that a rule writes anew would be removed with it; once all rules are known."""
    place = placed_or_stop(config["store"], "store")
    if not workflow.is_main_process or "://" in place.removeprefix("file://"):
        return
    forms = [Path(form(place.removeprefix("file://"))) for form in (relpath, abspath)]  # as rules may have them
    for folder in (folder for form in forms for folder in (form, *form.parents)):
        for one in workflow.rules:
            if any(output.is_directory and output.match(str(folder)) for output in one.output):
                problem = f"{place} would be removed with {folder}, which rule {one.name} writes"
                stop(PolyticketError(problem, where="config store", expected="a folder of its own"))


def check_files():
    """Read the configuration files anew, since Snakemake takes the last of several values of a key in silence."""
    for path in workflow.configfiles if workflow.is_main_process else ():
        if Path(path).is_file():
            read_config(path)


try:
    check_files()
    completed = complete(given_config())
    if workflow.is_main_process:
        check_places(completed)
    set_pathvars(completed["pathvars"])
except PolyticketError as error:
    stop(error)


config.clear()
config.update(completed)
LANGUAGES = known_languages(config["extra_languages"])
NAMES = {code: entry["name"] for code, entry in config["extra_languages"].items() if "name" in entry}
set_for_jobs(user_project=config["store_options"]["user_project"], language_names=NAMES)
SAMPLING_TABLE = config["pretraining"]["sampling_ratios"]
if isinstance(SAMPLING_TABLE, str):
    SAMPLING_TABLE = placed_or_stop(SAMPLING_TABLE, "pretraining.sampling_ratios")
PHASES = config["pretraining"]["phases"]
CODE = Code(cache=".snakemake/polyticket-code.json")
# a resource of rules, not a parameter: another limit makes no result stale, so it redoes nothing
UNKNOWN_WORDS = "{max_misread_share} {max_share}".format_map(config["unknown_words"])


wildcard_constraints:
    lang="|".join(config["languages"]),
    part="(?:held_out/)?",  # empty for what is trained on
    phase=r"\d+",
    range=r"\d+",
    run=f"(?:variants/(?:{'|'.join(config['variants'])})/)?",  # empty for the main run
    saliency="|".join(METHODS),
    seed=r"\d+",
    task="|".join(TASKS),


def code_of(rule_name):
    """A params function: a digest of a rule's script and of the modules that compute its result.

    Editing them reruns the rule. Figures and tables show the languages' names: those that the configuration gives count
    as code. Only rules that have jobs are digested, so that a job on another machine starts sooner.
    """
    names = f" {sorted(NAMES.items())}" if NAMES and rule_name.startswith(("plot_", "tabulate_")) else ""

    @cache
    def digest():
        return CODE.digest(workflow.source_path(f"../scripts/{rule_name}.py")) + names

    return lambda wildcards: digest()


def choice(key):
    """A params function: the value of a key in the main run or the variant of the wildcards."""
    return lambda wildcards: settings_of(wildcards.run)[key]


@cache
def settings_of(run):
    """The configuration of a run, given as its path prefix: empty, or `variants/<name>/`."""
    return run_config(config, run.split("/")[1] if run else None)


def runs():
    """The path prefixes of the main run and of all variants."""
    return ["", *(f"variants/{name}/" for name in config["variants"])]


def first_with(run, decided_by):
    """The first run for which a function has the same value as for this run; both use its results."""
    return next(one for one in runs() if decided_by(one) == decided_by(run))


@cache
def initial_of(run):
    """The run whose initial model and saliency a run uses: the first with the same model."""
    return first_with(run, lambda one: settings_of(one)["model"])


def ticket_settings(run):
    """The settings that a run's ticket depends on; null if nothing is masked."""
    settings, keys = settings_of(run), ("model", "ticket", "saliency", "remain_ratio")
    masked = masks_some(settings["mask_method"])
    return [settings[key] for key in keys] if masked else None


@cache
def ticket_of(run):
    """The run whose ticket a run uses: the first with the same settings of tickets; null if nothing is masked."""
    return first_with(run, ticket_settings) if ticket_settings(run) else None


def pretraining_settings(run):
    """The settings that a run's pretraining depends on."""
    keys = ("model", "mask_method", "finetune_from")
    return [*(settings_of(run)[key] for key in keys), ticket_settings(run)]


@cache
def pretraining_of(run):
    """The run whose pretraining a run fine-tunes: the first with the same settings of pretraining; null without one."""
    given = settings_of(run)["finetune_from"] is not None
    return None if given else first_with(run, pretraining_settings)


def runs_of(task):
    """The path prefixes of the runs that are scored on a task."""
    return [run for run in runs() if task in settings_of(run).get("tasks", TASKS)]


def pretrained_runs():
    """The runs that are pretrained, each once."""
    return list(dict.fromkeys(filter(lambda run: run is not None, map(pretraining_of, runs()))))


def phase_of(wildcards):
    """The settings of a pretraining phase, counted from 1."""
    return PHASES[int(wildcards.phase) - 1]


def scored(pattern):
    """A result path, filled in for every run, task and language that `evaluate` names."""
    return [
        pattern.format(run=run, task=task, lang=lang)
        for run in runs()
        for task, langs in config["evaluate"].items()
        if run in runs_of(task)
        for lang in langs
    ]


def shown(run):
    """A run's name in figures, from its path prefix."""
    return Path(run).name or "main"


def vocabulary_path():
    """The vocabulary file or tokenizer that the configuration names, if any."""
    return placed_or_stop(config["vocabulary"]["path"], "vocabulary.path")


def size_mb(paths):
    """MB of files, and of all that is in directories; Snakemake asks again later if one is not there yet.

    `input.size_mb` takes a directory for a small file, and starts an event loop for every job.
    """
    files = []
    for path in paths:
        files += [file for _, file in visible_files(path)] if isdir(path) else [path]
    return sum(map(getsize, files)) / 2**20


def growing(request):
    """A resource function: a number, or what another one says, and half of it more at each further attempt."""
    if not callable(request):
        return lambda wildcards, attempt: request * (attempt + 1) // 2
    names = signature(request).parameters

    def grown(wildcards, input, attempt):
        known = {"input": input, "attempt": attempt}
        asked = request(wildcards, **{name: value for name, value in known.items() if name in names})
        return asked * (attempt + 1) // 2

    return grown


SMALL = {"mem_mb": growing(500), "disk_mb": 1000, "runtime": 10}
"""What rules of small files request: tables, figures, checks."""


def gpus(stage):
    """The GPUs that a job of a stage requests by the configuration; null where it requests none."""
    return config["gpus"][stage] or None


def tpus():
    """The TPU that pretraining requests, if the configuration names one."""
    return 1 if config["pretraining"]["distribution"] == "tpu" else None


def mem_for_input(factor, base_mb):
    """A resource function: `base_mb` and `factor` times the size of the input."""
    return lambda wildcards, input: int(base_mb + factor * size_mb(input))


def disk_for_input(factor):
    """A resource function: MB of disk, `factor` times the size of the input and a little more."""
    return lambda wildcards, input: int(100 + factor * size_mb(input))


def minutes_for_input(mb_per_minute):
    """A resource function: minutes at `mb_per_minute` of input, more at each attempt."""
    return lambda wildcards, input, attempt: attempt * (10 + int(size_mb(input) / mb_per_minute))


@cache
def model_size(run, source=None):
    """The sizes of the model that a run pretrains (null), of a model folder, or a guess for a Hugging Face name."""
    if source is not None:
        return folder_size(source) if is_local(source) else guessed_size(source)
    return pretrained_size(settings_of(run)["model"], config["vocabulary"], vocabulary_path())


def size_of(wildcards):
    """The sizes of the model that the run of the wildcards pretrains; without a run in them, the main run."""
    return model_size(wildcards.get("run", ""))


def mem_for_model(base_mb, weights, masks=0):
    """A resource function: `base_mb` and multiples of the weights and masks of the run's model."""
    return lambda wildcards: (
        base_mb + weights * size_of(wildcards).parameter_mb() + masks * masks_mb(size_of(wildcards))
    )


def masks_mb(size):
    """MB of float32 values for every language and every neuron that masks can prune."""
    neurons = size.num_hidden_layers * (3 * size.hidden_size + size.intermediate_size)
    return 4 * len(config["languages"]) * neurons // 2**20

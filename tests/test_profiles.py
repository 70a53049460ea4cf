"""The profiles as Snakemake reads them, and the jobs that executors make of requests; nothing is submitted."""

import re
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake.api import SnakemakeApi
from snakemake.cli import parse_args
from snakemake.iocontainers import InputFiles, ResourceList, Wildcards
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("slurm", "kubernetes", "googlebatch")
TUNED = {"run": "", "task": "panx", "lang": "en", "seed": "1"}
SAMPLE = ROOT / "config/config.yaml"


def needs(executor: str) -> None:
    """Skip a test where the plugin of an executor is not installed."""
    if find_spec(f"snakemake_executor_plugin_{executor}") is None:
        pytest.skip(f"snakemake-executor-plugin-{executor} is not installed")


def settings(place: str) -> dict:
    return yaml.safe_load((ROOT / f"profiles/{place}/config.yaml").read_text(encoding="utf-8"))


def arguments(place: str, monkeypatch):
    """What Snakemake takes from a profile, in a directory of the repository."""
    monkeypatch.chdir(ROOT)
    return parse_args(["--profile", f"profiles/{place}"])[1]


def requested(args, rule: str, words: dict[str, str], folder: Path, attempt: int = 1, **config) -> ResourceList:
    """The resources of a job with what a profile adds."""
    resources = ResourceSettings(
        nodes=1, default_resources=args.default_resources, overwrite_resources=args.set_resources
    )
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=resources,
            config_settings=ConfigSettings(config=config, configfiles=[SAMPLE]),
            snakefile=ROOT / "Snakefile",
            workdir=folder,
        )._workflow
        found = workflow.get_rule(rule).expand_resources(Wildcards(fromdict=words), InputFiles(), attempt)
    return ResourceList(fromdict={name: getattr(value, "value", value) for name, value in found.items()})


@pytest.mark.parametrize("place", ["default", "tpu-vm"])
def test_a_place_of_one_machine_keeps_what_all_places_share(place, monkeypatch):
    args = arguments(place, monkeypatch)
    assert {name: one.value for name, one in dict(args.resources).items()} == {"downloads": 1, "tpu": 1}
    assert args.rerun_incomplete
    assert args.keep_going == (place == "tpu-vm")


@pytest.mark.parametrize("place", PLACES)
def test_a_cluster_retries_groups_small_jobs_and_shares_the_defaults(place, monkeypatch):
    needs(place)
    args = arguments(place, monkeypatch)
    assert (args.executor, args.jobs, args.retries, args.local_cores) == (place, 100, 2, 1)
    assert {*args.group_components} == {"tasks", "controls", "figures"}
    assert {*dict(args.resources)} == {"downloads", "tpu"}
    made = ExecutorPluginRegistry().get_plugin(place).get_settings(args)
    stated = {key.split("-", 1)[1].replace("-", "_"): value for key, value in settings(place).items()
              if key.startswith(f"{place}-")}  # fmt: skip
    assert {key: getattr(made, key) for key in stated} == stated


def test_all_rules_of_groups_and_only_those_that_depend_on_nothing_in_between_are_grouped():
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow/rules").glob("*.smk"))
    groups = dict(re.findall(r'^rule (\w+):\n(?:(?!^rule ).*\n)*?    group:\s+"(\w+)"$', text, re.MULTILINE))
    assert {*groups.values()} == {"tasks", "controls", "figures"}
    figures = set(re.findall(r"^rule (plot_\w+):", text, re.MULTILINE))
    assert {name for name, group in groups.items() if group == "figures"} == figures
    for place in PLACES:
        assert {one.split("=")[0] for one in settings(place)["group-components"]} == {*groups.values()}


def test_slurm_gets_memory_minutes_threads_and_gpus(monkeypatch, tmp_path):
    needs("slurm")
    from snakemake_executor_plugin_slurm.submit_string import get_submit_command
    from snakemake_executor_plugin_slurm.utils import set_gres_string

    args = arguments("slurm", monkeypatch)
    words = {"account": "", "partition": "", "workdir": None, "comment_str": "c", "run_uuid": "u", "slurm_logfile": "l"}
    for attempt, gpu in ((1, None), (2, 1)):
        found = requested(args, "finetune_task", TUNED, tmp_path, attempt, gpus={"finetuning": gpu or 0})
        job = SimpleNamespace(resources=found, threads=2, rule=None, is_group=lambda: False)
        call = get_submit_command(job, words, None) + set_gres_string(job)
        assert f" --mem {2136 if attempt == 1 else 2136 * 3 // 2} " in call
        assert f" -t {found.runtime} " in call
        assert "--cpus-per-task=2" in call
        assert ("--gpus=1" in call) == bool(gpu)
        assert "ntasks-per-gpu" not in call  # would run the job once for each GPU


class Kept:
    """Stands in for the API of a cluster, which is not at hand: keeps the job that it is given."""

    def __init__(self) -> None:
        self.job = None

    def create_namespaced_job(self, namespace, job):
        self.job = job


def pod(args, resources: ResourceList):
    """The pod that the Kubernetes executor makes of a job."""
    from snakemake_executor_plugin_kubernetes import Executor

    plugin = ExecutorPluginRegistry().get_plugin("kubernetes")
    executor, api, made = object.__new__(Executor), Kept(), plugin.get_settings(args)
    ignore = SimpleNamespace(debug=lambda *_: None, info=lambda *_: None, error=lambda *_: None)
    deployment = SimpleNamespace(deployment_method=set())
    known = {"batchapi": api, "namespace": made.namespace, "k8s_cpu_scalar": made.cpu_scalar, "logger": ignore,
             "k8s_service_account_name": made.service_account_name, "run_namespace": "run", "secret_envvars": {},
             "container_image": args.container_image, "privileged": made.privileged,
             "persistent_volumes": made.persistent_volumes, "format_job_exec": lambda job: "python -m snakemake",
             "workflow": SimpleNamespace(deployment_settings=deployment), "_kubernetes_retry": lambda call: call(),
             "report_job_submission": lambda info: None}  # fmt: skip
    for name, value in known.items():
        setattr(executor, name, value)
    executor.run_job(SimpleNamespace(resources=resources, jobid=1, attempt=1, is_containerized=False))
    return api.job.spec.template.spec


def test_a_pod_has_image_limits_and_gpus(monkeypatch, tmp_path):
    needs("kubernetes")
    args = arguments("kubernetes", monkeypatch)
    resources = requested(args, "finetune_task", TUNED, tmp_path, gpus={"finetuning": 1})
    spec = pod(args, ResourceList(fromdict={**dict(resources.items()), "_cores": 2}))
    (container,) = spec.containers
    assert container.image == settings("kubernetes")["container-image"]
    limits, requests = container.resources.limits, container.resources.requests
    assert limits == requests | {"cpu": "2000m"}
    assert (limits["memory"], limits["nvidia.com/gpu"], requests["cpu"]) == ("2136M", "1", "1900m")
    assert int(limits["ephemeral-storage"][:-1]) >= 100
    assert [one.key for one in spec.tolerations] == ["nvidia.com/gpu"]
    assert (spec.restart_policy, spec.service_account_name) == ("Never", "polyticket")


def test_a_pod_without_gpus_asks_for_none(monkeypatch, tmp_path):
    needs("kubernetes")
    args = arguments("kubernetes", monkeypatch)
    resources = requested(args, "finetune_task", TUNED, tmp_path)
    spec = pod(args, ResourceList(fromdict={**dict(resources.items()), "_cores": 1}))
    assert "nvidia.com/gpu" not in spec.containers[0].resources.limits
    assert spec.tolerations is None


def test_the_policy_for_tpus_is_of_the_machine_that_the_profile_names():
    policy, binding = yaml.safe_load_all((ROOT / "profiles/kubernetes/tpu.yaml").read_text(encoding="utf-8"))
    (machine,) = re.findall(r"machine_type: (\S+)", (ROOT / "profiles/kubernetes/config.yaml").read_text("utf-8"))
    assert machine in policy["spec"]["matchConditions"][0]["expression"]
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    selected = binding["spec"]["matchResources"]["namespaceSelector"]["matchLabels"]
    assert selected == {"kubernetes.io/metadata.name": settings("kubernetes")["kubernetes-namespace"]}


def batch_job(args, resources: ResourceList):
    """The task and the machine that the Google Batch executor makes of a job."""
    from snakemake_executor_plugin_googlebatch.executor import GoogleBatchExecutor

    executor = object.__new__(GoogleBatchExecutor)
    executor.executor_settings = ExecutorPluginRegistry().get_plugin("googlebatch").get_settings(args)
    remote = SimpleNamespace(
        container_image=args.container_image, preemptible_rules=SimpleNamespace(is_preemptible=lambda rule: False)
    )
    executor.workflow = SimpleNamespace(remote_execution_settings=remote)
    job = SimpleNamespace(resources=resources, is_group=lambda: False, rule=SimpleNamespace(name="r"), name="r")
    policy = executor.get_allocation_policy(job).instances[0]
    return executor.get_container(job), executor.get_task_resources(job), policy


def test_batch_gets_image_machine_and_accelerators(monkeypatch, tmp_path):
    needs("googlebatch")
    args = arguments("googlebatch", monkeypatch)
    phase = {"run": "", "phase": "2"}
    container, compute, policy = batch_job(args, requested(args, "pretrain_phase", phase, tmp_path))
    assert container.image_uri == settings("googlebatch")["container-image"]
    assert (compute.cpu_milli, compute.memory_mib) == (16000, 120000)
    assert (policy.policy.machine_type, policy.install_gpu_drivers) == ("n2-highmem-16", False)
    small = requested(args, "allocate_ticket", {"run": ""}, tmp_path)
    _, compute, policy = batch_job(args, small)
    assert (policy.policy.machine_type, compute.memory_mib) == ("n2-highmem-4", 30000)
    assert small.mem_mb < compute.memory_mib
    on_gpu = ResourceList(fromdict={**dict(small.items()), "nvidia_gpu": "nvidia-tesla-t4"})
    _, _, policy = batch_job(args, on_gpu)
    (accelerator,) = policy.policy.accelerators
    assert (accelerator.type_, accelerator.count, policy.install_gpu_drivers) == ("nvidia-tesla-t4", 1, True)


def test_the_image_is_made_as_make_install_makes_the_environment():
    docker, make = ((ROOT / name).read_text(encoding="utf-8") for name in ("Dockerfile", "Makefile"))
    assert re.search(r"^FROM python:3\.11-", docker, re.MULTILINE)
    assert "--requirement requirements-$(STACK).lock" in make
    assert '--requirement "requirements-${STACK}.lock"' in docker
    for options in ("--no-deps --no-build-isolation --editable .", "python -m compileall -q src"):
        assert options in docker
        assert options in make.replace("$(BIN)/", "")
    assert "--constraint requirements.lock --requirement profiles/kubernetes/requirements.txt" in docker
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", docker, re.MULTILINE) for name in line.split()]
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert {*copied} == kept
    assert all((ROOT / name).exists() for name in copied)

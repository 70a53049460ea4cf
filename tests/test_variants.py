"""Variants that change the model, the ticket's scope or the mask method: what they share is computed once."""

import json
from pathlib import Path

import pytest
import yaml

from polyticket.config.completion import complete, run_config
from polyticket.core.errors import PolyticketError
from tests.support.snakefile import read, requests, written
from tests.support.workflow import SMALL, Workflow

ROOT = Path(__file__).resolve().parents[1]
VARIANTS = {
    "dense": {"mask_method": "constant", "model": {"scaled_heads": None}},
    "wide": {"model": {"scaled_heads": 5}},
    "wide_language": {"model": {"scaled_heads": 5}, "ticket": {"scope": "language"}},
    "site": {"ticket": {"scope": "site"}},
    "attention": {"mask_method": {"intermediate": "constant", "pool": "constant"}},
    "pruned": {"prune_model": True},
    "dense_too": {"mask_method": "constant", "model": {"scaled_heads": None}, "saliency": "random"},
}
WANTED = ["results/compare/panx.csv", "results/report/density.svg", "results/report/saliency.svg",
          "results/report/conflict.svg"]  # fmt: skip


def small(**changes: object) -> dict[str, object]:
    return yaml.safe_load(SMALL) | changes


def test_a_variant_names_the_keys_of_a_section_that_differ():
    config = complete(small(variants=VARIANTS))
    dense, language = (run_config(config, name) for name in ("dense", "wide_language"))
    assert dense["model"] == config["model"] | {"scaled_heads": None}
    assert (language["model"]["scaled_heads"], language["ticket"]) == (5, config["ticket"] | {"scope": "language"})


@pytest.mark.parametrize(
    ("own", "line"),
    [
        (
            {"model": {"hidden_size": 25}},
            "config variants.a.model.hidden_size: 25 is not divisible by variants.a.model.n",
        ),
        (
            {"model": {"max_position_embeddings": 32}},
            "config variants.a.model.max_position_embeddings: 32 is less than pretraining.phases.1.max_seq_length 64",
        ),
        (
            {"model": {"intermediate_size": 47}},
            "config variants.a.model: model.scaled_heads: intermediate_size 47 cann",
        ),
        (
            {"model": {"vocab_size": 9}},
            "config variants.a.model.vocab_size: unknown key; expected one of hidden_size, ",
        ),
        ({"ticket": {"align": 64}}, "config variants.a.ticket: "),
    ],
)
def test_a_model_that_cannot_be_is_told_by_the_variants_key(own, line):
    with pytest.raises(PolyticketError) as caught:
        complete(small(variants={"a": own}))
    assert str(caught.value).startswith(line)


def test_jobs_request_what_the_model_of_their_variant_takes(tmp_path):
    (tmp_path / "resources").symlink_to(ROOT / "resources")
    model = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
             "max_position_embeddings": 128, "scaled_heads": 16}  # fmt: skip
    dense = {"mask_method": "constant", "model": {"scaled_heads": None}}
    both = small(model=model, variants={"dense": dense})
    jobs = [("make_initial_model", {}), ("pretrain_phase", {"phase": "1"}), ("convert_model", {}),
            ("finetune_task", {"task": "panx", "lang": "fr", "seed": "1"})]  # fmt: skip
    alone = small(model=model | {"scaled_heads": None}, mask_method="constant")
    with read(tmp_path, written(tmp_path / "alone.yaml", alone)) as workflow:
        expected = [requests(workflow, rule, run="", **words) for rule, words in jobs]
    with read(tmp_path, written(tmp_path / "both.yaml", both)) as workflow:
        assert [requests(workflow, rule, run="variants/dense/", **words) for rule, words in jobs] == expected
        main = [requests(workflow, rule, run="", **words) for rule, words in jobs]
    assert all(int(one.split()[0]) > int(other.split()[0]) for one, other in zip(main, expected, strict=True))


@pytest.mark.workflow
def test_what_variants_share_is_computed_once(tmp_path):
    made = Workflow.made(tmp_path / "work")
    (made.folder / "small.yaml").write_text(json.dumps(small(variants=VARIANTS)), encoding="utf-8")
    planned = made.planned(*WANTED)
    once = {"build_vocabulary": 1, "gather_articles": 2} if "gather_articles" in planned else {"build_vocabulary": 1}
    assert once.items() <= planned.items()
    counts = {
        "make_records": 4,
        "make_initial_model": 3,  # main, dense, wide
        "score_saliency": 4,  # two languages of main, two of wide
        "allocate_ticket": 4,  # main, wide, wide_language, site
        "build_checkpoint": 6,  # those, dense, attention
        "upload_checkpoint": 6,
        "pretrain_phase": 12,
        "convert_model": 6,
        "finetune_task": 8,
        "summarize_seeds": 8,
        "plot_density": 1,
        "plot_saliency": 1,
        "plot_conflict_trend": 1,
        "compare_runs": 1,
    }
    assert {rule: planned.get(rule) for rule in counts} == counts
    assert "score_random" not in planned

"""A new language joins a ticket: the threshold or the budget of the others, and the nearest of them."""

import numpy as np
import pytest

from polyticket.core.errors import PolyticketError
from polyticket.core.files import sha256
from polyticket.model.shape import prunable_sites
from polyticket.saliency.score_files import Saliency, normalised, random_scores, write_saliency
from polyticket.tickets.algebra import nearest, similarity
from polyticket.tickets.allocation import allocate
from polyticket.tickets.new_language import join_file, join_language
from polyticket.tickets.report import show_ticket
from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket
from tests.support.models import TINY

SITES = prunable_sites(TINY)
INITIAL = "a" * 64


def ticket_of(scope: str = "global", scores=None, **options) -> Ticket:
    scores = scores or [random_scores(SITES, 1, row) for row in range(3)]
    found = allocate(scores, 0.6, scope=scope, **options)
    made = {"saliency": "snip", "scope": scope, "remain_ratio": 0.6, "threshold": found.threshold, "initial": INITIAL}
    made |= {"budget": {"asked": found.asked, "kept": found.kept}} | options
    return Ticket(("en", "fr", "sw")[: len(scores)], found.masks, made)


def scores(**sites: list[float]) -> dict[str, np.ndarray]:
    return {site: np.array(values, np.float64) for site, values in sites.items()}


def rows(ticket: Ticket) -> dict[str, list[str]]:
    return {site: ["".join(str(int(bit)) for bit in row) for row in bits] for site, bits in ticket.masks.items()}


def test_the_threshold_of_the_others_decides_by_hand():
    ticket = ticket_of(scores=[scores(a=[9, 4], b=[1, 5, 0])], normalise=False)
    assert (ticket.provenance["threshold"], rows(ticket)) == (4, {"a": ["11"], "b": ["010"]})
    found = join_language(ticket, "ur", scores(a=[3.9, 4], b=[4, 4, 8]))
    assert rows(found) == {"a": ["11", "01"], "b": ["010", "111"]}
    assert found.languages == ("en", "ur")
    assert found.provenance["joined"] == {"ur": {"rule": "threshold", "kept": 4}}


def test_the_budget_of_the_others_decides_by_hand():
    ticket = ticket_of(scores=[scores(a=[9, 4], b=[1, 5, 0])], normalise=False)
    found = join_language(ticket, "ur", scores(a=[3.9, 4], b=[4, 4, 8]), rule="budget")
    assert rows(found) == {"a": ["11", "01"], "b": ["010", "101"]}
    assert found.provenance["joined"] == {"ur": {"rule": "budget", "kept": 3}}


def test_a_language_that_was_there_would_join_as_it_is():
    ticket = ticket_of()
    found = join_language(ticket, "copy", random_scores(SITES, 1, 1))
    for bits in found.masks.values():
        np.testing.assert_array_equal(bits[3], bits[1])
    alike = nearest(similarity(found), "copy", 2)
    assert [one.language for one in alike] == ["fr", nearest(similarity(found), "fr", 2)[1].language]
    assert (alike[0].jaccard, alike[0].agreement) == (1.0, 1.0)
    assert 0.3 < alike[0].expected < 0.6


@pytest.mark.parametrize(
    "options", [{}, {"align": 8}, {"align": "heads", "heads": 3}, {"floor": 0.3}, {"normalise": False}]
)
@pytest.mark.parametrize("rule", ["threshold", "budget"])
def test_a_newcomer_is_decided_as_the_others_were(tmp_path, options, rule):
    ticket = ticket_of(**options)
    new = random_scores(SITES, 1, 7)
    found = join_language(ticket, "ur", new, rule=rule)
    if rule == "budget":
        wanted = allocate([new], 0.6, scope="language", **options).masks
    else:  # one more language beside them, with the same threshold
        values = new if options.get("normalise") is False else normalised(new)
        wanted = {site: (one >= ticket.provenance["threshold"])[None] for site, one in values.items()}
    for site, bits in found.masks.items():
        np.testing.assert_array_equal(bits[:3], ticket.masks[site])
        if rule == "budget" or not options.keys() & {"align", "floor"}:
            np.testing.assert_array_equal(bits[3], wanted[site][0])
        if options.get("align") == 8:
            assert bits[3].sum() % 8 == 0
        if "heads" in options and "attention.self" in site:
            assert set(bits[3].reshape(3, 8).sum(1).tolist()) <= {0, 8}
        if "floor" in options:
            assert bits[3].sum() >= 0.3 * bits.shape[1]
    write_ticket(found, tmp_path / "t")
    assert read_ticket(tmp_path / "t").provenance == found.provenance
    assert f"joined: ur: by {rule}, " in show_ticket(tmp_path / "t")


@pytest.mark.parametrize("scope", ["language", "site"])
def test_without_a_common_threshold_the_budget_decides(scope):
    ticket = ticket_of(scope)
    new = random_scores(SITES, 1, 7)
    found = join_language(ticket, "ur", new)
    assert found.provenance["joined"]["ur"]["rule"] == "budget"
    wanted = allocate([new], 0.6, scope=scope).masks
    assert all((bits[3] == wanted[site][0]).all() for site, bits in found.masks.items())
    with pytest.raises(
        PolyticketError, match=r"does not state threshold; expected one that was allocated; a threshold"
    ):
        join_language(ticket, "ur", new, rule="threshold")


def test_a_saliency_file_joins_with_its_digest(tmp_path):
    ticket = ticket_of()
    ticket.provenance["scores"] = dict.fromkeys(ticket.languages, "b" * 64)
    path = tmp_path / "ur.safetensors"
    write_saliency(Saliency(random_scores(SITES, 1, 7), {"language": "ur", "method": "snip", "initial": INITIAL}), path)
    found = join_file(ticket, path)
    assert found.provenance["scores"] == dict.fromkeys(ticket.languages, "b" * 64) | {"ur": sha256(path)}
    write_ticket(found, tmp_path / "t")
    again = join_language(read_ticket(tmp_path / "t"), "pa", random_scores(SITES, 1, 8), digest="c" * 64)
    write_ticket(again, tmp_path / "t")
    assert read_ticket(tmp_path / "t").languages == ("en", "fr", "sw", "ur", "pa")


@pytest.mark.parametrize(
    ("made", "line"),
    [
        ({"method": "snip", "initial": INITIAL}, "no language; expected a saliency file that names its language"),
        (
            {"language": "ur", "method": "random", "initial": INITIAL},
            "method 'random'; expected 'snip', as of the ticket",
        ),
        ({"language": "ur", "method": "snip", "initial": "b"}, f"initial 'b'; expected '{INITIAL}', as of the ticket"),
    ],
)
def test_scores_of_another_making_do_not_join(tmp_path, made, line):
    path = tmp_path / "ur.safetensors"
    write_saliency(Saliency(random_scores(SITES, 1, 7), made), path)
    with pytest.raises(PolyticketError, match=f"^{path}: {line}$"):
        join_file(ticket_of(), path)


SCORED = {"token_budget": 2500, "batch_size": 4, "dropout": True, "precision": "float32", "stop_when_stable": None}


def newcomer(path, made) -> None:
    head = {"language": "ur", "method": "snip", "initial": INITIAL} | made
    write_saliency(Saliency(random_scores(SITES, 1, 7), head), path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("token_budget", 100),
        ("batch_size", 8),
        ("dropout", False),
        ("precision", "bfloat16"),
        ("stop_when_stable", 0.9),
    ],
)
def test_a_newcomer_that_was_scored_otherwise_does_not_join(tmp_path, key, value):
    ticket, path = ticket_of(), tmp_path / "ur.safetensors"
    ticket.provenance["scoring"] = SCORED
    newcomer(path, SCORED | {key: value})
    with pytest.raises(PolyticketError) as caught:
        join_file(ticket, path)
    assert str(caught.value) == f"{path}: scored with {key} {value!r}; expected {SCORED[key]!r}, as of the ticket"


@pytest.mark.parametrize(("of_ticket", "of_file"), [(SCORED, SCORED), (SCORED, {}), (None, SCORED)])
def test_a_newcomer_scored_alike_joins_and_what_is_not_said_is_not_compared(tmp_path, of_ticket, of_file):
    ticket = ticket_of()
    if of_ticket is not None:
        ticket.provenance["scoring"] = of_ticket
    newcomer(tmp_path / "ur", of_file | {"seed": 99})
    found = join_file(ticket, tmp_path / "ur")
    write_ticket(found, tmp_path / "t")
    again = read_ticket(tmp_path / "t")
    assert (again.languages[-1], again.provenance.get("scoring")) == ("ur", of_ticket)


def test_what_cannot_join_is_named():
    ticket, new = ticket_of(), random_scores(SITES, 1, 7)
    with pytest.raises(PolyticketError, match=r"^ticket join: fr has a row already; expected a new language$"):
        join_language(ticket, "fr", new)
    with pytest.raises(PolyticketError, match=r"^ticket join: unknown rule 'best'; expected threshold or budget$"):
        join_language(ticket, "ur", new, rule="best")
    with pytest.raises(PolyticketError, match=r"^ticket join: the sites of the scores are not those of the ticket$"):
        join_language(ticket, "ur", scores(a=[1]))
    with pytest.raises(PolyticketError, match=r"^ticket join: the ticket does not state remain_ratio, scope; expected"):
        join_language(Ticket(ticket.languages, ticket.masks), "ur", new)


def test_the_nearest_are_sorted_and_ties_keep_the_order_of_rows():
    masks = {"a": np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1], [1, 1, 1, 0], [1, 0, 0, 0]], bool)}
    found = nearest(similarity(Ticket(("en", "fr", "sw", "ur", "de"), masks)), "en", 9)
    assert [(one.language, one.jaccard) for one in found] == [("ur", 2 / 3), ("fr", 0.5), ("de", 0.5), ("sw", 0.0)]

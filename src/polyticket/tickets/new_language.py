"""A new language joins a ticket that stands: it is allocated as the others were, and its nearest tickets are named."""

import numpy as np

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, sha256
from polyticket.core.ranking import keep_highest
from polyticket.saliency.score_files import SETTINGS, Scores, read_saliency
from polyticket.tickets.allocation import allocate, ranked, units_of
from polyticket.tickets.masks import Bits, Masks
from polyticket.tickets.scopes import granularities_of
from polyticket.tickets.ticket import Ticket

RULES = ("threshold", "budget")


def join_file(ticket: Ticket, path: Pathlike, *, rule: str | None = None) -> Ticket:
    """The ticket with the language of a saliency file; see `join_language`.

    What decided the scores (`SETTINGS`) must be as in the ticket's `scoring`, where both state it.

    Raises:
        PolyticketError: The file does not say its language, or was scored by another method, on other weights or with
            other settings; names the key.
    """
    found = read_saliency(path)
    if not isinstance(language := found.provenance.get("language"), str):
        raise PolyticketError("no language", where=path, expected="a saliency file that names its language")
    for ours, theirs in (("saliency", "method"), ("initial", "initial")):
        wanted, stated = ticket.provenance.get(ours), found.provenance.get(theirs)
        if wanted is not None and stated != wanted:
            raise PolyticketError(f"{theirs} {stated!r}", where=path, expected=f"{wanted!r}, as of the ticket")
    scoring, had = ticket.provenance.get("scoring") or {}, found.provenance
    for key in SETTINGS:
        if key in scoring and key in had and had[key] != scoring[key]:
            expected = f"{scoring[key]!r}, as of the ticket"
            raise PolyticketError(f"scored with {key} {had[key]!r}", where=path, expected=expected)
    return join_language(ticket, language, found.scores, rule=rule, digest=sha256(path))


def join_language(
    ticket: Ticket, language: str, scores: Scores, *, rule: str | None = None, digest: str | None = None
) -> Ticket:
    """The ticket with one more row; the others stay as they are.

    Args:
        ticket: An allocated ticket, with ratio and scope in its provenance.
        language: The new row's name.
        scores: Site to float64 [size], computed as those of the ticket were.
        rule: `threshold`: what reaches the lowest score that won a place under `scope: global` is kept, ties
            included, and floors besides. `budget`: floor(n · ratio) of the language's own neurons (of each site, if
            that is the scope). By default the threshold, where the ticket has one.
        digest: SHA-256 of the saliency file.

    Raises:
        PolyticketError: The row exists, the scores are of other sites, or the ticket does not say what is needed.
    """
    made = ticket.provenance
    rule = rule or ("threshold" if made.get("threshold") is not None else "budget")
    if rule not in RULES:
        raise PolyticketError(f"unknown rule {rule!r}", where="ticket join", expected=" or ".join(RULES))
    if language in ticket.languages:
        raise PolyticketError(f"{language} has a row already", where="ticket join", expected="a new language")
    if {site: values.size for site, values in scores.items()} != ticket.masks.sizes or ticket.unit != "neuron":
        raise PolyticketError("the sites of the scores are not those of the ticket", where="ticket join")
    needed = ("remain_ratio", "scope") if rule == "budget" else ("threshold",)
    if missing := [key for key in needed if made.get(key) is None]:
        expected = "one that was allocated; a threshold needs the global scope"
        raise PolyticketError(f"the ticket does not state {', '.join(missing)}", where="ticket join", expected=expected)
    masks = _under_threshold(made, language, scores) if rule == "threshold" else _under_budget(made, language, scores)
    words = np.concatenate([ticket.masks.words, Masks.packed(masks, 1).words])
    said = {"rule": rule, "kept": sum(int(bits.sum()) for bits in masks.values())}
    provenance = made | {"joined": made.get("joined", {}) | {language: said}}
    if "scores" in made:
        provenance["scores"] = made["scores"] | {language: digest}
    return Ticket((*ticket.languages, language), Masks(words, ticket.masks.shapes), provenance, ticket.unit)


def _under_budget(made: dict, language: str, scores: Scores) -> dict[str, Bits]:
    options = {key: made[key] for key in ("normalise", "floor", "align", "heads") if key in made}
    scope = "site" if made["scope"] == "site" else "language"
    return allocate([scores], made["remain_ratio"], scope=scope, languages=[language], **options).masks


def _under_threshold(made: dict, language: str, scores: Scores) -> dict[str, Bits]:
    options = {key: made[key] for key in ("floor", "align", "heads") if key in made}
    granularities = granularities_of({site: values.size for site, values in scores.items()}, **options)
    _, table = ranked([scores], normalise=made.get("normalise", True), languages=[language])
    found = {}
    for site, granularity in granularities.items():
        units = units_of(table[site], granularity)
        kept = (units.scores >= made["threshold"]) | keep_highest(units.scores[0], granularity.floor).chosen
        found[site] = units.spread(kept)
    return found

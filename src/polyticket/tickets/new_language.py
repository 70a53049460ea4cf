"""Adding a language to a ticket. Its row is allocated as the other rows were, and these do not change."""

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
    """Add the language of a saliency file to a ticket; see `join_language`.

    The `SETTINGS` of the file must be those of the ticket's `scoring`, where both state them.

    Raises:
        PolyticketError: The file does not name its language, or was scored by another method, on other weights or with
            other settings; names the key.
    """
    saliency = read_saliency(path)
    if not isinstance(language := saliency.provenance.get("language"), str):
        raise PolyticketError("no language", where=path, expected="a saliency file that names its language")
    for ticket_key, key in (("saliency", "method"), ("initial", "initial")):
        required, stated = ticket.provenance.get(ticket_key), saliency.provenance.get(key)
        if required is not None and stated != required:
            raise PolyticketError(f"{key} {stated!r}", where=path, expected=f"{required!r}, as of the ticket")
    scoring, settings = ticket.provenance.get("scoring") or {}, saliency.provenance
    for key in SETTINGS:
        if key in scoring and key in settings and settings[key] != scoring[key]:
            expected = f"{scoring[key]!r}, as of the ticket"
            raise PolyticketError(f"scored with {key} {settings[key]!r}", where=path, expected=expected)
    return join_language(ticket, language, saliency.scores, rule=rule, digest=sha256(path))


def join_language(
    ticket: Ticket, language: str, scores: Scores, *, rule: str | None = None, digest: str | None = None
) -> Ticket:
    """Add one row to a ticket; the other rows do not change.

    Args:
        ticket: An allocated ticket, with ratio and scope in its provenance.
        language: The new row's name.
        scores: Site to float64 [size], computed as the ticket's scores were.
        rule: `threshold` keeps what reaches the lowest score that is kept under `scope: global`, ties included, and
            the floors. `budget` keeps floor(n · ratio) of the language's own neurons (of each site, if that is the
            scope). The default is the threshold, if the ticket has one.
        digest: SHA-256 of the saliency file.

    Raises:
        PolyticketError: The row exists, the scores are of other sites, or the ticket lacks a key that the rule needs.
    """
    source = ticket.provenance
    rule = rule or ("threshold" if source.get("threshold") is not None else "budget")
    if rule not in RULES:
        raise PolyticketError(f"unknown rule {rule!r}", where="ticket join", expected=" or ".join(RULES))
    if language in ticket.languages:
        raise PolyticketError(f"{language} has a row already", where="ticket join", expected="a new language")
    if {site: values.size for site, values in scores.items()} != ticket.masks.sizes or ticket.unit != "neuron":
        raise PolyticketError("the sites of the scores are not those of the ticket", where="ticket join")
    needed = ("remain_ratio", "scope") if rule == "budget" else ("threshold",)
    if missing := [key for key in needed if source.get(key) is None]:
        expected = "one that was allocated; a threshold needs the global scope"
        raise PolyticketError(f"the ticket does not state {', '.join(missing)}", where="ticket join", expected=expected)
    masks = (
        _under_threshold(source, language, scores) if rule == "threshold" else _under_budget(source, language, scores)
    )
    words = np.concatenate([ticket.masks.words, Masks.packed(masks, 1).words])
    row = {"rule": rule, "kept": sum(int(bits.sum()) for bits in masks.values())}
    provenance = source | {"joined": source.get("joined", {}) | {language: row}}
    if "scores" in source:
        provenance["scores"] = source["scores"] | {language: digest}
    return Ticket((*ticket.languages, language), Masks(words, ticket.masks.shapes), provenance, ticket.unit)


def _under_budget(source: dict, language: str, scores: Scores) -> dict[str, Bits]:
    options = {key: source[key] for key in ("normalise", "floor", "align", "heads") if key in source}
    scope = "site" if source["scope"] == "site" else "language"
    return allocate([scores], source["remain_ratio"], scope=scope, languages=[language], **options).masks


def _under_threshold(source: dict, language: str, scores: Scores) -> dict[str, Bits]:
    options = {key: source[key] for key in ("floor", "align", "heads") if key in source}
    granularities = granularities_of({site: values.size for site, values in scores.items()}, **options)
    _, table = ranked([scores], normalise=source.get("normalise", True), languages=[language])
    masks = {}
    for site, granularity in granularities.items():
        units = units_of(table[site], granularity)
        kept = (units.scores >= source["threshold"]) | keep_highest(units.scores[0], granularity.floor).chosen
        masks[site] = units.spread(kept)
    return masks

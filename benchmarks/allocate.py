"""Allocation of a ticket for 103 languages of a 1024-hidden, 12-layer model, against sorting a Python dictionary."""

import tempfile
from pathlib import Path

import numpy as np
from side_by_side import in_turn, report

from polyticket.languages import CODES
from polyticket.model.shape import BertShape
from polyticket.model.sites import prunable_sites
from polyticket.tickets.allocation import allocate, keep_count, normalised
from polyticket.tickets.scores import Saliency, Scores, random_scores, read_saliency, write_saliency
from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket

RATIO = 0.75
SHAPE = BertShape(119547, 1024, 12, 16, 4096)
PUBLISHED_LANGUAGES = 4  # sorting all 103 as a dictionary takes minutes; a few are measured and scaled by entries


def by_dictionary(scores: list[Scores]) -> set[tuple[int, str, int]]:
    """The published way: one dictionary entry per score, sorted."""
    entries = {
        (row, site, place): float(value)
        for row, one in enumerate(scores)
        for site, values in normalised(one).items()
        for place, value in enumerate(values)
    }
    ranked = sorted(entries, key=entries.__getitem__, reverse=True)
    return set(ranked[: keep_count(len(entries), RATIO)])


def main() -> None:
    sites = prunable_sites(SHAPE)
    scores = [random_scores(sites, 1, row) for row in range(len(CODES))]
    some = scores[:PUBLISHED_LANGUAGES]
    masks = allocate(some, RATIO, scope="global")
    ours = {(row, site, int(at)) for site, bits in masks.items() for row, at in zip(*np.nonzero(bits), strict=True)}
    assert ours == by_dictionary(some), "both sides must keep the same neurons"
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{code}.safetensors") for code in CODES]
        for one, file in zip(scores, files, strict=True):
            write_saliency(Saliency(one), file)

        def from_files_to_file() -> None:
            found = allocate([read_saliency(file).scores for file in files], RATIO, scope="global")
            write_ticket(Ticket(CODES, found), Path(folder, "ticket.safetensors"))

        sides = {"dictionary": lambda: by_dictionary(some), "saliency files to ticket file": from_files_to_file}
        seconds = in_turn(sides, rounds=3)
        size = Path(folder, "ticket.safetensors").stat().st_size
        assert read_ticket(Path(folder, "ticket.safetensors")).languages == CODES
    scaled = seconds["dictionary"] * len(CODES) / PUBLISHED_LANGUAGES
    ours_seconds = seconds["saliency files to ticket file"]
    rows = {f"dictionary, scaled from {PUBLISHED_LANGUAGES} languages": scaled, "files to file": ours_seconds}
    entries = len(CODES) * sum(site.size for site in sites)
    print(f"{len(CODES)} languages, {entries:,} scores, ticket of {size:,} bytes")
    report("allocate", rows, ratio=scaled / ours_seconds, unit="s", n=entries)


if __name__ == "__main__":
    main()

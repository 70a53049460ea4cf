"""Allocation of a ticket for 103 languages of a 1024-hidden, 12-layer model, against sorting a Python dictionary."""

import resource
import tempfile
from pathlib import Path

import numpy as np
from side_by_side import grown, in_turn, report

from polyticket.core.languages import CODES
from polyticket.core.ranking import keep_count
from polyticket.model.shape import BertShape, prunable_sites
from polyticket.saliency.score_files import Saliency, ScoreFiles, Scores, normalised, random_scores, write_saliency
from polyticket.tickets.allocation import allocate
from polyticket.tickets.masks import Bits
from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket

RATIO = 0.75
SHAPE = BertShape(119547, 1024, 12, 16, 4096)
OURS = "saliency files to ticket file"
THEIRS = "all scores as a sorted dictionary, without files"
MORE = (
    ("by language, 64 at a time", {"scope": "language", "align": 64}),
    ("whole heads, a floor of 0.1", {"scope": "global", "align": "heads", "heads": 16, "floor": 0.1}),
)


def by_dictionary(scores: list[Scores]) -> list[tuple[int, str, int]]:
    """The published way: one dictionary entry per score, sorted; what is kept, in order."""
    entries = {
        (row, site, place): value
        for row, one in enumerate(scores)
        for site, values in normalised(one).items()
        for place, value in enumerate(values.tolist())
    }
    ranked = sorted(entries, key=entries.__getitem__, reverse=True)
    return ranked[: keep_count(len(entries), RATIO)]


def files_to_file(files: list[Path], ticket: Path) -> None:
    """What the rule does: read and check the scores, allocate, take digests, write the ticket."""
    scores = ScoreFiles(files, CODES)
    found = allocate(scores, RATIO, scope="global", languages=CODES)
    budget = {"asked": found.asked, "kept": found.kept}
    made = {"scope": "global", "remain_ratio": RATIO, "threshold": found.threshold, "budget": budget}
    write_ticket(Ticket(CODES, found.masks, made | {"scores": scores.digests()}), ticket)


def of_entries(kept: list[tuple[int, str, int]], shapes: dict[str, tuple[int, ...]]) -> dict[str, Bits]:
    masks = {site: np.zeros((len(CODES), *shape), np.bool_) for site, shape in shapes.items()}
    for row, site, place in kept:
        masks[site][row, place] = True
    return masks


def main() -> None:
    sites = prunable_sites(SHAPE)
    with tempfile.TemporaryDirectory() as folder:
        files, ticket = [Path(folder, f"{code}.safetensors") for code in CODES], Path(folder, "ticket.safetensors")
        for row, file in enumerate(files):
            write_saliency(Saliency(random_scores(sites, 1, row)), file)
        files_to_file(files, ticket)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # before a dictionary is made
        scores = [random_scores(sites, 1, row) for row in range(len(CODES))]
        found, size = read_ticket(ticket), ticket.stat().st_size
        wanted = of_entries(by_dictionary(scores), found.masks.shapes)
        assert all(np.array_equal(found.masks[site], bits) for site, bits in wanted.items()), "both must keep the same"
        sides = {
            OURS: lambda: files_to_file(files, ticket),
            "scores in memory to masks": lambda: allocate(scores, RATIO, scope="global"),
            THEIRS: lambda: by_dictionary(scores),
        } | {
            f"files to masks, {name}": lambda h=how: allocate(ScoreFiles(files, CODES), RATIO, **h)
            for name, how in MORE
        }
        seconds = in_turn(sides, rounds=3)
    entries = len(CODES) * sum(site.size for site in sites)
    print(f"{len(CODES)} languages, {entries:,} scores, ticket of {size:,} bytes; files to file in {memory:.2f} GB")
    ratio = seconds[THEIRS] / seconds[OURS]
    each = entries // len(CODES)
    sizes = grown(lambda n: lambda: allocate(scores[: n // each], RATIO, scope="global"), (26 * each, entries))
    report("allocate", seconds, ratio=ratio, unit="s", n=entries, megabytes=seconds.megabytes, sizes=sizes)


if __name__ == "__main__":
    main()

"""The similarity of the languages' tickets and its chance level: a clustered heat map of the Jaccard index per run."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from polyticket.core.files import Pathlike
from polyticket.figures.heat import Heat, Look, Shares, draw_heat_maps
from polyticket.tickets.algebra import Similarity, similarities
from polyticket.tickets.ticket import Ticket

LOOK = Look(
    "Similarity of tickets",
    "Jaccard of all pairs of languages, less chance",
    "Jaccard\n− chance",
    "chance",
    "joined at a\nmean Jaccard of",
)


class Panel(NamedTuple):
    """One run's comparisons.

    Attributes:
        run: Its name.
        languages: The L rows.
        jaccard: float64 [L, L], |A ∩ B| / |A ∪ B| over all sites; NaN of two empty masks.
        chance: float64 [L, L], what `chance_jaccard` expects.
    """

    run: str
    languages: tuple[str, ...]
    jaccard: Shares
    chance: Shares

    @property
    def beyond(self) -> Shares:
        """Jaccard less chance, float64 [L, L]; the diagonal, which compares nothing, is NaN."""
        return np.where(np.eye(len(self.languages), dtype=bool), np.nan, self.jaccard - self.chance)


def panel_of(run: str, ticket: Ticket) -> Panel:
    """The panel of a run, from its ticket."""
    whole, sites = similarities(ticket, "all", "site")
    return Panel(run, ticket.languages, whole.jaccard()[0], chance_jaccard(sites))


def chance_jaccard(sites: Similarity) -> Shares:
    """The Jaccard over all sites to expect of independent random masks that keep as much of each site as these do.

    Σ n d₁d₂ / Σ n (d₁ + d₂ − d₁d₂) over the sites, of n bits and densities d. It is above the chance of the densities
    over all sites, since languages that keep the same sites more meet there more often, whatever they keep in them.

    Args:
        sites: The comparison by `site`.

    Returns:
        float64 [L, L]; NaN where neither keeps anything.
    """
    kept = sites.kept.astype(np.float64)
    common = np.einsum("gi,gj->ij", kept, sites.density())
    total = kept.sum(0)
    with np.errstate(invalid="ignore"):
        return common / (total[:, None] + total[None, :] - common)


def plot_similarity(panels: Sequence[Panel], path: Pathlike) -> None:
    """Draw a heat map per run with its dendrogram, a row and a column per language; all with one scale.

    Colours are Jaccard less chance. Cells of up to 30 languages also say Jaccard, of up to 10 both.

    Args:
        panels: A run each.
        path: The SVG file.
    """
    heats = [Heat(p.run, _subtitle(p), p.languages, p.jaccard, p.beyond, p.jaccard) for p in panels]
    draw_heat_maps(heats, LOOK, path)


def _subtitle(panel: Panel) -> str:
    """What chance gives, of all pairs; a note where there are none."""
    chances = panel.chance[np.triu_indices(len(panel.languages), 1)]
    chances = chances[np.isfinite(chances)]
    if len(panel.languages) == 1:
        return f"one language ({panel.languages[0]}): no pairs to compare"
    if not len(chances):
        return "nothing is kept"
    least, most = f"{chances.min():.2f}", f"{chances.max():.2f}"
    return f"Jaccard by chance: {least}" + (f" to {most}" if most != least else "")

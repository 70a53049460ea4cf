"""How alike tickets are: chance by hand, families found, every language named, any number of languages drawn."""

import re

import numpy as np
import pytest

from polyticket.core.languages import CODES
from polyticket.figures.heat import clustered, signed
from polyticket.figures.similarity import Panel, chance_jaccard, panel_of, plot_similarity
from polyticket.tickets.algebra import similarity
from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket
from tests.support.figures import families_of

FOUR = ("en", "fr", "sw", "ur")
EQUAL = Ticket(FOUR, {"a": np.tile(np.arange(60) % 4 > 0, (4, 1))})


def drawn(path, *panels: Panel) -> list[str]:
    """All texts of the figure."""
    plot_similarity(panels, path)
    return re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8"))


def test_chance_by_hand():
    masks = {
        "a": np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]], bool),
        "b": np.array([[1, 0], [1, 1], [0, 0]], bool),
    }
    found = chance_jaccard(similarity(Ticket(("en", "fr", "sw"), masks), "site"))
    # a: 4 · ¾ · ½ = 1.5 in common; b: 2 · ½ · 1 = 1; of 4 + 4 − 2.5
    assert found[0, 1] == found[1, 0] == pytest.approx(2.5 / 5.5)
    assert found[0, 0] == pytest.approx((4 * 9 / 16 + 0.5) / (8 - 2.75))
    assert (found[0, 2], found[1, 2]) == (0, 0)
    assert np.isnan(found[2, 2])  # of two empty masks


def test_random_masks_are_at_chance_where_sites_differ():
    random = np.random.default_rng(2)
    masks = {site: random.random((2, 100_000)) < share for site, share in (("a", 0.1), ("b", 0.9))}
    ticket = Ticket(("en", "fr"), masks)
    panel, overall = panel_of("random", ticket), similarity(ticket).expected_jaccard()[0, 0, 1]
    assert panel.chance[0, 1] == pytest.approx(0.82 / 1.18, abs=0.005)  # 0.01 + 0.81 of 2 · (0.1 + 0.9) − 0.82
    assert panel.beyond[0, 1] == pytest.approx(0, abs=0.005)
    assert overall == pytest.approx(1 / 3, abs=0.005)  # which the same random masks would be far above
    assert np.isnan(panel.beyond.diagonal()).all()


def test_families_stand_together():
    order, tree = clustered(panel_of("main", families_of(FOUR, [0, 1, 0, 1])).jaccard)
    assert sorted(order[:2]) == [0, 2]  # that of the first language first
    assert sorted(order[2:]) == [1, 3]
    assert tree.shape == (3, 4)


def test_joins_are_at_the_mean_of_their_pairs():
    jaccard = np.array([[1, 0.2, 0.8], [0.2, 1, 0.3], [0.8, 0.3, 1]])
    order, tree = clustered(jaccard)
    assert order == [0, 2, 1]  # the second language is more like the third
    assert tree[:, 2].tolist() == pytest.approx([1 - 0.8, 1 - (0.2 + 0.3) / 2])
    assert tree[:, 3].tolist() == [2, 3]


@pytest.mark.parametrize("rows", [1, 2])
def test_two_rows_need_no_clustering(rows):
    assert clustered(np.eye(rows)) == (list(range(rows)), None)


def test_four_languages_have_values_in_their_cells(tmp_path):
    write_ticket(families_of(FOUR, [0, 1, 0, 1]), tmp_path / "ticket.safetensors")
    panel = panel_of("main", read_ticket(tmp_path / "ticket.safetensors"))
    texts = drawn(tmp_path / "similarity.svg", panel)
    for one, other in ((0, 1), (0, 2), (1, 3), (2, 3)):
        assert texts.count(f"{panel.jaccard[one, other]:.2f}") >= 2
        assert signed(panel.jaccard[one, other] - panel.chance[one, other]) in texts
    assert "1.00" not in texts  # the diagonal
    assert {"main", "chance", "English  en", "Swahili  sw", "fr", "ur"} <= set(texts)
    chance = panel.chance[np.triu_indices(4, 1)]
    assert f"Jaccard by chance: {chance.min():.2f} to {chance.max():.2f}" in texts


def test_103_languages_are_named_and_the_bytes_are_the_same(tmp_path):
    ticket = families_of(CODES, [row % 9 for row in range(len(CODES))], density=0.75)
    names = set(drawn(tmp_path / "one.svg", panel_of("main", ticket)))
    drawn(tmp_path / "two.svg", panel_of("main", ticket))
    assert set(CODES) <= names
    assert len([text for text in names if re.fullmatch(r"\d\.\d+", text)]) <= 4  # of the tree's axis, not of cells
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "one.svg").stat().st_size < 1_000_000


def test_one_language_has_a_note(tmp_path):
    texts = drawn(tmp_path / "similarity.svg", panel_of("main", families_of(["en"], [0])))
    assert texts == ["one language (en): no pairs to compare", "main"]


def test_two_languages_are_drawn_without_a_tree(tmp_path):
    texts = drawn(tmp_path / "similarity.svg", panel_of("main", families_of(["en", "fr"], [0, 1])))
    assert {"English  en", "French  fr", "chance"} <= set(texts)
    assert "mean Jaccard of" not in "".join(texts)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("ticket", "expected"),
    [
        (EQUAL, ["1.00", "+0.40", "Jaccard by chance: 0.60"]),  # ¾ · ¾ of 2 · ¾ − ¾ · ¾
        (Ticket(FOUR, {"a": np.ones((4, 9), bool)}), ["1.00", "+0.00", "Jaccard by chance: 1.00"]),
        (Ticket(FOUR, {"a": np.zeros((4, 9), bool)}), ["nothing is kept"]),
        (Ticket(FOUR, {"a": np.eye(4, 9, dtype=bool) & (np.arange(9) < 2)}), ["0.00", "−0.06"]),  # two keep nothing
    ],
)
def test_equal_and_empty_tickets_are_drawn(tmp_path, ticket, expected):
    texts = drawn(tmp_path / "similarity.svg", panel_of("main", ticket))
    assert [text for text in expected if text not in texts] == []


def test_runs_have_panels_of_one_scale(tmp_path):
    other = panel_of("other", families_of(["en", "fr", "sw"], [0, 0, 1]))
    texts = drawn(tmp_path / "similarity.svg", panel_of("main", EQUAL), other)
    assert [texts.count(name) for name in ("main", "other", "chance", "+0.40")] == [1, 1, 2, 2 + 12]


def test_signs():
    assert [signed(value) for value in (0.126, -0.126, -0.001, 0.0)] == ["+0.13", "−0.13", "+0.00", "+0.00"]

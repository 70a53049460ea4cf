"""What every picture keeps to: cells are shapes, words can be read on them, axes of little or nothing are sane."""

import re
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import Normalize, to_hex

from polyticket.analysis.overlap import pair_rows
from polyticket.analysis.winning import find_winning
from polyticket.conflict.trace import table_of
from polyticket.core.languages import CODES
from polyticket.figures import density, heat
from polyticket.figures import matrices as matrix
from polyticket.figures.cells import rotation
from polyticket.figures.comparison import plot_comparison
from polyticket.figures.conflict import plot_conflict
from polyticket.figures.corpus import Corpus, plot_corpora
from polyticket.figures.curves import plot_winning
from polyticket.figures.density import plot_density
from polyticket.figures.heat import Heat, Look, draw_heat_maps
from polyticket.figures.ledger import ledger_table, plot_ledgers
from polyticket.figures.losses import plot_losses
from polyticket.figures.matrices import Matrix, draw_matrices
from polyticket.figures.overlap import plot_overlap
from polyticket.figures.saliency import plot_saliency
from polyticket.figures.scores import plot_scores
from polyticket.figures.similarity import panel_of, plot_similarity
from polyticket.figures.style import COLOURS, ink_on, luminance, shortened
from polyticket.figures.tables import score_row
from polyticket.model.shape import BertShape, prunable_sites
from tests.support.figures import (
    RESULT,
    compared_runs,
    curves,
    families_of,
    ledger,
    sub_networks,
    texts_of,
    ticket,
    trace_of,
)

RECTANGLE = re.compile(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-([\d.]+)z")
SITES = prunable_sites(BertShape(10, 4, 2, 2, 8))


@pytest.fixture(autouse=True)
def quiet():
    """Nothing that Matplotlib or NumPy warns of is drawn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def cells(path: Path) -> list[tuple[str, float, float, float, float]]:
    """Colour, left, top, width and height of every cell and of every step of a scale, scales last."""
    paths = re.findall(r'<path d="([^"]*)" fill="(#\w+)" shape-rendering="crispEdges"/>', path.read_text("utf-8"))
    return [(fill, *map(float, one)) for shape, fill in paths for *one, _ in RECTANGLE.findall(shape)]


def matrix_of(values: object, rows: list[str] | None = None) -> Matrix:
    found = np.array(values, np.float64)
    names = rows or [f"r{row}" for row in range(len(found))]
    return Matrix("t", "s", names, [f"c{column}" for column in range(found.shape[1])], found, None, [], ("r", "c"))


def drawn_matrix(path: Path, *matrices: Matrix) -> Path:
    draw_matrices(matrices, path, "t", "d")
    return path


MAPS = {
    "similarity": lambda path, codes: plot_similarity([panel_of("x", families_of(codes, [0] * len(codes)))], path),
    "conflict": lambda path, codes: plot_conflict({"main": table_of(trace_of(codes), "updates", 200)}, path),
    "matrix": lambda path, codes: drawn_matrix(path, matrix_of(np.random.default_rng(1).random([len(codes)] * 2))),
    "density": lambda path, codes: plot_density({"main": ticket(list(codes), 2)}, path),
    "overlap": lambda path, _: plot_overlap(pair_rows(sub_networks(50)), path),
}


@pytest.mark.parametrize("codes", [CODES[:4], CODES], ids=["4 languages", "103 languages"])
@pytest.mark.parametrize("name", MAPS)
def test_heat_maps_and_their_scales_are_shapes_of_a_bearable_size(tmp_path, name, codes):
    MAPS[name](tmp_path / "map.svg", codes)
    assert "<image" not in (tmp_path / "map.svg").read_text("utf-8")
    assert (tmp_path / "map.svg").stat().st_size < 800_000
    off_diagonal = len(codes) * (len(codes) - 1)
    own = {"matrix": len(codes) ** 2, "density": len(codes) * 8, "overlap": 12}.get(name, off_diagonal)
    assert len(cells(tmp_path / "map.svg")) == own + 128  # steps of the scale


def test_a_cell_has_the_colour_of_its_value_and_meets_its_neighbours(tmp_path):
    values = [[0.0, 1.0, 0.2], [0.4, np.nan, 0.6]]
    found = cells(drawn_matrix(tmp_path / "m.svg", matrix_of(values)))[:5]
    wanted = [to_hex(matrix.LEVELS(Normalize(0, 1)(value))) for value in (0.0, 1.0, 0.2, 0.4, 0.6)]
    assert [colour for colour, *_ in found] == wanted
    left, top, size = found[0][1], found[0][2], 0.58 * 72
    places = [(0, 0), (1, 0), (2, 0), (0, 1), (2, 1)]
    for (_, x, y, wide, high), (column, row) in zip(found, places, strict=True):
        assert (x - left, y - top) == pytest.approx((column * size, row * size), abs=1e-2)
        over = (column + 1, row) in places, (column, row + 1) in places  # never into a blank place, or beyond the edge
        assert (wide, high) == pytest.approx((size + 0.2 * over[0], size + 0.2 * over[1]), abs=1e-2)


def test_gaps_between_layers_stay_white(tmp_path):
    plot_density({"main": ticket(["en"], 2)}, tmp_path / "d.svg")
    found = sorted((x, wide) for _, x, _, wide, _ in cells(tmp_path / "d.svg")[:8])
    gaps = [after[0] - before[0] - before[1] for before, after in pairwise(found)]
    assert [gap > 1 for gap in gaps] == [False, False, True, False, False, True, True]


GROUNDS = {
    "heat": [heat.LEVELS(value) for value in np.linspace(0, 1, 256)],
    "matrix": [matrix.LEVELS(value) for value in np.linspace(0, 1, 256)],
    "density": [density.COLOURS(value) for value in np.linspace(0, 1, 256)],
    "greys": [(value, value, value) for value in np.linspace(0, 1, 256)],
    "bars": COLOURS,
}


@pytest.mark.parametrize("name", GROUNDS)
def test_words_can_be_read_on_every_colour(name):
    for ground in GROUNDS[name]:
        bright, dark = sorted((luminance(ground), luminance(ink_on(ground))), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, ground


def test_luminance_is_that_of_wcag():
    assert [luminance(colour) for colour in ("white", "black", "#ff0000", "#777777")] == pytest.approx(
        [1, 0, 0.2126, 0.18447], abs=1e-5
    )


@pytest.mark.parametrize("value", np.linspace(0, 1, 11).round(2).tolist())
def test_cells_are_written_in_the_ink_of_their_colour(tmp_path, value):
    path = drawn_matrix(tmp_path / "m.svg", matrix_of([[value, 0.0, 1.0]]))
    first = re.findall(rf"<!-- {value:.2f} -->\s*<g([^>]*)>", path.read_text("utf-8"))[0]
    wanted = ink_on(matrix.LEVELS(Normalize(0, 1)(value)))
    assert ("fill: #ffffff" in first) == (wanted == "white")


def test_blank_cells_and_matrices_of_blanks_are_drawn(tmp_path):
    found = texts_of(drawn_matrix(tmp_path / "m.svg", matrix_of([[np.nan, -0.5], [0.1, 0.3]])))
    assert [found.count(words) for words in ("nan", "−0.50", "0.10", "0.30")] == [0, 1, 1, 1]
    assert len(cells(drawn_matrix(tmp_path / "n.svg", matrix_of([[np.nan, np.nan]])))) == 128
    blank = Heat("t", "s", ("en", "fr"), np.eye(2), np.full((2, 2), np.nan))
    draw_heat_maps([blank], Look("t", "d", "scale", "zero", "tree"), tmp_path / "h.svg")
    assert len(cells(tmp_path / "h.svg")) == 128


def test_cells_too_small_for_words_have_none_in_any_panel(tmp_path):
    few, many = (Heat("t", "s", CODES[:rows], np.eye(rows), np.full((rows, rows), 0.23)) for rows in (3, 31))
    for heats, written in (([few], 9), ([few, many], 0)):
        draw_heat_maps(heats, Look("t", "d", "scale", "zero", "tree"), tmp_path / "h.svg")
        assert texts_of(tmp_path / "h.svg").count("+0.23") == written


def test_long_names_are_turned_and_never_cut_off(tmp_path):
    assert (rotation(["en", "zh-min-nan"], 2), rotation(["en", "fr"], 10), rotation(["en", "fr"], 11)) == (90, 0, 90)
    sizes = []
    for name in ("short", "a name of a sub-network that says all that there is to say of it"):
        text = drawn_matrix(tmp_path / "m.svg", matrix_of([[0.1, 0.2]], rows=[name])).read_text("utf-8")
        sizes.append(float(re.search(r'<svg [^>]*width="([\d.]+)pt"', text)[1]))
        assert name in texts_of(tmp_path / "m.svg")
    assert sizes[0] == 6.5 * 72
    assert sizes[1] > sizes[0] + 100


def test_long_titles_keep_their_ends():
    assert shortened("main", 3) == "main"
    assert shortened("a variant with a very long name", 2) == "a variant…long name"[:9] + "…" + " long name"[-10:]
    assert len(shortened("x" * 99, 2)) == 20


def numbers(path: Path) -> list[str]:
    """The texts that are numbers, with powers of ten and offsets if an axis is written so."""
    return [text for text in texts_of(path) if re.fullmatch(r"[+−-]?[\d.,]+(e[+−-]?\d+)?[kMm]?", text)]


def test_a_ledger_without_markup_has_an_axis_from_0_to_1(tmp_path):
    clean = ledger("sw") | {"residual_markup": {"kinds": {"tag": 0, "quotes": 0}}}
    plot_ledgers(ledger_table(["sw"], [clean]), tmp_path / "l.svg")
    assert numbers(tmp_path / "l.svg") == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0", "0"]  # the last beside the row
    assert not [text for text in texts_of(tmp_path / "l.svg") if "1e" in text]


ZEROS = {name: np.zeros(3) for name in ("masked_lm_loss", "next_sentence_loss")} | {"step": np.arange(1.0, 4)}
ZERO = RESULT | {"test": {"f1": 0.0}, "sd": {"dev": {"f1": 0.0}, "test": {"f1": 0.0}}}
NOTHING = {
    "losses": lambda path: plot_losses({"main": ZEROS}, [{"max_seq_length": 64, "until_step": 3}], path),
    "winning": lambda path: plot_winning(
        {("en", "imp"): find_winning({0: [0.0, 0.0], 10: [0.0, 0.0]})}, path, score="F1"
    ),
    "scores": lambda path: plot_scores([score_row("main", ZERO, None)], path),
    "saliency": lambda path: plot_saliency(
        {"snip": {"fr": {site.name: np.zeros(site.size) for site in SITES}}}, path, remain_ratio=0.5
    ),
}


@pytest.mark.parametrize("name", NOTHING)
def test_axes_of_zeros_go_from_0_to_1(tmp_path, name):
    NOTHING[name](tmp_path / "z.svg")
    found = numbers(tmp_path / "z.svg")
    assert {"0.0", "1.0"} <= set(found) or {"0.00", "1.00"} <= set(found)
    assert not [text for text in found if text[0] in "−-" or "e" in text]


def zeroed(value: object) -> object:
    """The same with all scores and differences at 0."""
    if isinstance(value, dict):
        names = ("mean", "sd", "difference", "low", "high")
        return {key: 0.0 if key in names and isinstance(one, float) else zeroed(one) for key, one in value.items()}
    return [zeroed(one) for one in value] if isinstance(value, list) else value


def test_no_difference_stands_in_the_middle(tmp_path):
    plot_comparison(zeroed(compared_runs()), [], tmp_path / "c.svg")
    found = numbers(tmp_path / "c.svg")
    assert {"0.0", "1.0", "−0.100", "0.100"} <= set(found)


@pytest.mark.parametrize(("until", "wanted"), [(2, ["0", "1", "2"]), (2_500_000, ["0", "500k", "1M"])])
def test_steps_are_whole_and_short(tmp_path, until, wanted):
    plot_losses({"main": curves(2)}, [{"max_seq_length": 64, "until_step": until}], tmp_path / "l.svg")
    assert numbers(tmp_path / "l.svg")[: len(wanted)] == wanted
    assert not [text for text in numbers(tmp_path / "l.svg") if text.endswith("m")]


def test_a_history_of_one_point_is_seen(tmp_path):
    marks = []
    for points in (1, 2):
        plot_losses({"main": curves(points)}, [{"max_seq_length": 64, "until_step": 20}], tmp_path / "l.svg")
        uses = re.findall(r"<use [^>]*fill: #0072b2[^>]*>", (tmp_path / "l.svg").read_text("utf-8"))
        marks.append(len(uses))
    assert marks == [3, 0]  # a mark in each panel, and the key


def test_languages_of_one_size_have_labels_on_their_axis(tmp_path):
    sizes = dict.fromkeys(("characters", "tokens", "sentences", "instances"), 1234)
    plot_corpora([Corpus(code, sizes, 0.25, 0.25) for code in CODES[:4]], tmp_path / "c.svg")
    assert {"500", "1k", "2k", "10 %", "20 %", "50 %"} <= set(texts_of(tmp_path / "c.svg"))


def test_a_language_without_text_has_a_row_without_marks(tmp_path):
    some, none = ({"characters": size, "instances": size} for size in (300, 0))
    plot_corpora([Corpus("en", some, 1.0, 1.0), Corpus("fr", none, 0.0, 0.0)], tmp_path / "c.svg")
    found = texts_of(tmp_path / "c.svg")
    assert {"English  en", "French  fr"} <= set(found)
    assert [text for text in found if text.startswith("×")] == ["×1"]
    plot_corpora([Corpus("fr", none, 0.0, 0.0)], tmp_path / "n.svg")
    assert {"1", "10", "1 %", "100 %"} <= set(texts_of(tmp_path / "n.svg"))

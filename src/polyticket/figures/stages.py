"""The picture of the pipeline's stages, drawn from one table that a test holds against the real workflow."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path as Line

from polyticket.core.files import Pathlike
from polyticket.figures.style import drawing, ink_on

Point = tuple[float, float]


class Stage(NamedTuple):
    """One rule.

    Attributes:
        rule: Its name.
        place: Column and row of its box, from the top left.
        makes: What comes out.
        tool: What computes it.
        kind: Decides the colour, see `KINDS`.
        each: What it is repeated for; empty when it is done once per run.
        after: The rules whose outputs it reads.
    """

    rule: str
    place: Point
    makes: str
    tool: str
    kind: str
    each: str
    after: tuple[str, ...] = ()


KINDS = {"text": "#0072B2", "numpy": "#6B6B6B", "tensorflow": "#D98200", "pytorch": "#8E3B7A", "store": "#009E73"}
KIND_NAMES = {
    "text": "text and pieces",
    "numpy": "NumPy and tables",
    "tensorflow": "TensorFlow",
    "pytorch": "PyTorch",
    "store": "store",
}

STAGES = (
    Stage("download_dumps", (0, 0), "downloads/LANG/", "https://", "store", "language"),
    Stage("collect_templates", (0, 1), "templates.xml", "defusedxml", "text", "language", ("download_dumps",)),
    Stage(
        *("extract_articles", (1, 0), "articles/N.jsonl", "wikiextractor", "text", "language, piece"),
        ("download_dumps", "collect_templates"),
    ),
    Stage("split_sentences", (2, 0), "sentences.txt", "learnt from text", "text", "language", ("extract_articles",)),
    Stage("tabulate_corpus", (1, 1), "ledger.csv", "report", "numpy", "", ("split_sentences",)),
    Stage("build_vocabulary", (3, 0), "vocabulary/", "tokenizers", "text", "", ("split_sentences",)),
    Stage(
        *("tokenize_corpus", (2, 1), "tokens/LANG/", "tokenizers, NumPy", "text", "language"),
        ("split_sentences", "build_vocabulary"),
    ),
    Stage(
        *("make_records", (4, 1), "records/*.tfrecord", "NumPy", "text", "language, phase"),
        ("tokenize_corpus", "build_vocabulary"),
    ),
    Stage("make_initial_model", (4, 0), "initial/", "NumPy", "numpy", "", ("build_vocabulary",)),
    Stage("score_random", (5, 0), "saliency/random/", "the control", "numpy", "language", ("make_initial_model",)),
    Stage(
        *("score_saliency", (5, 1), "saliency/SCORE/", "PyTorch", "pytorch", "language"),
        ("make_records", "make_initial_model"),
    ),
    Stage(
        *("allocate_ticket", (6, 1), "ticket.safetensors", "NumPy", "numpy", ""),
        ("score_saliency", "score_random", "make_initial_model"),
    ),
    Stage(
        *("build_checkpoint", (6, 2), "checkpoint/", "TensorFlow", "tensorflow", ""),
        ("make_initial_model", "allocate_ticket"),
    ),
    Stage("upload_checkpoint", (5, 2), "upload.json", "gs:// or file://", "store", "", ("build_checkpoint",)),
    Stage(
        *("pretrain_phase", (4, 2), "phase_N.json", "TensorFlow", "tensorflow", "phase"),
        ("upload_checkpoint", "make_records", "pretrain_phase"),
    ),
    Stage(
        *("score_held_out", (4, 3), "*.held_out.json", "TensorFlow", "tensorflow", "phase"),
        ("pretrain_phase", "make_records"),
    ),
    Stage("tabulate_conflict", (5, 3), "conflict/KIND/N.csv", "NumPy", "numpy", "kind, step", ("pretrain_phase",)),
    Stage("convert_model", (3, 2), "model/", "Hugging Face", "tensorflow", "", ("pretrain_phase", "build_vocabulary")),
    Stage(
        *("export_language", (3, 3), "export/LANG/", "PyTorch, ONNX", "pytorch", "language"),
        ("convert_model", "split_sentences"),
    ),
    Stage("load_task", (2, 3), "tasks/TASK/LANG/", "Arrow", "text", "task, language", ("split_sentences",)),
    Stage(
        *("finetune_task", (2, 2), "TASK/LANG/seed_N", "PyTorch", "pytorch", "task, language, seed"),
        ("convert_model", "allocate_ticket", "pretrain_phase", "load_task"),
    ),
    Stage("summarize_seeds", (1, 2), "TASK/LANG.json", "statistics", "numpy", "task, language", ("finetune_task",)),
    Stage("score_baseline", (1, 4), "baseline/", "most frequent tag", "numpy", "task, language", ("load_task",)),
    Stage("tabulate_scores", (0, 2), "scores.csv", "report", "numpy", "", ("summarize_seeds", "score_baseline")),
    Stage(
        *("compare_runs", (1, 3), "compare/TASK.json", "bootstrap", "numpy", "task"),
        ("summarize_seeds", "finetune_task", "load_task"),
    ),
    Stage(
        *("score_zero_shot", (3, 4), "zero_shot/TASK/", "PyTorch", "pytorch", "task, language, seed"),
        ("convert_model", "finetune_task", "load_task"),
    ),
    Stage("tabulate_zero_shot", (4, 4), "zero_shot/TASK.csv", "NumPy", "numpy", "task", ("score_zero_shot",)),
)

# Corners of the lines that would run through boxes, and those that only carry a digest into the result.
ROUTES: dict[tuple[str, str], tuple[Point, ...]] = {
    ("build_vocabulary", "tokenize_corpus"): ((3, 0), (2.52, 0), (2.52, 0.8), (2, 0.8)),
    ("split_sentences", "load_task"): ((1.8, 0), (1.8, 0.47), (1.45, 0.47), (1.45, 2.47), (1.8, 2.47), (1.8, 3)),
    ("make_initial_model", "allocate_ticket"): ((4, 0), (4, -0.5), (6, -0.5), (6, 1)),
    ("make_initial_model", "build_checkpoint"): ((4, 0), (4, -0.5), (6.58, -0.5), (6.58, 2), (6, 2)),
    ("allocate_ticket", "finetune_task"): ((6.3, 1), (6.3, 2.57), (2, 2.57), (2, 2)),
    ("pretrain_phase", "finetune_task"): ((4, 2), (4, 2.57), (2, 2.57), (2, 2)),
    ("score_baseline", "tabulate_scores"): ((1, 4), (0, 4), (0, 2)),
    ("finetune_task", "score_zero_shot"): ((2.2, 2), (2.2, 2.47), (2.5, 2.47), (2.5, 4), (3, 4)),
    ("convert_model", "score_zero_shot"): ((3.2, 2), (3.2, 2.45), (3.5, 2.45), (3.5, 3.5), (3.2, 3.5), (3.2, 4)),
    ("make_records", "score_held_out"): ((4, 1), (4.54, 1), (4.54, 3), (4, 3)),
    ("pretrain_phase", "score_held_out"): ((4.2, 2), (4.2, 3)),
    ("pretrain_phase", "tabulate_conflict"): ((4.36, 2), (4.36, 2.5), (5, 2.5), (5, 3)),
    ("pretrain_phase", "pretrain_phase"): ((4.25, 2), (4.25, 1.55), (4.38, 1.55), (4.38, 2)),
}
NAMED_ONLY = {("allocate_ticket", "finetune_task"), ("pretrain_phase", "finetune_task")}
ACROSS, DOWN = 1.95, 1.25  # inches from box to box
BOX = (1.5, 0.74)
SHEET = 0.055  # inches that the sheets of a stack are apart


def edges(stages: Sequence[Stage] = STAGES) -> set[tuple[str, str]]:
    """All pairs (rule, rule that reads its output)."""
    return {(before, stage.rule) for stage in stages for before in stage.after}


def described() -> str:
    """The table in words, a line per rule: the drawing's description, by which an old drawing is told."""
    lines = [f"{stage.rule} ({stage.tool}) makes {stage.makes}" for stage in STAGES]
    after = [f" from {', '.join(stage.after)}" if stage.after else "" for stage in STAGES]
    return "\n".join(line + more for line, more in zip(lines, after, strict=True))


def draw_stages(path: Pathlike) -> None:
    """Draw the table as SVG: a box per rule, an arrow per file that one reads from another."""
    columns, rows = (max(stage.place[axis] for stage in STAGES) + 1 for axis in (0, 1))
    left, right, top, bottom = -1.0, (columns - 1) * ACROSS + 1.3, 0.85, -(rows - 1) * DOWN - 0.95
    with drawing(path, (right - left, top - bottom), "Stages of the workflow", described()) as figure:
        axes = figure.add_axes((0, 0, 1, 1), xlim=(left, right), ylim=(bottom, top), aspect="equal")
        axes.axis("off")
        of_rule = {stage.rule: stage for stage in STAGES}
        for before, rule in sorted(edges()):
            _draw_arrow(axes, of_rule[before], of_rule[rule])
        for stage in STAGES:
            _draw_box(axes, stage)
        _draw_legend(axes)


def _inches(place: Point) -> Point:
    return place[0] * ACROSS, -place[1] * DOWN


def _draw_box(axes: Axes, stage: Stage) -> None:
    x, y = _inches(stage.place)
    corner, colour = (x - BOX[0] / 2, y - BOX[1] / 2), KINDS[stage.kind]
    style = "round,pad=0,rounding_size=0.07"
    for sheet in (2, 1, 0) if stage.each else (0,):
        at = corner[0] + SHEET * sheet, corner[1] - SHEET * sheet
        face = "white" if sheet else "#FAFAFA"
        axes.add_patch(FancyBboxPatch(at, *BOX, style, facecolor=face, edgecolor=colour, linewidth=1.1, zorder=4))
    band = FancyBboxPatch(
        (corner[0], corner[1] + BOX[1] - 0.25), BOX[0], 0.25, style, facecolor=colour, edgecolor=colour, zorder=5
    )
    axes.add_patch(band)
    words: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 6}
    axes.text(
        x, y + BOX[1] / 2 - 0.13, stage.rule.replace("_", " "), size=8.2, weight="bold", color=ink_on(colour), **words
    )
    axes.text(x, y + 0.01, stage.makes, size=8, family="DejaVu Sans Mono", **words)
    axes.text(x, y - 0.22, stage.tool, size=7.5, color="#555555", **words)


def _draw_arrow(axes: Axes, before: Stage, stage: Stage) -> None:
    pair = before.rule, stage.rule
    light, corners = pair in NAMED_ONLY, ROUTES.get(pair)
    line = _rounded([_inches(at) for at in corners]) if corners else _curve(before.place, stage.place)
    arrow = FancyArrowPatch(
        path=_cut(line, _inches(stage.place), 2 * SHEET if stage.each else 0.0),
        arrowstyle="-|>,head_length=4,head_width=2.2",
        color="#9A9A9A" if light else "#4A4A4A",
        linewidth=1.1,
        linestyle=(0, (1.5, 2)) if light else "-",
        zorder=2,
        capstyle="butt",
        joinstyle="round",
    )
    axes.add_patch(arrow)


def _curve(start: Point, end: Point) -> list[Point]:
    """Points of an S from box to box, along columns or, within a column, straight."""
    (x0, y0), (x1, y1) = _inches(start), _inches(end)
    if start[0] == end[0] or start[1] == end[1]:
        return [(x0, y0), (x1, y1)]
    side = BOX[0] / 2 if x1 > x0 else -BOX[0] / 2
    x0, x1 = x0 + side, x1 - side
    knee = x1 - (ACROSS - BOX[0]) * (0.5 if x1 > x0 else -0.5)  # just before the box that it goes to
    if abs(end[0] - start[0]) > 1:
        knee = x0 + (ACROSS - BOX[0]) * (0.5 if x1 > x0 else -0.5)
    return _rounded([(x0, y0), (knee, y0), (knee, y1), (x1, y1)])


def _rounded(corners: Sequence[Point], radius: float = 0.12) -> list[Point]:
    """The corners joined by straight lines, each bend a quarter of a small circle (nearly)."""
    points = [corners[0]]
    for before, at, after in zip(corners, corners[1:], corners[2:], strict=False):
        entry, leave = _towards(at, before, radius), _towards(at, after, radius)
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            a, b, c = (1 - share) ** 2, 2 * share * (1 - share), share**2
            points.append((a * entry[0] + b * at[0] + c * leave[0], a * entry[1] + b * at[1] + c * leave[1]))
    return [*points, corners[-1]]


def _towards(start: Point, end: Point, distance: float) -> Point:
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = (dx * dx + dy * dy) ** 0.5
    share = min(distance, length / 2) / length
    return start[0] + dx * share, start[1] + dy * share


def _cut(points: Sequence[Point], centre: Point, sheets: float) -> Line:
    """End a line at the edge of the box that it points to; sheets lie to the right of a box and below it."""
    (x0, y0), (x1, y1) = points[-2], points[-1]
    wide, high = BOX[0] / 2 + 0.02, BOX[1] / 2 + 0.02
    if abs(x1 - x0) > abs(y1 - y0):
        x1 = centre[0] - wide if x1 > x0 else centre[0] + wide + sheets
    else:
        y1 = centre[1] - high - sheets if y1 > y0 else centre[1] + high
    return Line([*points[:-1], (x1, y1)])


def _draw_legend(axes: Axes) -> None:
    handles: list[Patch | Line2D] = [Patch(color=KINDS[kind], label=name) for kind, name in KIND_NAMES.items()]
    handles.append(Line2D([], [], color="#9A9A9A", linestyle=(0, (1.5, 2)), label="named by digest"))
    handles.append(Line2D([], [], linestyle="", label="stacked: per language, phase or task"))
    axes.legend(
        handles=handles, loc="lower center", ncols=len(handles), fontsize=8, handlelength=1.4, borderaxespad=0.3
    )

"""Articles: JSON lines with a ``text``, or sentences with blank lines between articles; and their division."""

import json
from collections.abc import Sequence

import numpy as np

from polyticket.core.errors import PolyticketError
from polyticket.tasks.examples import Text
from polyticket.tasks.sources.lines import Lines, blocks, is_blank


def read_articles(lines: Lines, where: str) -> list[Text]:
    """Read articles; those without text are left out.

    Args:
        lines: Of a file, numbered.
        where: What the file is called: ``*.jsonl`` holds an object with a ``text`` a line; other files hold a sentence
            a line, which are joined by spaces, and a blank line between articles.

    Raises:
        PolyticketError: A line is no JSON object, or its ``text`` is missing or no text; names file and line.
    """
    if not where.endswith(".jsonl"):
        return [Text(" ".join(line for _, line in block)) for block in blocks(lines)]
    texts = (_text(line, f"{where}:{number}") for number, line in lines if not is_blank(line))
    return [Text(text) for text in texts if text.strip()]


def _text(line: str, where: str) -> str:
    expected = 'a JSON object a line, {"text": "…"}'
    try:
        found = json.loads(line)
        text = found["text"]
        text.encode()  # JSON can spell halves of characters, which no file could hold
    except json.JSONDecodeError as error:
        raise PolyticketError(f"not JSON: {error.msg}", where=where, expected=expected) from None
    except (KeyError, TypeError, AttributeError):
        raise PolyticketError("no text", where=where, expected=expected) from None
    except UnicodeEncodeError as error:
        raise PolyticketError(f"not Unicode: {error.reason}", where=where, expected=expected) from None
    return str(text)


def check_share(dev_share: float) -> None:
    """See that something is left to train on.

    Raises:
        PolyticketError: The share is not between 0 and 0.5.
    """
    if not 0 < dev_share < 0.5:
        expected = "a share > 0 and < 0.5: as much goes to dev and to test"
        raise PolyticketError(f"{dev_share} is not allowed", where="dev_share", expected=expected)


def divided(texts: Sequence[Text], where: str, *, dev_share: float, seed: int) -> dict[str, list[Text]]:
    """Divide articles into train, dev and test, each in the order given.

    Of n articles, ``max(1, round(n · dev_share))`` drawn with the seed go to dev and as many others to test. The
    draw depends on the number of articles and the seed alone, not on the files that they came from.

    Args:
        texts: Articles, all files joined.
        where: What they are called in errors.
        dev_share: Share of dev, and of test.
        seed: Of the draw.

    Raises:
        PolyticketError: A bad share, or too few articles to leave one in each split.
    """
    check_share(dev_share)
    total = len(texts)
    size = max(1, round(total * dev_share))
    if total - 2 * size < 1:
        raise PolyticketError(f"{total} articles", where=where, expected="at least three, one for each split")
    drawn = np.random.default_rng(seed).permutation(total)
    parts = {"dev": drawn[:size], "test": drawn[size : 2 * size], "train": drawn[2 * size :]}
    return {name: [texts[place] for place in np.sort(places)] for name, places in parts.items()}

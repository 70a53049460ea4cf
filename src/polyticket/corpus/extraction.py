"""Pages -> their plain texts through the extractor program; a page that breaks it is found and left out."""

import json
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from polyticket.core.errors import PolyticketError
from polyticket.core.logs import log
from polyticket.corpus.budget import MOST_BROKEN, SECONDS_PER_MEGABYTE
from polyticket.corpus.extractor import Extractor
from polyticket.corpus.templates import layout

Known = TypeVar("Known")


@dataclass
class Sent(Generic[Known]):
    """A page on its way through the extractor.

    Attributes:
        number: Its number in the piece, by which the extractor knows it.
        title: Its title.
        text: Its wikitext as the extractor gets it.
        known: What the caller wants back with its plain text.
        seconds: How long the extractor may take for it.
        broken: Whether the extractor cannot take it.
    """

    number: int
    title: str
    text: str
    known: Known
    seconds: float = SECONDS_PER_MEGABYTE
    broken: bool = False

    def xml(self) -> str:
        """The page as the extractor reads it."""
        return layout(self.number, 0, self.title, "" if self.broken else self.text)


def texts_of(
    pages: Iterable[Sent[Known]], head: str, templates: Path | None, processes: int
) -> Generator[tuple[Sent[Known], str], None, None]:
    """Yield each page with its plain text, in order; the text of a page that is `broken` is empty.

    The program dies with any of its workers and does not say over which page. So the pages that were under way are
    given to one worker again, until the one that breaks it is known.

    Args:
        pages: The pages; they are drawn in another thread.
        head: The dump's head, for the extractor.
        templates: A file of template pages, or None.
        processes: How many processes extract at once.

    Raises:
        PolyticketError: More than `MOST_BROKEN` pages broke the extractor, it failed without a page, or lost pages.
        Exception: Whatever drawing the pages raised.
    """
    source = iter(pages)
    waiting: deque[Sent[Known]] = deque()
    broken = 0
    again = False
    while True:
        under_way = iter(tuple(waiting)) if again else source
        waiting.clear()
        with Extractor(templates, 1 if again else processes, follow=again) as extractor:
            try:
                yield from _run(extractor, head, under_way, waiting)
            except PolyticketError as error:
                if not extractor.crashed:
                    raise
                if again:
                    waiting.extend(under_way)
                    broken += 1
                    _leave_out(waiting, extractor.page, broken, error)
                again = True
                continue
        if waiting:
            raise PolyticketError(f"lost {len(waiting)} pages, the first {waiting[0].title!r}", where="wikiextractor")
        if not again:
            return
        again = False


def _run(
    extractor: Extractor, head: str, pages: Iterator[Sent[Known]], waiting: deque[Sent[Known]]
) -> Iterator[tuple[Sent[Known], str]]:
    def drawn() -> Iterator[str]:
        longest = 0.0
        for page in pages:
            longest = extractor.patience = max(longest, page.seconds)
            waiting.append(page)
            yield page.xml()

    for line in extractor.extract(head, drawn()):
        yield waiting.popleft(), json.loads(line)["text"]


def _leave_out(waiting: Iterable[Sent[Known]], number: int | None, broken: int, error: PolyticketError) -> None:
    page = next((page for page in waiting if page.number == number), None)
    if page is None or page.broken:
        raise error
    if broken > MOST_BROKEN:
        raise PolyticketError(f"{error}: on {broken} pages, the last {page.title!r}", where=None)
    log.warning("left out page %r, which breaks the extractor: %s", page.title, error)
    page.broken = True

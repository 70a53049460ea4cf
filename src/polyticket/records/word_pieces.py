"""WordPiece for many words at once, on arrays."""

from typing import Any

import numpy as np

from polyticket.records.word_table import WordTable

_CODE_BITS = 21
_FIRST, _REST = 1, 2  # the tree's two roots: pieces that begin a word, and pieces that continue one

Found = tuple[np.ndarray, np.ndarray]


class WordPieces:
    """Greedy longest-match pieces of words: BERT's WordPiece, walked down a tree of the vocabulary's characters.

    Args:
        model: The tokenizer's ``model`` as in its JSON.
    """

    def __init__(self, model: dict[str, Any]) -> None:
        self.unknown: int = model["vocab"][model["unk_token"]]
        self.longest_word: int = model["max_input_chars_per_word"]
        # A piece with NUL matches nothing, since the tokenizer removes that character.
        first = {piece: number for piece, number in model["vocab"].items() if piece and "\0" not in piece}
        prefix = model["continuing_subword_prefix"]
        rest = {piece[len(prefix) :]: n for piece, n in first.items() if piece.startswith(prefix) and piece != prefix}
        codes = code_points("".join(f"{piece}\0" for piece in (*first, *rest)))
        roots = np.repeat([_FIRST, _REST], [len(first), len(rest)])
        self._grow(codes, roots, np.array([*first.values(), *rest.values()], np.int64))

    def _grow(self, codes: np.ndarray, nodes: np.ndarray, numbers: np.ndarray) -> None:
        """Make `children`, node and character -> node, and `pieces`, the id of the piece that ends at a node or -1."""
        begins, ends = word_bounds(codes)
        self.children = WordTable()
        self.pieces = np.full(len(codes) + _REST + 1, -1, np.int64)
        last, depth, left = _REST, 0, np.arange(len(nodes))
        while len(left):
            edges, which = np.unique(self._edges(nodes[left], codes[begins[left] + depth]), return_inverse=True)
            nodes[left] = last + 1 + which
            self.children.insert((edges, np.zeros_like(edges)), np.arange(last + 1, last + 1 + len(edges)))
            last, depth = last + len(edges), depth + 1
            ended = begins[left] + depth == ends[left]
            self.pieces[nodes[left[ended]]] = numbers[left[ended]]
            left = left[~ended]
        self.pieces = self.pieces[: last + 1].copy()

    @staticmethod
    def _edges(nodes: np.ndarray, codes: np.ndarray) -> np.ndarray:
        return (nodes.astype(np.int64) << _CODE_BITS | codes).view(np.uint64)

    def cut(self, codes: np.ndarray, words: np.ndarray) -> Found:
        """Cut words of characters that the tokenizer neither removes nor splits off.

        Args:
            codes: int64 [n]: the code points of W words, NUL after each.
            words: int64 [K]: which of them to cut.

        Returns:
            The word and the id of each piece (int64 [pieces]); the pieces of a word in their order, those of others
            among them.
        """
        begins, ends = word_bounds(codes)
        long = ends[words] - begins[words] > self.longest_word
        lost, left = [words[long]], words[~long]
        found: list[Found] = []
        places, nodes = begins[left], np.full(len(left), _FIRST)
        best, best_ends = np.full(len(left), -1), places
        while len(left):
            edges = self._edges(nodes, codes[places])
            nodes = self.children.find((edges, np.zeros_like(edges)))
            places = places + 1
            pieces = self.pieces[nodes]
            best, best_ends = np.where(pieces < 0, best, pieces), np.where(pieces < 0, best_ends, places)
            stopped = np.flatnonzero(nodes == 0)
            if not len(stopped):
                continue
            known = best[stopped] >= 0
            lost.append(left[stopped[~known]])
            again = stopped[known]
            found.append((left[again], best[again]))
            places[again], nodes[again], best[again] = best_ends[again], _REST, -1
            kept = nodes != 0
            kept[again] = places[again] < ends[left[again]]
            left, places, nodes, best, best_ends = (one[kept] for one in (left, places, nodes, best, best_ends))
        return self._without(np.concatenate(lost), found, len(ends))

    def _without(self, lost: np.ndarray, found: list[Found], words: int) -> Found:
        """Replace what was found of lost words by one unknown piece each."""
        owners = np.concatenate([np.zeros(0, np.int64), *(one for one, _ in found)])
        ids = np.concatenate([np.zeros(0, np.int64), *(one for _, one in found)])
        is_lost = np.zeros(words, bool)
        is_lost[lost] = True
        kept = ~is_lost[owners]
        return np.concatenate([owners[kept], lost]), np.concatenate([ids[kept], np.full(len(lost), self.unknown)])


def code_points(text: str) -> np.ndarray:
    """The code points of a text, int64."""
    return np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.int64)


def word_bounds(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First places and ends (int64 [W]) of words with NUL after each."""
    ends = np.flatnonzero(codes == 0)
    return np.concatenate([[0], ends[:-1] + 1])[: len(ends)], ends

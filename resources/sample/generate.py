"""Write the bundled sample (or, with --check, compare what stands here with what would be written)."""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from dumps import wiki
from lexicon import LANGUAGES, Lexicon
from tasks import SIZES, panx, tatoeba, udpos, xnli

from polyticket.core.files import written_beside

HERE = Path(__file__).resolve().parent


def build() -> dict[str, bytes]:
    """All files of the sample, by their path below the sample's folder."""
    english, *others = lexicons = [Lexicon(lang, HERE / "lexicon") for lang in LANGUAGES]
    texts: dict[str, str] = {}
    files: dict[str, bytes] = {}
    counts: dict[str, Any] = {}
    for lexicon in lexicons:
        dump, pages = wiki(lexicon)
        files |= dump
        counts[lexicon.lang] = {"wiki": pages} | dict.fromkeys(("panx", "udpos", "xnli"), SIZES)
        texts |= panx(lexicon) | udpos(lexicon) | xnli(lexicon)
    for lexicon in others:
        pair = tatoeba(lexicon, english)
        texts |= pair
        counts[lexicon.lang]["tatoeba"] = len(next(iter(pair.values())).splitlines())
    files |= {path: text.encode() for path, text in texts.items()}
    digests = {path: hashlib.sha256(files[path]).hexdigest() for path in sorted(files)}
    manifest = json.dumps({"languages": counts, "sha256": digests}, ensure_ascii=False, indent=2) + "\n"
    return files | {"manifest.json": manifest.encode()}


def main() -> None:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if a file differs")
    parser.add_argument("--out", type=Path, default=HERE, help="the folder to write to (default: here)")
    options = parser.parse_args()
    files = build()
    differing = [p for p in files if not (options.out / p).is_file() or (options.out / p).read_bytes() != files[p]]
    for path in differing:
        if options.check:
            print(f"{path}: differs from what generate.py writes", file=sys.stderr)
        else:
            with written_beside(options.out / path) as place:
                place.write_bytes(files[path])
    if options.check and differing:
        sys.exit(1)


if __name__ == "__main__":
    main()

"""What belongs to a run at a store: its name, its folders, and their end.

Runs may share a store. A folder that a run writes has the run's name in its own, so no two runs write, replace or
remove the same folder, in no order of events.
"""

import re
import secrets
from pathlib import Path

from polyticket.core.files import Pathlike, write_text
from polyticket.core.provenance import digest
from polyticket.store.base import Store, joined
from polyticket.store.folders import Receipt, upload_folder
from polyticket.store.manifest import MANIFEST, manifest_digest, scan_folder

OWNER = ".store-owner"


def owner_of(results: Pathlike) -> str:
    """The name of the run whose results stand in a folder, as a store has it: 16 hexadecimal digits.

    A random text is kept in the folder. The name is made of it and of the time at which the file system last changed
    that file's entry, which no copy has in common with it: a folder that is moved within its file system stays the same
    run, on whatever host it is seen, and a copy is another run.
    """
    path = Path(results) / OWNER
    if not path.is_file() or path.is_symlink() or path.stat().st_nlink > 1:  # a copy may be made of links, too
        write_text(path, secrets.token_hex(16) + "\n")
    return digest([path.read_bytes().hex(), path.stat().st_ctime_ns])


def upload_owned(store: Store, local_folder: Pathlike, stem: str, owner: str) -> Receipt:
    """Upload a folder under a name of its own, `stem-<content>-<owner>`; then remove what the run had there before.

    Args:
        store: Where to.
        local_folder: The folder to send.
        stem: What the folder's name in the store begins with, for example `variants/small/initial`.
        owner: From `owner_of`.

    Raises:
        PolyticketError: As `upload_folder`.
    """
    name = f"{stem}-{manifest_digest(scan_folder(local_folder))[:16]}-{owner}"
    receipt = upload_folder(store, local_folder, name)
    delete_superseded(store, stem, owner, kept=name)
    return receipt


def delete_superseded(store: Store, stem: str, owner: str, *, kept: str) -> None:
    """Remove all folders `stem-<16 digits>-<owner>` but one, complete or not; their manifests go first."""
    own = re.compile(rf"{re.escape(joined(stem))}-[0-9a-f]{{16}}-{re.escape(owner)}/")
    names = [name for name in store.names(f"{joined(stem)}-") if own.match(name) and not name.startswith(f"{kept}/")]
    for name in sorted(names, key=lambda name: name.rpartition("/")[2] != MANIFEST):
        store.delete(name)

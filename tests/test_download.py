"""Dumps from a server: what is asked for, what comes, what is kept when it fails."""

import fcntl
import hashlib
import json
import random
import runpy
import shutil
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from polyticket import __version__
from polyticket.core.errors import PolyticketError
from polyticket.core.files import write_json
from polyticket.dumps.download import download_dumps, parse_sums
from polyticket.dumps.dump import dump_files
from polyticket.dumps.http import CHUNK, Patience
from polyticket.dumps.sources import (
    WIKIMEDIA,
    WIKIMEDIA_EXPORTS,
    check_once,
    database_prefix,
    is_url,
    local_dumps,
    natural_order,
    sums_url_of,
    url_of,
)
from tests.support.dump_server import DumpServer, Fault

ROOT = Path(__file__).resolve().parents[1]
QUICK = Patience(tries=3, pause=0.001, longest=0.01, timeout=(5.0, 5.0))
SIZE = 300_000
BODY = random.Random(0).randbytes(SIZE)
OTHER = random.Random(1).randbytes(SIZE)
FOLDER = "/swwiki/20251101"
NAME = "swwiki-20251101-pages-articles-multistream.xml.bz2"
FILE = f"{FOLDER}/{NAME}"
SUMS = f"{FOLDER}/swwiki-20251101-sha1sums.txt"
KEPT = 2 * CHUNK
"""What is on the disk of 150 000 bytes before a cut: whole pieces."""


def digest(data, algorithm="sha1"):
    return hashlib.new(algorithm, data).hexdigest()


def sums_of(files, algorithm="sha1"):
    return "".join(f"{digest(data, algorithm)}  {name}\n" for name, data in files.items()).encode()


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.fixture
def server():
    with DumpServer({FILE: BODY, SUMS: sums_of({NAME: BODY, "swwiki-20251101-page.sql.gz": b""})}) as one:
        yield one


def download(server, folder, pattern="{lang}wiki-{date}-pages-articles-multistream.xml.bz2", **options):
    given = {"lang": "sw", "date": "20251101", "patience": QUICK} | options
    return download_dumps(f"{server.url}/{{lang}}wiki/{{date}}/{pattern}", folder, **given)


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_dump_comes_whole_with_its_receipt(server, tmp_path):
    receipt = download(server, tmp_path, contact="keeper@example.org")
    assert (tmp_path / NAME).read_bytes() == BODY
    assert names(tmp_path) == [NAME]
    assert receipt == {
        "lang": "sw",
        "date": "20251101",
        "url": f"{server.url}{FILE}",
        "sums": f"{server.url}{SUMS}",
        "folder": str(tmp_path),
        "files": [{"name": NAME, "url": f"{server.url}{FILE}", "bytes": SIZE, "sha1": digest(BODY)}],
    }
    assert [(one.method, one.path) for one in server.asked] == [("GET", SUMS), ("HEAD", FILE), ("GET", FILE)]
    agent = f"polyticket/{__version__} (keeper@example.org) python-requests/{requests.__version__}"
    assert {one.agent for one in server.asked} == {agent}


def test_progress_counts_bytes(server, tmp_path, caplog):
    caplog.set_level("INFO", "polyticket")
    server.faults[FILE] = [Fault(cut=150_000)]
    download(server, tmp_path)
    lines = [line for line in caplog.messages if line.startswith("download sw: ")]
    assert len(lines) == 1
    assert lines[0].startswith("download sw: 300,000/300,000 bytes, ")
    assert lines[0].endswith(" bytes/s")


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_parts_are_found_in_the_sums_and_come_in_natural_order(tmp_path, algorithm):
    stem = "enwiki-20251101-pages-articles"
    parts = {f"{stem}-multistream{n}.xml-p{a}p{b}.bz2": b"%d" % n for n, a, b in [(10, 50, 60), (2, 9, 49), (1, 1, 8)]}
    others = [f"{stem}.xml.bz2", f"{stem}-multistream.xml.bz2", f"{stem}-multistream-index1.txt-p1p8.bz2"]
    listed = parts | dict.fromkeys(others, b"")
    files = {f"/enwiki/20251101/{name}": data for name, data in parts.items()}
    with DumpServer(files | {"/enwiki/sums": sums_of(listed, algorithm)}) as server:
        pattern = "{lang}wiki-{date}-pages-articles-multistream[0-9]*.xml-p*.bz2"
        receipt = download(server, tmp_path, pattern, lang="en", sums_url=f"{server.url}/{{lang}}wiki/sums")
    wanted = [f"{stem}-multistream{part}.bz2" for part in ("1.xml-p1p8", "2.xml-p9p49", "10.xml-p50p60")]
    assert [file["name"] for file in receipt["files"]] == wanted
    assert [file[algorithm] for file in receipt["files"]] == [digest(parts[name], algorithm) for name in wanted]
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.bz2")} == parts


def test_content_file_exports_come_by_their_own_layout(tmp_path):
    folder = "/other/mediawiki_content_current/be_x_oldwiki/2026-06-01/xml/bzip2"
    parts = {f"be_x_oldwiki-2026-06-01-p{pages}.xml.bz2": pages.encode() for pages in ("5p516", "517p9000")}
    files = {f"{folder}/{name}": data for name, data in parts.items()}
    with DumpServer(files | {f"{folder}/SHA256SUMS": sums_of(parts, "sha256")}) as server:
        pattern = WIKIMEDIA_EXPORTS.replace("https://dumps.wikimedia.org", server.url)
        receipt = download_dumps(pattern, tmp_path, lang="be-tarask", date="2026-06-01", patience=QUICK)
    assert [file["name"] for file in receipt["files"]] == list(parts)
    assert names(tmp_path) == sorted(parts)


def test_a_cut_download_goes_on_where_it_was(server, tmp_path):
    server.faults[FILE] = [Fault(cut=150_000), Fault(cut=100_000)]
    download(server, tmp_path)
    assert (tmp_path / NAME).read_bytes() == BODY
    assert names(tmp_path) == [NAME]
    second = KEPT + CHUNK
    assert server.gets(FILE) == [
        (None, 150_000),
        (f"bytes={KEPT}-", 100_000),
        (f"bytes={second}-", SIZE - second),
    ]


def test_failures_count_in_a_row_so_that_many_cuts_do_no_harm(server, tmp_path):
    server.faults[FILE] = [Fault(cut=CHUNK + 1) for _ in range(4)]
    download(server, tmp_path, patience=Patience(tries=2, pause=0.0))
    assert (tmp_path / NAME).read_bytes() == BODY
    assert [asked for asked, _ in server.gets(FILE)] == [None, *(f"bytes={n * CHUNK}-" for n in range(1, 5))]


def test_what_a_killed_run_has_brought_is_not_sent_again(server, tmp_path):
    server.faults[FILE] = [Fault(cut=200_000, hang=threading.Event())]
    code = (
        "import sys; from polyticket.dumps.download import download_dumps;"
        "download_dumps(sys.argv[1], sys.argv[2], lang='sw', date='20251101')"
    )
    command = [sys.executable, "-c", code, f"{server.url}{FILE}", str(tmp_path)]
    part = tmp_path / f"{NAME}.part"
    with subprocess.Popen(command) as run:
        deadline = time.monotonic() + 30
        while not (part.is_file() and part.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        run.kill()
    had = part.stat().st_size
    assert 0 < had <= 200_000
    assert not (tmp_path / NAME).exists()
    download(server, tmp_path)
    assert (tmp_path / NAME).read_bytes() == BODY
    assert server.gets(FILE)[1:] == [(f"bytes={had}-", SIZE - had)]


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.ranges = False
    server.faults[FILE] = [Fault(cut=150_000)]
    download(server, tmp_path)
    assert (tmp_path / NAME).read_bytes() == BODY
    assert server.gets(FILE) == [(None, 150_000), (f"bytes={KEPT}-", SIZE)]


def test_a_server_without_ranges_that_always_cuts_is_given_up(server, tmp_path):
    server.ranges = False
    server.faults[FILE] = [Fault(cut=150_000) for _ in range(9)]
    with pytest.raises(PolyticketError, match="given up after 3 failures in a row"):
        download(server, tmp_path)
    assert [sent for _, sent in server.gets(FILE)] == [150_000] * 3
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize(("tags", "dates", "asked"), [(False, True, f"bytes={KEPT}-"), (False, False, None)])
def test_only_a_known_version_is_continued(server, tmp_path, tags, dates, asked):
    server.tags, server.dates = tags, dates
    server.faults[FILE] = [Fault(cut=150_000)]
    download(server, tmp_path)
    assert (tmp_path / NAME).read_bytes() == BODY
    assert [one for one, _ in server.gets(FILE)] == [None, asked]


def test_a_weak_tag_is_not_taken_for_a_version(server, tmp_path):
    server.faults[FILE] = [Fault(cut=150_000, headers={"ETag": 'W/"1"'})]
    download(server, tmp_path)
    assert server.gets(FILE)[1] == (f"bytes={KEPT}-", SIZE - KEPT)  # by its Last-Modified


def test_a_file_that_changes_between_two_tries_is_not_mixed(server, tmp_path):
    def change():
        server.files.update({FILE: OTHER, SUMS: sums_of({NAME: OTHER})})

    server.faults[FILE] = [Fault(cut=150_000, then=change), *(Fault(status=500) for _ in range(3))]
    with pytest.raises(PolyticketError, match="500"):
        download(server, tmp_path)
    assert names(tmp_path) == [f"{NAME}.part", f"{NAME}.part.json"]
    download(server, tmp_path)
    assert (tmp_path / NAME).read_bytes() == OTHER
    assert names(tmp_path) == [NAME]
    assert server.gets(FILE)[-1] == (f"bytes={KEPT}-", SIZE)


def test_a_file_that_got_shorter_begins_anew(server, tmp_path):
    server.tags = False  # so that the server takes it for the same
    (tmp_path / f"{NAME}.part").write_bytes(OTHER)
    note = {"url": f"{server.url}{FILE}", "version": "Sat, 01 Nov 2025 03:04:05 GMT", "bytes": SIZE + 1}
    write_json(tmp_path / f"{NAME}.part.json", note)
    download(server, tmp_path)
    assert (tmp_path / NAME).read_bytes() == BODY
    assert server.gets(FILE) == [(f"bytes={SIZE}-", 0), (None, SIZE)]


@pytest.mark.parametrize("note", [None, "{", '{"url": "http://elsewhere/", "version": "1", "bytes": 300000}'])
def test_a_partial_file_of_unknown_origin_is_not_continued(server, tmp_path, note):
    (tmp_path / f"{NAME}.part").write_bytes(OTHER[:1000])
    if note:
        (tmp_path / f"{NAME}.part.json").write_text(note)
    download(server, tmp_path)
    assert (tmp_path / NAME).read_bytes() == BODY
    assert server.gets(FILE) == [(None, SIZE)]


def test_a_wrong_checksum_is_fetched_once_more(server, tmp_path):
    server.faults[FILE] = [Fault(body=OTHER)]
    download(server, tmp_path)
    assert (tmp_path / NAME).read_bytes() == BODY
    assert server.gets(FILE) == [(None, SIZE), (None, SIZE)]


def test_a_checksum_that_stays_wrong_ends_with_both_digests(server, tmp_path):
    server.faults[FILE] = [Fault(body=OTHER) for _ in range(9)]
    with pytest.raises(PolyticketError) as error:
        download(server, tmp_path)
    assert str(error.value) == (
        f"{NAME}: sha1 {digest(OTHER)} of {server.url}{FILE}; expected the published {digest(BODY)}; it was wrong twice"
    )
    assert len(server.gets(FILE)) == 2
    assert names(tmp_path) == []


def test_a_whole_file_is_not_fetched_again_and_a_wrong_one_is(server, tmp_path):
    first = download(server, tmp_path)
    server.asked.clear()
    assert download(server, tmp_path) == first
    assert [(one.method, one.path) for one in server.asked] == [("GET", SUMS)]
    (tmp_path / NAME).write_bytes(OTHER)
    assert download(server, tmp_path) == first
    assert (tmp_path / NAME).read_bytes() == BODY


@pytest.mark.parametrize(("status", "said"), [(503, "1"), (429, "date")])
def test_the_server_is_given_the_time_it_asks_for(server, tmp_path, status, said):
    began = time.time()
    # A date has whole seconds: from one to two from now.
    after = said if said == "1" else formatdate(began + 2, usegmt=True)
    server.faults[FILE] = [Fault(status=status, headers={"Retry-After": after})]
    download(server, tmp_path)
    assert time.time() - began >= 0.99
    assert (tmp_path / NAME).read_bytes() == BODY


def test_the_pauses_double(server, tmp_path, caplog):
    server.faults[FILE] = [Fault(status=502) for _ in range(3)]
    download(server, tmp_path, patience=Patience(tries=4, pause=0.01, longest=0.03))
    where = f"{server.url}{FILE}: the server answers 502 Bad Gateway; again in"
    assert warnings(caplog) == [f"{where} {seconds} s" for seconds in ("0.01", "0.02", "0.03")]


def test_a_server_that_stays_away_is_given_up(tmp_path):
    with DumpServer({}) as server:
        pass
    with pytest.raises(PolyticketError, match=r"sha1sums\.txt: given up after 3 failures in a row: .*refused"):
        download(server, tmp_path)


def test_a_length_that_never_comes_is_an_error_and_no_file(server, tmp_path):
    server.claimed[FILE] = SIZE + 1000
    with pytest.raises(PolyticketError, match=f"{FILE}: given up after 3 failures in a row"):
        download(server, tmp_path)
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize("pattern", ["{lang}wiki-{date}-pages-articles-multistream.xml.bz2", "{lang}wiki-{date}-*.bz2"])
def test_no_such_dump_says_what_to_do(server, tmp_path, pattern):
    missing = pattern.replace("{lang}", "xx").replace("{date}", "20251101")
    asked = missing if "*" not in missing else "xxwiki-20251101-sha1sums.txt"
    with pytest.raises(PolyticketError) as error:
        download(server, tmp_path, pattern, lang="xx")
    assert str(error.value) == (
        f"no dump of 'xx' at {server.url}/xxwiki/20251101/{asked}; expected a language and date whose dump is "
        "finished, see https://dumps.wikimedia.org/backup-index.html"
    )


def test_a_listed_file_that_is_missing_says_so(server, tmp_path):
    del server.files[FILE]
    with pytest.raises(PolyticketError, match=f"^no dump of 'sw' at {server.url}{FILE}; expected a language"):
        download(server, tmp_path)


@pytest.mark.parametrize("listed", [b"", sums_of({"swwiki-20251101-pages-articles.xml.bz2": b""})])
def test_an_unfinished_dump_is_not_listed(server, tmp_path, listed):
    server.files[SUMS] = listed
    with pytest.raises(PolyticketError, match=f"{SUMS}: {NAME} matches none of {bool(listed):d} names"):
        download(server, tmp_path)


def test_missing_sums_are_an_error_unless_none_are_required(server, tmp_path, caplog):
    del server.files[SUMS]
    with pytest.raises(PolyticketError, match=f"{FILE}: no checksums at {server.url}{SUMS}; expected the URL of"):
        download(server, tmp_path)
    receipt = download(server, tmp_path, require_sums=False)
    assert receipt["sums"] is None
    assert receipt["files"] == [
        {"name": NAME, "url": f"{server.url}{FILE}", "bytes": SIZE, "sha256": digest(BODY, "sha256")}
    ]
    assert warnings(caplog) == [f"{server.url}{FILE}: no checksums are published; only its length is checked"]
    assert download(server, tmp_path, require_sums=False) == receipt
    assert len(server.gets(FILE)) == 1
    with pytest.raises(PolyticketError, match="no dump of 'sw'"):
        download(server, tmp_path, "*.bz2", require_sums=False, sums_url=f"{server.url}/none")


def test_too_little_space_is_said_before_the_first_byte(server, tmp_path):
    server.claimed[FILE] = 10**18
    with pytest.raises(PolyticketError) as error:
        download(server, tmp_path)
    assert str(error.value).startswith(f"{tmp_path}: too little space: 1,000,000,000,000,000,000 bytes are needed, ")
    free = int(str(error.value).split("needed, ")[1].split(" ")[0].replace(",", ""))
    assert free == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.2)
    assert server.gets(FILE) == []


@pytest.mark.parametrize("name", ["../evil.xml.bz2", "a/evil.xml.bz2", "..\\evil.xml.bz2", ".hidden.xml.bz2"])
def test_names_stay_in_the_folder(server, tmp_path, name):
    server.files[SUMS] = sums_of({name: BODY})
    with pytest.raises(PolyticketError, match="refused file name"):
        download(server, tmp_path / "in", "*.xml.bz2", sums_url=f"{server.url}{SUMS}")
    assert names(tmp_path / "in") == []
    assert names(tmp_path) == ["in"]


def test_a_pattern_of_whole_and_parts_is_refused(server, tmp_path):
    part = "swwiki-20251101-pages-articles-multistream1.xml-p1p9.bz2"
    server.files[SUMS] = sums_of({NAME: BODY, part: b""})
    with pytest.raises(PolyticketError, match=f"{part} and {NAME} hold the same articles"):
        download(server, tmp_path, "{lang}wiki-{date}-pages-articles-*.bz2")


def test_redirects_lead_to_http_only(server, tmp_path):
    server.files["/mirror"] = BODY
    server.faults[FILE] = [Fault(status=302, headers={"Location": "/mirror"})]
    download(server, tmp_path)
    assert (tmp_path / NAME).read_bytes() == BODY
    server.faults[FILE] = [Fault(status=302, headers={"Location": "ftp://127.0.0.1/x"})]
    with pytest.raises(PolyticketError, match=f"{FILE}: cannot be fetched: No connection adapters .*ftp"):
        download(server, tmp_path / "other")


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (Fault(status=403), "403 Forbidden; Wikimedia refuses requests without a contact"),
        (Fault(headers={"Content-Encoding": "gzip"}), "the server compresses the file on the way"),
    ],
)
def test_what_no_patience_helps_is_not_tried_again(server, tmp_path, fault, what):
    server.faults[FILE] = [fault]
    with pytest.raises(PolyticketError, match=what):
        download(server, tmp_path)
    assert len(server.gets(FILE)) == 1


@pytest.mark.parametrize("connections", [1, 2])
def test_no_more_files_come_at_once_than_allowed(tmp_path, connections):
    parts = {f"p{number}.xml.bz2": b"%d" % number for number in range(5)}
    files = {f"/swwiki/20251101/{name}": data for name, data in parts.items()}
    with DumpServer(files | {"/sums": sums_of(parts)}) as server:
        server.slow = 0.05
        download(server, tmp_path, "p*", sums_url=f"{server.url}/sums", connections=connections)
        assert server.busiest == connections
    assert {path.name: path.read_bytes() for path in tmp_path.glob("p*")} == parts


def test_a_failing_file_stops_the_others_which_keep_what_has_come(tmp_path):
    parts = {f"p{number}.xml.bz2": BODY for number in range(4)}
    files = {f"/swwiki/20251101/{name}": data for name, data in parts.items()}
    part, free = tmp_path / "p1.xml.bz2.part", threading.Event()

    def until_it_has_come():
        deadline = time.monotonic() + 10
        while not (part.is_file() and part.stat().st_size == KEPT) and time.monotonic() < deadline:
            time.sleep(0.001)

    with DumpServer(files | {"/sums": sums_of(parts)}) as server:
        server.faults["/swwiki/20251101/p0.xml.bz2"] = [Fault(status=403, first=until_it_has_come, then=free.set)]
        server.faults["/swwiki/20251101/p1.xml.bz2"] = [Fault(cut=150_000, hang=free)]
        patience = Patience(pause=30.0)  # which ends when the other fails
        with pytest.raises(PolyticketError, match=r"p0\.xml\.bz2: the server answers 403"):
            download(server, tmp_path, "p*", sums_url=f"{server.url}/sums", connections=2, patience=patience)
        assert {name: len(server.gets(f"/swwiki/20251101/{name}")) for name in parts} == dict(
            zip(parts, (1, 1, 0, 0), strict=True)
        )
    assert names(tmp_path) == ["p1.xml.bz2.part", "p1.xml.bz2.part.json"]
    assert part.read_bytes() == BODY[:KEPT]


def test_one_process_at_a_time(server, tmp_path):
    with (tmp_path / ".sw.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(PolyticketError, match="another process downloads into it"):
            download(server, tmp_path)
    download(server, tmp_path)


@pytest.mark.parametrize(("options", "what"), [({"contact": "a\nb"}, "bad contact"), ({"connections": 0}, "is 0")])
def test_bad_options_are_refused(server, tmp_path, options, what):
    with pytest.raises(PolyticketError, match=what):
        download(server, tmp_path, **options)
    assert server.asked == []


def test_sums_are_read_as_their_tools_write_them():
    one, two = "a" * 40, "B" * 32
    assert parse_sums(f"{one}  x y.bz2\n\n{two} *z.bz2\r\n", "u") == {"x y.bz2": one, "z.bz2": "b" * 32}
    with pytest.raises(PolyticketError, match=r"^u:2: not a checksum: '<html>'; expected digest name"):
        parse_sums(f"{one}  x\n<html>\n", "u")
    with pytest.raises(PolyticketError, match=r"^u:2: two digests of 'x'; expected one"):
        parse_sums(f"{one}  x\n{'c' * 40}  x\n", "u")


def test_the_script_writes_the_receipt_and_its_files_are_found_again(server, tmp_path):
    options = {"pattern": f"{server.url}{FOLDER}/{NAME}", "date": "20251101", "sums_url": f"{server.url}{SUMS}"}
    job = SimpleNamespace(
        log=[str(tmp_path / "log")],
        output=SimpleNamespace(receipt=str(tmp_path / "receipt.json")),
        params=SimpleNamespace(folder=str(tmp_path / "dumps"), options=options),
        wildcards=SimpleNamespace(lang="sw"),
        resources=SimpleNamespace(contact=""),
        threads=2,
    )
    runpy.run_path(str(ROOT / "workflow/scripts/download_dumps.py"), {"snakemake": job}, run_name="__main__")
    assert json.loads((tmp_path / "receipt.json").read_text())["files"][0]["sha1"] == digest(BODY)
    assert dump_files([tmp_path / "receipt.json"]) == [str(tmp_path / "dumps" / NAME)]


@pytest.mark.parametrize(
    ("lang", "prefix"), [("fr", "fr"), ("zh-min-nan", "zh_min_nan"), ("be-tarask", "be_x_old"), ("nb", "no")]
)
def test_the_database_of_a_language(lang, prefix):
    assert database_prefix(lang) == prefix


def test_wikimedia_urls():
    base = "https://dumps.wikimedia.org"
    assert url_of(WIKIMEDIA, "zh-yue", "20251101") == (
        f"{base}/zh_yuewiki/20251101/zh_yuewiki-20251101-pages-articles-multistream.xml.bz2"
    )
    assert sums_url_of(WIKIMEDIA, "yue", "20251101") == f"{base}/zh_yuewiki/20251101/zh_yuewiki-20251101-sha1sums.txt"
    assert sums_url_of(WIKIMEDIA_EXPORTS, "sw", "2026-06-01") == (
        f"{base}/other/mediawiki_content_current/swwiki/2026-06-01/xml/bzip2/SHA256SUMS"
    )
    assert sums_url_of("https://example.org/{lang}.xml.bz2", "sw", None) is None
    assert is_url(WIKIMEDIA)
    assert is_url("ftp://example.org/x")
    assert not is_url("/data/wiki/{lang}/*.xml.bz2")


@pytest.mark.parametrize(
    ("pattern", "date", "what"),
    [
        (WIKIMEDIA, None, "no date is given; expected YYYYMMDD"),
        (WIKIMEDIA, "latest", "bad date 'latest'"),
        ("ftp://example.org/x.bz2", None, "unknown scheme ftp"),
        ("file:///etc/passwd", None, "unknown scheme file"),
        ("https://me:secret@example.org/x.bz2", None, "bad host"),
        ("https:///x.bz2", None, "bad host ''"),
        ("https://example.org/{wiki}/x.bz2", None, "an unknown placeholder or character"),
        ("https://example.org/*/x.bz2", None, "glob characters before the last slash"),
        ("https://example.org/x/", None, "no file name"),
        ("https://example.org/..", None, "a file name that begins with a dot"),
    ],
)
def test_bad_urls_are_refused(pattern, date, what):
    with pytest.raises(PolyticketError, match=what):
        url_of(pattern, "sw", date)


@pytest.mark.parametrize("lang", ["../x", "FR", "", "a-"])
def test_bad_languages_are_refused(lang):
    with pytest.raises(PolyticketError, match="bad language code"):
        url_of(WIKIMEDIA, lang, "20251101")


def test_published_fault_part_ten_comes_after_part_two(tmp_path):
    ordered = ["w-articles1.xml-p1p9.bz2", "w-articles2.xml-p10p99.bz2", "w-articles10.xml-p100p200.bz2", "w.xml"]
    for name in (*ordered, "w.xml.part", "w.xml.part.json"):
        (tmp_path / name).touch()
    assert local_dumps(f"{tmp_path}/*") == [f"{tmp_path}/{name}" for name in ordered]
    assert local_dumps(f"{tmp_path}/none*") == []
    assert natural_order(["1a", "a1", "01", "1"]) == ["01", "1", "1a", "a1"]


@pytest.mark.parametrize(
    "twice",
    [
        ("enwiki-20251101-pages-articles.xml.bz2", "enwiki-20251101-pages-articles-multistream.xml.bz2"),
        ("enwiki-20251101-pages-articles.xml.bz2", "enwiki-20251101-pages-articles1.xml-p1p41242.bz2"),
        ("enwiki-20251101-pages-articles.xml.bz2", "enwiki-20251201-pages-articles.xml.bz2"),
        ("enwiki-20251101-pages-articles.xml", "enwiki-20251101-pages-articles.xml.bz2"),
        ("enwiki-2026-05-01-p1p9.xml.bz2", "enwiki-2026-06-01-p1p9.xml.bz2"),
        ("enwiki-latest-pages-articles.xml.bz2", "enwiki-latest-pages-articles-multistream.xml.bz2"),
        ("enwiki-20251101-pages-articles.xml.bz2", "enwiki-20251101-pages-meta-current.xml.bz2"),
        ("enwiki-20251101-pages-articles.xml.bz2", "enwiki-20251101-pages-articles (1).xml.bz2"),
        ("enwiki-20251101-pages-articles (1).xml.bz2", "enwiki-20251101-pages-articles (2).xml.bz2"),
        ("enwiki-latest-pages-articles (1).xml.bz2", "enwiki-latest-pages-articles-multistream.xml.bz2"),
        ("enwiki-20251101-pages-articles1.xml-p1p200.bz2", "enwiki-20251101-pages-articles2.xml-p1p100.bz2"),
        ("a/enwiki-latest-pages-articles.xml.bz2", "b/enwiki-latest-pages-articles.xml.bz2"),
        ("mine.xml.bz2", "mine (1).xml.bz2"),
        ("mine.xml.bz2", "mine.xml(1).bz2"),
        ("mine.xml.bz2", "mine copy.xml.bz2"),
        ("mine.xml", "mine.xml.bz2"),
        ("mine (1).xml", "mine (1).xml.bz2"),
        ("mine.xml.gz", "mine.xml.bz2"),
        ("mine.xml-p1p200", "mine.xml-p1p100"),
    ],
)
def test_local_dumps_that_hold_articles_twice_are_refused(tmp_path, twice):
    for name in twice:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(PolyticketError, match="hold the same articles"):
        local_dumps(f"{tmp_path}/*" if "/" not in twice[0] else f"{tmp_path}/*/*")
    assert local_dumps(f"{tmp_path}/{twice[0]}") == [f"{tmp_path}/{twice[0]}"]


@pytest.mark.parametrize(
    "names",
    [
        ("enwiki-20251101-pages-articles1.xml-p1p100.bz2", "enwiki-20251101-pages-articles2.xml-p101p200.bz2"),
        ("enwiki-20251101-pages-articles.xml.bz2", "frwiki-20251201-pages-articles.xml.bz2"),
        ("a1.xml.bz2", "a2.xml.bz2"),
        ("mine (1).xml", "mine (2).xml"),
        ("a/mine.xml", "b/mine.xml.bz2"),
        ("a-p1p100.xml", "b-p1p200.xml"),
    ],
)
def test_dumps_whose_names_only_look_alike_are_read(names):
    check_once(names, where="here")


def test_a_file_and_a_link_to_it_are_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.xml").touch()
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(PolyticketError, match=r"a/x\.xml and .*b/x\.xml hold the same articles"):
        local_dumps(f"{tmp_path}/*/x.xml")

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeret.data import download
from aeret.data import fetch as fetch_module
from aeret.data.download import Patience
from aeret.data.fetch import fetch, unzip
from aeret.data.manifest import Manifest, load_manifest
from aeret.errors import DataError, ResourceError, RunError
from aeret.rng import generator

QUICK = Patience(attempts=3, first_wait=0.0, timeout=5.0)


@dataclass
class Behaviour:
    """What the server does with one file."""

    body: bytes
    etag: str = '"v1"'
    break_after: list[int] = field(default_factory=list)
    """For each of the first requests, bytes of the answer after which the connection is cut."""
    statuses: list[int] = field(default_factory=list)
    """For each of the first requests, a status to answer instead."""
    ignore_range: bool = False
    claim: int | None = None
    """Content-Length to claim."""
    retry_after: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    files: dict[str, Behaviour]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        does = self.server.files.get(self.path)
        if does is None:
            self.send_error(404)
            return
        does.requests.append(dict(self.headers))
        if does.statuses:
            self.send_response(does.statuses.pop(0))
            if does.retry_after:
                self.send_header("Retry-After", does.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start, total = 0, len(does.body)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", does.etag) == does.etag
        if asked and same and not does.ignore_range:
            start = int(asked[1])
            if start >= total:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{total}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(does.claim if does.claim is not None else total - start))
        self.send_header("ETag", does.etag)
        self.end_headers()
        body = does.body[start:]
        if does.break_after:
            body = body[: does.break_after.pop(0)]
        self.wfile.write(body)
        self.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.files = {}
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(download.time, "sleep", found.append)
    return found


def archive(size: int = 300_000) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as opened:
        opened.writestr("annotations/all.json", json.dumps({"images": []}))
        opened.writestr("images/1.jpg", generator(0, "bytes").integers(0, 256, size, dtype=np.uint8).tobytes())
    return sink.getvalue()


def manifest(folder: Path, server: Server, body: bytes | None = None, **known: Any) -> Manifest:
    """A manifest of one archive, which the server has; ``known`` size and sha256 go into the manifest."""
    if body is not None:
        server.files["/set.zip"] = Behaviour(body)
    item = json.dumps({"url": f"{server.url}/set.zip", **known})
    path = folder / "m.yaml"
    path.write_text(
        "name: m\ndescription: d\nroot: data\nsources:\n  all:\n    photos: images\n"
        "    annotations: annotations/all.json\n"
        f"    urls: [{item}]\nsplits: {{train: all, query: all, gallery: all}}\n"
    )
    return load_manifest(path)


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def assert_complete(loaded: Manifest) -> None:
    assert (loaded.root / "images" / "1.jpg").stat().st_size == 300_000
    assert json.loads((loaded.root / "annotations" / "all.json").read_text()) == {"images": []}
    assert not list(loaded.root.rglob("*.part"))
    assert not (loaded.root / ".fetch" / "set.zip").exists()


def test_fetch_checks_unpacks_and_does_nothing_the_second_time(tmp_path: Path, server: Server) -> None:
    body = archive()
    loaded = manifest(tmp_path, server, body, size=len(body), sha256=sha256(body))
    assert fetch(loaded, patience=QUICK) == ["set.zip"]
    assert_complete(loaded)
    assert fetch(loaded, patience=QUICK) == []
    assert len(server.files["/set.zip"].requests) == 1
    # What a user deleted is fetched again.
    (loaded.root / "annotations" / "all.json").unlink()
    assert fetch(loaded, patience=QUICK) == ["set.zip"]


def test_a_file_two_sources_need_is_fetched_once_and_one_that_is_no_archive_is_put_into_the_root(
    tmp_path: Path, server: Server
) -> None:
    server.files = {"/set.zip": Behaviour(archive()), "/notes.json": Behaviour(b'{"x": 1}')}
    urls = f"[{server.url}/set.zip, {server.url}/notes.json]"
    path = tmp_path / "m.yaml"
    path.write_text(
        "name: m\ndescription: d\nroot: data\nsources:\n"
        f"  a: {{photos: images, annotations: annotations/all.json, urls: {urls}}}\n"
        f"  b: {{photos: images, annotations: notes.json, urls: {urls}}}\n"
        "splits: {train: a, query: b, gallery: b}\n"
    )
    assert fetch(load_manifest(path), patience=QUICK) == ["set.zip", "notes.json"]
    assert (tmp_path / "data" / "notes.json").read_bytes() == b'{"x": 1}'
    assert [len(file.requests) for file in server.files.values()] == [1, 1]


def two_archives(tmp_path: Path, server: Server) -> Manifest:
    """A source whose photos and annotations come in an archive each."""
    for name, member in (("photos.zip", "images/1.jpg"), ("annotations.zip", "annotations/all.json")):
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as opened:
            opened.writestr(member, b"{}")
        server.files[f"/{name}"] = Behaviour(sink.getvalue())
    path = tmp_path / "m.yaml"
    path.write_text(
        "name: m\ndescription: d\nroot: data\nsources:\n  all:\n    photos: images\n"
        "    annotations: annotations/all.json\n"
        f"    urls: [{server.url}/photos.zip, {server.url}/annotations.zip]\n"
        "splits: {train: all, query: all, gallery: all}\n"
    )
    return load_manifest(path)


def test_a_call_that_failed_after_the_first_archive_does_not_fetch_it_again(
    tmp_path: Path, server: Server, waits: list[float]
) -> None:
    loaded = two_archives(tmp_path, server)
    server.files["/annotations.zip"].statuses = [500] * 3
    with pytest.raises(RunError, match="gave up"):
        fetch(loaded, patience=QUICK)
    receipt = loaded.root / ".fetch" / "photos.zip.done.json"
    assert json.loads(receipt.read_text())["brought"] == ["images/1.jpg"]
    assert fetch(loaded, patience=QUICK) == ["annotations.zip"]
    assert fetch(loaded, patience=QUICK) == []
    # What is gone is fetched with the archive that brought it, and with no other.
    (loaded.root / "annotations" / "all.json").unlink()
    assert fetch(loaded, patience=QUICK) == ["annotations.zip"]
    (loaded.root / "images" / "1.jpg").unlink()
    (loaded.root / "images").rmdir()
    assert fetch(loaded, patience=QUICK) == ["photos.zip"]
    assert len(server.files["/photos.zip"].requests) == 2


def test_older_receipts_alone_bring_back_all_that_may_hold_what_is_gone(tmp_path: Path, server: Server) -> None:
    loaded = two_archives(tmp_path, server)
    fetch(loaded, patience=QUICK)
    for receipt in (loaded.root / ".fetch").glob("*.done.json"):
        said = json.loads(receipt.read_text())
        receipt.write_text(json.dumps({key: said[key] for key in ("url", "size", "sha256")}))
    assert fetch(loaded, patience=QUICK) == []
    (loaded.root / "annotations" / "all.json").unlink()
    assert fetch(loaded, patience=QUICK) == ["photos.zip", "annotations.zip"]


def test_an_archive_left_by_a_kill_after_its_receipt_goes(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = manifest(tmp_path, server, archive())

    unlink = Path.unlink

    def killed(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".zip":
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch(loaded, patience=QUICK)
    assert (loaded.root / ".fetch" / "set.zip").exists()
    assert fetch(loaded, patience=QUICK) == []
    assert_complete(loaded)
    assert len(server.files["/set.zip"].requests) == 1


def test_a_broken_connection_is_resumed_with_range_and_if_range(
    tmp_path: Path, server: Server, waits: list[float]
) -> None:
    body = archive()
    loaded = manifest(tmp_path, server, body)
    server.files["/set.zip"].break_after = [100_000, 50_000]
    steps: list[int] = []
    fetch(loaded, recording(steps), QUICK)
    assert_complete(loaded)
    asked = server.files["/set.zip"].requests
    assert [request.get("Range") for request in asked] == [None, "bytes=100000-", "bytes=150000-"]
    assert [request.get("If-Range") for request in asked] == [None, '"v1"', '"v1"']
    assert len(waits) == 2


def recording(steps: list[int]) -> Any:
    from contextlib import contextmanager

    @contextmanager
    def progress(title: str, total: int, unit: str = "item", done: int = 0) -> Iterator[Any]:
        yield steps.append

    return progress


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(tmp_path: Path, server: Server, waits: list[float]) -> None:
    body = archive()
    loaded = manifest(tmp_path, server, body)
    server.files["/set.zip"].break_after = [70_000, 0, 0, 0]
    with pytest.raises(RunError, match=r"after 70,000 of .*gave up after 3 attempts.*70,000 bytes are kept"):
        fetch(loaded, patience=QUICK)
    assert (loaded.root / ".fetch" / "set.zip.part").stat().st_size == 70_000
    server.files["/set.zip"].break_after = []
    fetch(loaded, patience=QUICK)
    assert_complete(loaded)
    assert server.files["/set.zip"].requests[-1]["Range"] == "bytes=70000-"


def test_a_server_that_ignores_range_makes_it_start_over(tmp_path: Path, server: Server, waits: list[float]) -> None:
    body = archive()
    loaded = manifest(tmp_path, server, body, sha256=sha256(body))
    server.files["/set.zip"].break_after = [100_000]
    server.files["/set.zip"].ignore_range = True
    fetch(loaded, patience=QUICK)
    assert_complete(loaded)


def test_a_server_that_ignores_range_and_never_gets_further_is_given_up(
    tmp_path: Path, server: Server, waits: list[float]
) -> None:
    loaded = manifest(tmp_path, server, archive())
    server.files["/set.zip"].break_after = [100, *[50, 60] * 20]
    server.files["/set.zip"].ignore_range = True
    with pytest.raises(RunError, match="gave up after 3 attempts"):
        fetch(loaded, patience=QUICK)
    assert len(server.files["/set.zip"].requests) == 3


def test_a_file_that_changed_meanwhile_is_fetched_anew(tmp_path: Path, server: Server, waits: list[float]) -> None:
    old, new = archive(), archive()[:-5] + b"other"
    loaded = manifest(tmp_path, server, old)
    server.files["/set.zip"].break_after = [100_000, 0, 0]
    with pytest.raises(RunError):
        fetch(loaded, patience=QUICK)
    server.files["/set.zip"] = Behaviour(archive(), etag='"v2"')
    assert new != old
    fetch(loaded, patience=QUICK)
    assert_complete(loaded)
    assert len(server.files["/set.zip"].requests) == 1


def test_without_a_strong_validator_or_sha256_a_part_is_not_built_on(
    tmp_path: Path, server: Server, waits: list[float]
) -> None:
    loaded = manifest(tmp_path, server, archive())
    server.files["/set.zip"].etag = 'W/"weak"'
    server.files["/set.zip"].break_after = [100_000]
    fetch(loaded, patience=QUICK)
    assert_complete(loaded)
    assert [request.get("Range") for request in server.files["/set.zip"].requests] == [None, None]


def test_a_bad_piece_of_an_earlier_day_is_thrown_away_and_fetched_again(tmp_path: Path, server: Server) -> None:
    body = archive()
    loaded = manifest(tmp_path, server, body, sha256=sha256(body))
    (loaded.root / ".fetch").mkdir(parents=True)
    (loaded.root / ".fetch" / "set.zip.part").write_bytes(b"x" * 1000)
    fetch(loaded, patience=QUICK)
    assert_complete(loaded)
    assert [request.get("Range") for request in server.files["/set.zip"].requests] == ["bytes=1000-", None]


def test_a_run_killed_between_the_last_byte_and_the_name_asks_only_whether_more_follows(
    tmp_path: Path, server: Server
) -> None:
    body = archive()
    loaded = manifest(tmp_path, server, body, sha256=sha256(body))
    (loaded.root / ".fetch").mkdir(parents=True)
    (loaded.root / ".fetch" / "set.zip.part").write_bytes(body)
    fetch(loaded, patience=QUICK)
    assert_complete(loaded)
    assert [request.get("Range") for request in server.files["/set.zip"].requests] == [f"bytes={len(body)}-"]


def test_a_part_longer_than_the_file_is_replaced(tmp_path: Path, server: Server, waits: list[float]) -> None:
    body = archive()
    loaded = manifest(tmp_path, server, body, sha256=sha256(body))
    (loaded.root / ".fetch").mkdir(parents=True)
    (loaded.root / ".fetch" / "set.zip.part").write_bytes(b"x" * (len(body) + 9))
    fetch(loaded, patience=QUICK)
    assert_complete(loaded)


def test_wrong_checksum(tmp_path: Path, server: Server) -> None:
    body = archive()
    loaded = manifest(tmp_path, server, body, sha256="0" * 64)
    with pytest.raises(
        DataError, match=rf"sha256 {sha256(body)}\) is not what the manifest says \(sha256 000.*deleted"
    ):
        fetch(loaded, patience=QUICK)
    assert not (loaded.root / "images").exists()
    assert not (loaded.root / ".fetch" / "set.zip.part").exists()


def test_wrong_size(tmp_path: Path, server: Server) -> None:
    body = archive()
    loaded = manifest(tmp_path, server, body, size=len(body) + 1)
    with pytest.raises(DataError, match=f"offers {len(body):,} bytes, the manifest says {len(body) + 1:,}"):
        fetch(loaded, patience=QUICK)


def test_a_length_that_never_arrives(tmp_path: Path, server: Server, waits: list[float]) -> None:
    body = archive()
    loaded = manifest(tmp_path, server, body)
    server.files["/set.zip"].claim = len(body) + 10
    server.files["/set.zip"].ignore_range = True
    with pytest.raises(RunError, match=f"ended after {len(body):,} of {len(body) + 10:,} bytes"):
        fetch(loaded, patience=QUICK)


def test_404_is_final(tmp_path: Path, server: Server, waits: list[float]) -> None:
    loaded = manifest(tmp_path, server)
    with pytest.raises(DataError, match=r"set\.zip: the server answered 404.*check the URL"):
        fetch(loaded, patience=QUICK)
    assert waits == []


def test_503_is_tried_again_after_the_time_the_server_asks_for(
    tmp_path: Path, server: Server, waits: list[float]
) -> None:
    loaded = manifest(tmp_path, server, archive())
    server.files["/set.zip"].statuses = [503, 503]
    server.files["/set.zip"].retry_after = "7"
    fetch(loaded, patience=QUICK)
    assert_complete(loaded)
    assert waits == [7.0, 7.0]


def test_waits_double_and_end(tmp_path: Path, server: Server, waits: list[float]) -> None:
    loaded = manifest(tmp_path, server, archive())
    server.files["/set.zip"].statuses = [500] * 9
    with pytest.raises(RunError, match=r"500.*gave up after 5 attempts"):
        fetch(loaded, patience=Patience(attempts=5, first_wait=1.0, longest_wait=3.0))
    assert waits == [1.0, 2.0, 3.0, 3.0]


def test_no_server(tmp_path: Path, server: Server, waits: list[float]) -> None:
    loaded = manifest(tmp_path, server, archive())
    dead = loaded.model_dump()
    dead["sources"]["all"]["urls"] = ["http://127.0.0.1:9/set.zip"]
    with pytest.raises(RunError, match="no connection"):
        fetch(Manifest.model_validate(dead), patience=QUICK)


def test_room_is_checked_before_the_first_byte(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    body = archive()
    loaded = manifest(tmp_path, server, body, size=10**18)
    with pytest.raises(ResourceError, match=r"GiB are needed to fetch and unpack"):
        fetch(loaded, patience=QUICK)
    assert server.files["/set.zip"].requests == []
    # Where the manifest gives no size, the server's answer does.
    loaded = manifest(tmp_path, server, body)
    monkeypatch.setattr(fetch_module, "_SPARE", 10**18)
    with pytest.raises(ResourceError, match="are needed"):
        fetch(loaded, patience=QUICK)


def test_two_at_once_are_refused(tmp_path: Path, server: Server) -> None:
    loaded = manifest(tmp_path, server, archive())
    with (
        fetch_module._locked(loaded.root, loaded.root / ".fetch"),
        pytest.raises(RunError, match="another process is fetching"),
    ):
        fetch(loaded, patience=QUICK)


def test_nothing_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="put there by hand"):
        fetch(load_manifest("msrc23"))
    with pytest.raises(DataError, match="drawn on first use"):
        fetch(load_manifest("scenes"))


def test_no_archive_is_said_and_fetched_again(tmp_path: Path, server: Server) -> None:
    loaded = manifest(tmp_path, server, b"<html>not found</html>")
    with pytest.raises(DataError, match=r"no sound zip archive.*deleted"):
        fetch(loaded, patience=QUICK)
    server.files["/set.zip"].body = archive()
    fetch(loaded, patience=QUICK)
    assert_complete(loaded)


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "..\\out.txt", "C:/out.txt"])
def test_no_member_leaves_the_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("good.txt", "good")
        opened.writestr(zipfile.ZipInfo(name), "evil")
    with pytest.raises(DataError, match="would be written outside"):
        unzip(path, tmp_path / "into")
    assert not list((tmp_path / "into").iterdir())
    assert not (tmp_path / "out.txt").exists()


def test_links_are_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "evil.zip"
    link = zipfile.ZipInfo("images")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(link, "/etc")
    with pytest.raises(DataError, match="is a link"):
        unzip(path, tmp_path / "into")


def test_what_cannot_be_unpacked_is_kept_and_may_be_unpacked_by_hand(tmp_path: Path) -> None:
    body = bytearray(archive())
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):  # the method of every member, in both headers
        place = body.find(mark)
        while place >= 0:
            body[place + at] = 9  # deflate64
            place = body.find(mark, place + 1)
    path = tmp_path / "set.zip"
    path.write_bytes(body)
    with pytest.raises(DataError, match=r"method.*is kept; unpack it by hand"):
        unzip(path, tmp_path / "into")
    assert path.exists()
    with zipfile.ZipFile(io.BytesIO(archive())) as opened:
        opened.extractall(tmp_path / "into")
    unzip(path, tmp_path / "into")


@pytest.mark.parametrize("name", [".fetch/set.zip.done.json", ".fetch", "m.yaml", "x/../m.yaml"])
def test_no_member_overwrites_the_manifest_or_the_state(tmp_path: Path, server: Server, name: str) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as opened:
        opened.writestr("annotations/all.json", "{}")
        opened.writestr(name, "evil")
    loaded = manifest(tmp_path, server, sink.getvalue())
    loaded = loaded.model_copy(update={"root": tmp_path})
    with pytest.raises(DataError, match=r"would (overwrite|be written outside).*nothing was unpacked"):
        fetch(loaded, patience=QUICK)
    assert (tmp_path / "m.yaml").read_text().startswith("name: m")
    assert not (tmp_path / "annotations").exists()


def test_a_download_called_like_the_manifest_is_refused(tmp_path: Path, server: Server) -> None:
    loaded = manifest(tmp_path, server)
    named = loaded.model_dump()
    named["sources"]["all"]["urls"] = [f"{server.url}/m.yaml"]
    loaded = Manifest.model_validate(named | {"root": tmp_path})
    with pytest.raises(DataError, match="would overwrite the manifest"):
        fetch(loaded, patience=QUICK)


def test_a_damaged_member_is_found_and_the_rest_stays_for_the_next_call(tmp_path: Path) -> None:
    body = bytearray(archive())
    body[len(body) // 2] ^= 0xFF
    path = tmp_path / "set.zip"
    path.write_bytes(body)
    with pytest.raises(DataError, match="no sound zip archive"):
        unzip(path, tmp_path / "into")
    assert not path.exists()
    assert not (tmp_path / "into" / "images" / "1.jpg").exists()
    path.write_bytes(archive())
    before = (tmp_path / "into" / "annotations" / "all.json").stat().st_mtime_ns
    unzip(path, tmp_path / "into")
    assert (tmp_path / "into" / "annotations" / "all.json").stat().st_mtime_ns == before
    assert (tmp_path / "into" / "images" / "1.jpg").stat().st_size == 300_000

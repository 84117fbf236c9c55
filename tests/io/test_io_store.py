"""One contract for both stores: the folder and real SeaweedFS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headscarp.errors import (
    AlreadyExists,
    Conflict,
    InvalidInput,
    NotFound,
    StoreError,
    StoreUnavailable,
)
from headscarp.io.store import LocalStore, S3Store, Store, open_store

THREADS = 8


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.service)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return LocalStore(tmp_path / "a folder")
    made: Store = request.getfixturevalue("s3_store").store()
    return made


def at_once(action: Callable[[int], Any], count: int = THREADS) -> list[Any]:
    """What each of `count` concurrent calls returned or raised."""

    def run(number: int) -> Any:
        try:
            return action(number)
        except Exception as error:  # noqa: BLE001 - it is returned
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


class TestObjects:
    def test_what_is_written_is_read_back_byte_for_byte(self, store: Store) -> None:
        data = np.random.default_rng(0).bytes(300_000)
        tag = store.put("a/b/c.bin", data)
        assert store.get("a/b/c.bin") == (data, tag)
        assert store.read("a/b/c.bin") == data

    def test_empty_object(self, store: Store) -> None:
        store.put("empty", b"")
        assert store.read("empty") == b""
        assert store.exists("empty")

    @pytest.mark.parametrize("key", ["a b/c+d.txt", "percent%20.txt", "été/Ω.json", "q?x=1&y#z", "a'(b)!*~.tif"])
    def test_keys_with_odd_characters(self, store: Store, key: str) -> None:
        store.put(key, key.encode())
        assert store.read(key) == key.encode()
        assert list(store.list()) == [key]
        store.delete(key)
        assert not store.exists(key)

    def test_put_replaces(self, store: Store) -> None:
        first, second = store.put("k", b"1"), store.put("k", b"22")
        assert first != second
        assert store.read("k") == b"22"

    def test_absent(self, store: Store) -> None:
        store.put("a/b", b"x")
        for key in ("nothing", "a", "a/c", "a/b/c"):
            assert not store.exists(key)
            with pytest.raises(NotFound, match=key):
                store.get(key)

    @pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a"])
    def test_keys_that_are_not_plain_relative_paths_are_refused(self, store: Store, key: str) -> None:
        for action in (store.get, store.exists, store.delete, lambda k: store.put(k, b"")):
            with pytest.raises(InvalidInput):
                action(key)

    def test_file_upload(self, store: Store, tmp_path: Path) -> None:
        path = tmp_path / "large.bin"
        data = np.random.default_rng(1).bytes(20 << 20)  # above boto3's threshold for multipart
        path.write_bytes(data)
        store.put_file("up/large.bin", path, "image/tiff")
        assert store.read("up/large.bin") == data
        assert list(store.list("up/")) == ["up/large.bin"]


class TestConditionalWrites:
    def test_create_refuses_what_exists_even_with_equal_content(self, store: Store) -> None:
        tag = store.create("ledger/x.json", b"{}")
        assert store.get("ledger/x.json") == (b"{}", tag)
        with pytest.raises(AlreadyExists):
            store.create("ledger/x.json", b"{}")

    def test_one_of_eight_creates_wins(self, store: Store) -> None:
        for attempt in range(5):
            key = f"claim/{attempt}.json"
            outcomes = at_once(lambda number, key=key: store.create(key, b"%d" % number))
            winners = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, str)]
            assert len(winners) == 1
            assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == THREADS - 1
            assert store.read(key) == b"%d" % winners[0]

    def test_replace_needs_the_current_tag(self, store: Store) -> None:
        old = store.create("x", b"1")
        new = store.replace("x", b"2", old)
        with pytest.raises(Conflict):
            store.replace("x", b"3", old)
        assert store.get("x") == (b"2", new)

    def test_replace_of_what_is_gone_conflicts(self, store: Store) -> None:
        tag = store.create("x", b"1")
        store.delete("x")
        with pytest.raises(Conflict):
            store.replace("x", b"2", tag)
        assert not store.exists("x")

    def test_counting_with_compare_and_swap_loses_nothing(self, store: Store) -> None:
        store.create("count", b"0")

        def increment(_: int) -> None:
            done = 0
            while done < 5:
                value, tag = store.get("count")
                try:
                    store.replace("count", b"%d" % (int(value) + 1), tag)
                except Conflict:
                    continue
                done += 1

        assert at_once(increment) == [None] * THREADS
        assert int(store.read("count")) == 5 * THREADS


class TestListing:
    KEYS = ("a-b", "a.b", "a/b", "a/b-c", "a/b.c", "a/b/c", "ab", "b/Z", "b/a", "b/é")

    def test_sorted_by_bytes_as_s3_does(self, store: Store) -> None:
        for key in reversed([k for k in self.KEYS if k != "a/b"]):
            store.put(key, b"")
        expected = sorted((k for k in self.KEYS if k != "a/b"), key=str.encode)
        assert list(store.list()) == expected
        assert list(store.list("a/")) == [k for k in expected if k.startswith("a/")]
        assert list(store.list("a")) == [k for k in expected if k.startswith("a")]
        assert list(store.list("a/b")) == [k for k in expected if k.startswith("a/b")]
        assert list(store.list("none/")) == []

    def test_more_than_one_page(self, store: Store) -> None:
        keys = [f"many/{number:04d}" for number in range(1100)]
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda key: store.put(key, b"x"), keys))
        assert list(store.list("many/")) == keys
        store.delete("many")
        assert list(store.list()) == []

    @pytest.mark.parametrize("prefix", ["../", "/", "a/../../"])
    def test_prefixes_outside_are_refused(self, store: Store, prefix: str) -> None:
        with pytest.raises(InvalidInput):
            list(store.list(prefix))

    def test_delete_takes_the_tree_and_not_the_neighbours(self, store: Store) -> None:
        for key in ("t/a", "t/b/c", "t2/a", "t-x"):
            store.put(key, b"")
        store.delete("t")
        assert list(store.list()) == ["t-x", "t2/a"]
        store.delete("t")
        store.delete("t2/a/deeper")
        assert list(store.list()) == ["t-x", "t2/a"]


@pytest.mark.service
class TestS3:
    def test_neighbouring_prefixes_do_not_see_each_other(self, s3_store: Any) -> None:
        s3_store.store("near").put("k", b"1")
        s3_store.store("nearby").put("k", b"2")
        assert list(s3_store.store("near").list()) == ["k"]
        s3_store.store("near").delete("k")
        assert s3_store.store("nearby").read("k") == b"2"

    def test_store_from_the_environment(self, s3_env: Any) -> None:
        store = open_store(s3_env.url_of("from-env/deep"))
        store.put("x", b"1")
        assert s3_env.store("from-env").read("deep/x") == b"1"
        assert store.address("x") == "s3://headscarp-test/from-env/deep/x"

    def test_zarr_round_trip(self, s3_env: Any) -> None:
        import zarr

        store = open_store(s3_env.url_of("zarr-test"))
        values = np.arange(64 * 64, dtype="float32").reshape(64, 64)
        zarr.create_array(store.zarr("cubes/x.zarr"), data=values, chunks=(16, 16), shards=(32, 32))
        found = zarr.open_array(store.zarr("cubes/x.zarr", read_only=True), mode="r")
        np.testing.assert_array_equal(found[:], values)

    @pytest.mark.parametrize("wrong", [{"access_key": "nobody"}, {"secret_key": "wrong"}])
    def test_wrong_credentials_are_refused_everywhere(
        self, s3_store: Any, wrong: dict[str, str], tmp_path: Path
    ) -> None:
        s3_store.store("rights").put("k", b"1")
        store = S3Store(s3_store.bucket, "rights", s3_store.server.client(**wrong))
        file = tmp_path / "f"
        file.write_bytes(b"x" * (9 << 20))
        actions: list[Callable[[], Any]] = [
            lambda: store.get("k"), lambda: store.put("k", b""), lambda: store.create("n", b""),
            lambda: store.replace("k", b"", "tag"), lambda: store.put_file("f", file),
            lambda: list(store.list()), lambda: store.delete("k"), lambda: store.exists("k"),
        ]  # fmt: skip
        for action in actions:
            with pytest.raises(StoreError, match="refused"):
                action()
        assert s3_store.store("rights").read("k") == b"1"

    def test_no_credentials_is_a_matter_of_configuration(self, s3_store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        import boto3

        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
        client = boto3.session.Session().client("s3", endpoint_url=s3_store.url, region_name="us-east-1")
        with pytest.raises(StoreError, match="credentials"):
            S3Store(s3_store.bucket, "", client).get("k")

    def test_absent_bucket(self, s3_store: Any) -> None:
        store = S3Store("no-such-bucket", "", s3_store.server.client())
        with pytest.raises(StoreError, match="NoSuchBucket"):
            list(store.list())


class TestUnreachable:
    def test_nobody_listens(self, tmp_path: Path) -> None:
        import boto3
        from botocore.config import Config

        from headscarp.demo.processes import free_ports

        config = Config(retries={"max_attempts": 1}, connect_timeout=1)
        client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{free_ports(1)[0]}", config=config)
        store = S3Store("bucket", "", client)
        file = tmp_path / "f"
        file.write_bytes(b"x")
        for action in (lambda: store.get("k"), lambda: store.put_file("k", file), lambda: list(store.list())):
            with pytest.raises(StoreUnavailable):
                action()


class TestFolder:
    def test_url_of_a_folder_with_a_space_opens_it_again(self, tmp_path: Path) -> None:
        store = LocalStore(tmp_path / "été % #1")
        store.put("k", b"1")
        assert open_store(store.url).read("k") == b"1"
        assert open_store(tmp_path / "été % #1").read("k") == b"1"

    def test_other_schemes_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="gs"):
            open_store("gs://bucket/x")

    def test_an_object_where_a_folder_is_needed(self, tmp_path: Path) -> None:
        store = LocalStore(tmp_path)
        store.put("a", b"1")
        with pytest.raises(StoreError, match="a/b"):
            store.put("a/b", b"2")
        assert store.read("a") == b"1"

    def test_a_failed_write_leaves_the_old_object_and_no_rubbish(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = LocalStore(tmp_path)
        store.put("k", b"old")

        def full(self: Path, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(StoreError, match="No space left"):
            store.put("k", b"new")
        monkeypatch.undo()
        assert store.read("k") == b"old"
        assert [p.name for p in tmp_path.iterdir()] == ["k"]

    def test_real_full_disk(self, tmp_path: Path) -> None:
        """A file-size limit makes the kernel refuse the write half-way, as a full disk does."""
        code = (
            "import resource,signal,sys;from pathlib import Path;from headscarp.io.store import LocalStore;"
            "from headscarp.errors import StoreError\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);s=LocalStore(Path(sys.argv[1]));s.put('k',b'old')\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE,(100_000,100_000))\n"
            "try: s.put('k',bytes(1_000_000))\n"
            "except StoreError as e: print('refused:',e)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
        assert "refused:" in done.stdout
        assert LocalStore(tmp_path).read("k") == b"old"
        assert [p.name for p in tmp_path.iterdir()] == ["k"]

    def test_read_only_folder(self, tmp_path: Path) -> None:
        store = LocalStore(tmp_path / "locked")
        store.put("k", b"1")
        code = (
            "import os,sys;from pathlib import Path;from headscarp.io.store import LocalStore;"
            "from headscarp.errors import StoreError\n"
            "s=LocalStore(Path(sys.argv[1]));\n"
            "if os.getuid()==0: os.setgid(65534); os.setuid(65534)\n"
            "for act in (lambda:s.put('k',b'2'),lambda:s.create('n',b''),lambda:s.delete('k')):\n"
            "  try: act(); print('DONE')\n"
            "  except StoreError as e: print('refused', e)\n"
        )
        for folder in [tmp_path, *list(tmp_path.parents)[:2]]:
            folder.chmod(0o755)
        store.root.chmod(0o555)
        try:
            done = subprocess.run(
                [sys.executable, "-c", code, str(store.root)], capture_output=True, text=True, check=True
            )
        finally:
            store.root.chmod(0o755)
        assert done.stdout.count("refused") == 3, done.stdout
        assert store.read("k") == b"1"

    def test_readers_never_see_a_part(self, tmp_path: Path) -> None:
        store = LocalStore(tmp_path)
        store.put("k", json.dumps([0] * 50_000).encode())

        def act(number: int) -> None:
            for turn in range(20):
                if number % 2:
                    store.put("k", json.dumps([number * turn] * 50_000).encode())
                else:
                    assert len(set(json.loads(store.read("k")))) == 1

        assert at_once(act) == [None] * THREADS

    def test_locks_hold_between_processes(self, tmp_path: Path) -> None:
        code = (
            "import sys;from pathlib import Path;from headscarp.io.store import LocalStore;"
            "from headscarp.errors import Conflict\n"
            "s=LocalStore(Path(sys.argv[1])); n=0\n"
            "while n<20:\n"
            "  v,t=s.get('count')\n"
            "  try: s.replace('count',b'%d'%(int(v)+1),t); n+=1\n"
            "  except Conflict: pass\n"
        )
        LocalStore(tmp_path).create("count", b"0")
        running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
        assert [process.wait(60) for process in running] == [0, 0, 0]
        assert LocalStore(tmp_path).read("count") == b"60"

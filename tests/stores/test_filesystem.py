"""Files: private, whole or not there, and none left of what was never finished."""

import errno
import stat
import threading

import pytest

from wukong_sched.storage import filesystem
from wukong_sched.storage.filesystem import FilesystemObjects
from wukong_sched.storage.keys import Keys
from wukong_sched.storage.objects import StoreFull


@pytest.fixture
def objects(tmp_path):
    return FilesystemObjects(tmp_path / "store", scratch=Keys("1").job_prefix)


def modes(directory):
    return {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in directory.rglob("*")}


def test_everything_is_its_owners_alone(objects, tmp_path):
    objects.put({"jobs/1/tiles/" + "a" * 500: [b"x"], "tiles/w": [b"y"]})
    assert modes(tmp_path) == {(True, 0o700), (False, 0o600)}


def test_one_of_many_writers_is_first(objects):
    values = [bytes([n]) * 300_000 for n in range(8)]
    barrier, seen = threading.Barrier(len(values)), []

    def write(value):
        barrier.wait()
        objects.put({"jobs/1/a": [value[:7], value[7:]]})
        seen.append(bytes(objects.get(["jobs/1/a"])["jobs/1/a"]))

    threads = [threading.Thread(target=write, args=(value,)) for value in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 and len(set(seen)) == 1 and seen[0] in values


@pytest.fixture
def breaks_off(monkeypatch):
    """After some bytes, writing fails."""

    def break_off(error):
        def write(descriptor, data):
            filesystem.os.write(descriptor, data[:3])
            raise error

        monkeypatch.setattr(filesystem, "write_all", write)

    return break_off


def test_an_unfinished_value_is_not_there(objects, breaks_off):
    breaks_off(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        objects.put({"jobs/1/a": [b"value"]})
    assert objects.get(["jobs/1/a"]) == {} and list(objects.keys("jobs/")) == []
    assert [path for path in objects.directory.rglob("*") if path.is_file()] == []


def test_what_a_killed_writer_left_goes_with_the_job(objects, breaks_off, monkeypatch):
    objects.put({"tiles/w": [b"wanted"]})
    breaks_off(MemoryError())
    monkeypatch.setattr(filesystem.Path, "unlink", lambda path, missing_ok: None)  # as if killed before it
    with pytest.raises(MemoryError):
        objects.put({"tiles/v": [b"value"]})
    assert len([path for path in objects.directory.rglob("*") if path.is_file()]) == 2
    assert list(objects.keys("")) == ["tiles/w"]
    objects.sweep("jobs/1/")
    assert [path.name for path in objects.directory.rglob("*") if path.is_file()] == ["w"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_says_what_it_does_not_have(objects, breaks_off, number):
    objects.put({"jobs/1/a": [b"a"]})
    breaks_off(OSError(number, "told to"))
    with pytest.raises(StoreFull, match="no room") as caught:
        objects.put({"jobs/1/a": [b"a"], "jobs/1/b": [b"b"], "jobs/1/c": [b"c"]})
    assert caught.value.keys == ("jobs/1/b", "jobs/1/c")


def test_other_errors_come_through(objects, breaks_off):
    breaks_off(OSError(errno.EIO, "told to"))
    with pytest.raises(OSError, match="told to"):
        objects.put({"jobs/1/a": [b"a"]})


def test_ranges_are_read(objects):
    objects.put({"jobs/1/a": [b"0123456789"]})
    assert bytes(objects.read_range("jobs/1/a", 3, 6)) == b"345"
    assert bytes(objects.read_range("jobs/1/a", 8, 99)) == b"89"
    assert bytes(objects.read_range("jobs/1/a", 20, 99)) == b""
    with pytest.raises(FileNotFoundError):
        objects.read_range("jobs/1/b", 0, 1)


def test_keys_are_found_by_any_prefix(objects):
    names = ["jobs/1/tiles/a[0]", "jobs/1/tiles/a[1]", "jobs/1/program", "jobs/11/x", "tiles/" + "l" * 450]
    objects.put({name: [b"x"] for name in names})
    for prefix in ("", "jobs/", "jobs/1/", "jobs/1", "jobs/1/tiles/a", "tiles/lll", "none/"):
        assert sorted(objects.keys(prefix)) == sorted(name for name in names if name.startswith(prefix))
    objects.sweep("jobs/1/tiles/a")
    assert sorted(objects.keys("")) == sorted(names[2:])


def test_what_goes_through_is_counted(objects):
    objects.put({"jobs/1/a": [b"123", b"45"], "jobs/1/b": [b"6"]})
    objects.put({"jobs/1/a": [b"12345"]})
    objects.get(["jobs/1/a", "jobs/1/c"])
    assert objects.delete(["jobs/1/a", "jobs/1/c"]) == ["jobs/1/c"]
    tally = objects.tally
    assert (tally.bytes_written, tally.bytes_read) == (6, 5)
    assert (tally.puts, tally.gets, tally.deletes) == (2, 2, 2)

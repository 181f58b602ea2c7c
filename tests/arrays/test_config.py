from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import sarray as sa
from sarray.config import KEYS, NAMES, Settings
from sarray.executors import EXECUTORS
from sarray.local_functions import remote
from sarray.policies import POLICIES
from sarray.sizes import format_bytes, format_count, parse_bytes
from wukong_sched.drivers.functions import LocalFunctions


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those of the test."""
    for key in KEYS:
        monkeypatch.delenv(f"SARRAY_{key.upper()}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def test_every_setting_has_a_default_and_a_reader() -> None:
    assert set(KEYS) == set(Settings.__dataclass_fields__)
    assert sa.settings() == Settings()


def test_each_origin_overrides_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home" / "sarray").mkdir(parents=True)
    (tmp_path / "home" / "sarray" / "config.toml").write_text('workers = 1\nsplit_every = 3\nmemory_limit = "1GiB"')
    assert (sa.settings().workers, sa.settings().memory_limit) == (1, 2**30)
    (tmp_path / "sarray.toml").write_text("workers = 2\nprogress = true")
    assert (sa.settings().workers, sa.settings().split_every, sa.settings().progress) == (2, 3, True)
    monkeypatch.setenv("SARRAY_WORKERS", "3")
    monkeypatch.setenv("SARRAY_PROGRESS", "no")
    assert (sa.settings().workers, sa.settings().progress) == (3, False)
    with sa.config(workers=4, memory_limit=None):
        assert (sa.settings().workers, sa.settings().memory_limit) == (4, None)
        with sa.config(workers=5) as inner:
            assert inner.workers == sa.settings().workers == 5
        assert sa.settings().workers == 4
    assert sa.settings().workers == 3
    (tmp_path / "sarray.toml").write_text("workers = 2\nsplit_every = 16")
    assert sa.settings().split_every == 16


def test_a_context_holds_for_its_own_thread() -> None:
    seen: list[Any] = []
    with sa.config(workers=7):
        thread = threading.Thread(target=lambda: seen.append(sa.settings().workers))
        thread.start()
        thread.join()
    assert seen == [None]


def test_settings_reach_the_work() -> None:
    with sa.config(chunk_bytes="80B", split_every=2, executor="serial"):
        x = sa.zeros(100)
        assert x.chunks == ((10,) * 10,)
        assert x.sum().plan().depth == 5
        assert float(x.sum()) == 0
    with sa.config(memory_limit="1MiB"), pytest.raises(sa.MemoryLimitError, match=r"1\.0 MiB"):
        sa.ones((1000, 1000)).compute()


def test_settings_of_one_kind_have_a_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'workers = 2\n[functions]\nmemory = "1GiB"\ntimeout = 60\n[aws]\nbucket = "b"'
    (tmp_path / "sarray.toml").write_text(text)
    found = sa.settings()
    assert (found.functions_memory, found.functions_timeout, found.aws_bucket) == (2**30, 60.0, "b")
    monkeypatch.setenv("SARRAY_FUNCTIONS_TIMEOUT", "30")
    assert sa.settings().functions_timeout == 30
    with sa.config({"functions.timeout": 20, "aws": {"concurrency": 5}}, functions_concurrency=3) as inner:
        assert (inner.functions_timeout, inner.aws_concurrency, inner.functions_concurrency) == (20, 5, 3)
    with pytest.raises(TypeError, match=r"no setting 'functions_memry'.*did you mean 'functions_memory'"):
        sa.config({"functions.memry": 1})
    with pytest.raises(ValueError, match="at least '128MiB'"):
        sa.config({"functions.memory": 2048})


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SARRAY_AWS_KEY", "00ff17")
    assert sa.settings().aws_key == "00ff17"
    assert "00ff17" not in repr(sa.settings())
    monkeypatch.setenv("SARRAY_AWS_KEY", "my secret")
    with pytest.raises(ValueError, match="SARRAY_AWS_KEY") as info:
        sa.settings()
    assert "my secret" not in str(info.value)


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"worker": 2}, TypeError, "did you mean 'workers'.*known: workers, memory_limit"),
        ({"workers": 0}, ValueError, "workers=0 is not possible: must be at least 1"),
        ({"workers": "many"}, ValueError, "workers='many' is not possible: must be a whole number, in digits"),
        ({"workers": "1e3"}, ValueError, "workers='1e3' is not possible: must be a whole number, in digits"),
        ({"workers": ""}, ValueError, "workers='' is not possible: must be a whole number, in digits"),
        ({"functions_concurrency": 257}, ValueError, "must be at most 256, as each is a process of this machine"),
        ({"functions_timeout": ""}, ValueError, "functions_timeout='' is not possible: must be a number of seconds"),
        ({"functions_linger": None}, ValueError, "functions_linger=None is not possible: must be a number of seconds"),
        ({"memory_limit": "much"}, ValueError, "'4GiB'"),
        ({"split_every": 1}, ValueError, "at least 2"),
        ({"progress": "perhaps"}, ValueError, "expected one of"),
        ({"progress_delay": -1}, ValueError, "negative"),
        ({"chunk_bytes": None}, ValueError, "chunk_bytes=None"),
        ({"workers": 2.7}, ValueError, "workers=2.7.*whole number"),
        ({"workers": True}, ValueError, "workers=True.*whole number"),
        ({"functions_timeout": "inf"}, ValueError, "functions_timeout='inf'.*from 1 second to a week"),
        ({"functions_timeout": "nan"}, ValueError, "functions_timeout='nan'.*from 1 second to a week"),
        ({"functions_timeout": 1e300}, ValueError, "functions_timeout=1e\\+300.*from 1 second to a week"),
        ({"functions_timeout": 1e-3}, ValueError, "functions_timeout=0.001.*from 1 second to a week"),
        ({"functions_linger": 0}, ValueError, "functions_linger=0.*at least 1 second"),
        ({"functions_linger": "nan"}, ValueError, "functions_linger='nan'.*at least 1 second"),
        ({"executor": "treads"}, ValueError, r"no executor 'treads' \(did you mean 'threads'\?\); known: threads, "),
        ({"policy": "nope"}, ValueError, "no policy 'nope'; known: cost, wukong"),
        ({"functions_shape": "gcp"}, ValueError, "no network shape 'gcp'; known: aws"),
    ],
)
def test_wrong_settings_say_what_is_wrong(values: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        sa.config(**values)


def test_the_least_values_are_possible() -> None:
    with sa.config(functions_timeout=1, functions_linger="1", functions_shape="aws", workers="1") as found:
        assert (found.functions_timeout, found.functions_linger) == (1.0, 1.0)
        assert (found.functions_shape, found.workers) == ("aws", 1)


def test_more_workers_than_a_machine_has_functions_are_as_many_as_it_has() -> None:
    with sa.config(workers=100_000) as asked:
        assert concurrency(asked) == 256
    with sa.config(workers=3) as asked:
        assert concurrency(asked) == 3
    with sa.config(workers=3, functions_concurrency=256) as asked:
        assert concurrency(asked) == 256


def concurrency(asked: Settings) -> int:
    """Functions at once on this machine; none starts before there is a job."""
    functions = remote(asked).functions
    assert isinstance(functions, LocalFunctions)
    return functions.function.concurrency


def test_names_are_those_of_the_tables() -> None:
    assert {"executor": tuple(EXECUTORS), "policy": tuple(POLICIES)} == NAMES


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SARRAY_FUNCTION_MEMORY", "did you mean 'SARRAY_FUNCTIONS_MEMORY'"),
        ("SARRAY_WORKER", "did you mean 'SARRAY_WORKERS'"),
        ("SARRAY_EXECUTER", "did you mean 'SARRAY_EXECUTOR'"),
        ("SARRAY_BOGUS", "no such setting; known: SARRAY_WORKERS, "),
    ],
)
def test_a_variable_of_no_setting_is_refused(name: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(TypeError, match=f"environment variable {name}: .*{words}"):
        sa.settings()


@pytest.mark.parametrize("name", ["SARRAY_INVOKER", "SARRAY_LOG", "SARRAY_SEED", "SARRAY_HYPOTHESIS_PROFILE"])
def test_variables_of_another_use_are_let_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert sa.settings() == Settings()


def test_wrong_files_and_variables_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SARRAY_WORKERS", "x")
    with pytest.raises(ValueError, match="environment variable SARRAY_WORKERS"):
        sa.settings()
    monkeypatch.delenv("SARRAY_WORKERS")
    monkeypatch.setenv("SARRAY_FUNCTIONS_SHAPES", "aws")
    with pytest.raises(TypeError, match=r"SARRAY_FUNCTIONS_SHAPES: .*did you mean 'SARRAY_FUNCTIONS_SHAPE'"):
        sa.settings()
    monkeypatch.delenv("SARRAY_FUNCTIONS_SHAPES")
    for text, words in (("workers = ", "is not TOML"), ("nothing = 1", "no setting 'nothing'")):
        (tmp_path / "sarray.toml").write_text(text)
        with pytest.raises((ValueError, TypeError), match=f"sarray.toml.*{words}"):
            sa.settings()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1k", 1000),
        ("1 KiB", 1024),
        ("2.5MB", 2_500_000),
        ("4GiB", 2**32),
        ("1e3", 1000),
        (17, 17),
        ("1tib", 2**40),
    ],
)
def test_sizes_are_read(text: Any, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", "1 XB", "1.2.3", None])
def test_what_is_no_size_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="'64MiB'"):
        parse_bytes(text)


def test_sizes_are_written() -> None:
    assert [format_bytes(2.0**power) for power in (0, 10, 25, 33, 45, 60)] == [
        "1 B", "1.0 KiB", "32.0 MiB", "8.0 GiB", "32.0 TiB", "1024.0 PiB",
    ]  # fmt: skip
    assert [format_count(10.0**power) for power in (0, 4, 8, 20)] == ["1", "10.00 k", "100.00 M", "100 E"]

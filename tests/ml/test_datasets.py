"""Problems of any size: the model that was asked for, the same values whatever the chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import sarray as sa
from sarray.ml import datasets, make_classification, make_regression
from tests.arrays.drawn import cuts


@settings(max_examples=25)
@given(data=st.data(), informative=st.integers(1, 9), redundant=st.integers(0, 5), seed=st.integers(0, 2**20))
def test_values_are_the_same_to_the_last_bit(data: st.DataObject, informative: int, redundant: int, seed: int) -> None:
    rows, targets, features = 60, data.draw(st.integers(1, 3)), informative + redundant
    ones = (tuple([1] * rows), -1)
    for make, options in (
        (make_regression, {"n_informative": informative, "n_targets": targets, "noise": 1.0, "coef": False}),
        (make_classification, {"n_informative": informative, "n_redundant": redundant, "n_clusters_per_class": 1}),
    ):
        problem: dict[str, Any] = {**options, "n_features": features, "random_state": seed}
        whole, single, cut = (
            sa.compute(*make(rows, chunks=chunks, **problem)) for chunks in (-1, ones, (data.draw(cuts(rows)), -1))
        )
        for expected, first, second in zip(whole, single, cut, strict=True):
            np.testing.assert_array_equal(first, expected)
            np.testing.assert_array_equal(second, expected)


@given(
    shape=st.tuples(st.integers(0, 30), st.integers(1, 5), st.integers(0, 4)), seed=st.integers(0, 2**20),
    rows=st.integers(1, 9),
)  # fmt: skip
def test_products_are_exact_where_numbers_are(shape: tuple[int, int, int], seed: int, rows: int) -> None:
    m, n, t = shape
    rng = np.random.default_rng(seed)
    x, w = rng.integers(-99, 99, (m, n)) * 1.0, rng.integers(-1, 2, (n, t)) * 7.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "ROWS", rows)
        np.testing.assert_array_equal(datasets.product(x, w), x @ w)


@pytest.mark.parametrize("make", [make_regression, make_classification])
def test_values_depend_on_the_seed_and_not_on_the_chunks(make: Any) -> None:
    first, again, other = (
        sa.compute(*make(100, 6, random_state=seed, chunks=chunks))
        for seed, chunks in ((3, (100, -1)), (3, (17, -1)), (4, 17))
    )
    for ours, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(ours, same)
        assert (ours != different).any()


@pytest.mark.parametrize("targets", [1, 3])
def test_targets_are_those_of_the_weights(targets: int) -> None:
    X, y, w = make_regression(
        200, 8, n_informative=3, n_targets=targets, bias=2.5, coef=True, random_state=0, chunks=(50, -1)
    )
    wide = () if targets == 1 else (targets,)
    assert (X.shape, y.shape, w.shape) == ((200, 8), (200, *wide), (8, *wide))
    assert ((np.asarray(w).reshape(8, -1) != 0).sum(axis=0) == 3).all()
    np.testing.assert_allclose(y, X.compute() @ w + 2.5, rtol=1e-9)
    noisy = make_regression(20_000, 8, n_targets=targets, noise=3.0, random_state=0, coef=True, chunks=(5000, -1))
    residual = noisy[1].compute() - noisy[0].compute() @ noisy[2]
    np.testing.assert_allclose(residual.std(), 3.0, rtol=0.05)


def test_classes_have_their_shares_and_features_their_kinds() -> None:
    X, y = make_classification(
        20_000, 8, n_informative=3, n_redundant=2, n_repeated=1, n_classes=3, n_clusters_per_class=2,
        weights=[0.5, 0.3, 0.2], flip_y=0.0, class_sep=2.0, shuffle=False, random_state=1, chunks=(3000, -1),
    )  # fmt: skip
    values, labels = sa.compute(X, y)
    assert (labels.dtype, values.dtype, y.chunks[0]) == (np.int64, np.float64, X.chunks[0])
    np.testing.assert_allclose(np.bincount(labels) / len(labels), [0.5, 0.3, 0.2], atol=0.02)
    assert np.linalg.matrix_rank(values - values.mean(axis=0)) == 5
    assert (values[:, 5:6] == values[:, :5]).all(axis=0).sum() == 1
    np.testing.assert_allclose(values[:, 6:].mean(axis=0), 0, atol=0.05)
    nearest = KNeighborsClassifier().fit(values[:10_000, :3], labels[:10_000])
    assert nearest.score(values[10_000:, :3], labels[10_000:]) > 0.85
    assert nearest.score(values[10_000:, :3], labels[10_000:][::-1]) < 0.5


@pytest.mark.parametrize("seed", range(24))
def test_a_plane_parts_two_classes_that_take_all_corners_between_them(seed: int) -> None:
    values, labels = sa.compute(*make_classification(1000, class_sep=2, random_state=seed, chunks=500))
    assert LogisticRegression().fit(values, labels).score(values, labels) > 0.9


@given(ndim=st.integers(1, 6), share=st.floats(0.01, 1), seed=st.integers(0, 2**20))
def test_corners_are_different_and_in_order_where_there_are_no_others(ndim: int, share: float, seed: int) -> None:
    count = max(1, int(share * 2**ndim))
    bits = (datasets.corners(np.random.default_rng(seed), count, ndim) @ 2 ** np.arange(ndim)[::-1]).tolist()
    assert len(set(bits)) == count and 0 <= min(bits) <= max(bits) < 2**ndim
    if count == 2**ndim:
        assert bits == list(range(count))


def test_hardly_any_corner_changes_its_place_if_all_but_one_are_taken() -> None:
    found = datasets.corners(np.random.default_rng(0), 255, 8) @ 2 ** np.arange(8)[::-1]
    assert (found != np.arange(255)).sum() <= 1


def test_some_labels_are_drawn_again() -> None:
    plain, flipped = (make_classification(20_000, 4, flip_y=share, random_state=2)[1].compute() for share in (0.0, 0.4))
    np.testing.assert_allclose((plain != flipped).mean(), 0.2, atol=0.02)


def test_features_are_moved_and_scaled() -> None:
    plain = make_classification(100, 4, random_state=2)[0].compute()
    moved = make_classification(100, 4, random_state=2, shift=1.0, scale=3.0)[0].compute()
    np.testing.assert_allclose(moved, (plain + 1) * 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_informative": 30}, "of 20"),
        ({"n_classes": 5}, "10 clusters of 2 .. n_informative=4 corners"),
        ({"weights": [1, 2, 3]}, "are not the shares of 2 classes"),
        ({"n_samples": 0}, "n_samples=0; write 1 or more"),
        ({"chunks": (50, 10)}, r"chunks=\(50, 10\) cuts rows; write chunks=\(50, -1\)"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_classification(**options)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (make_classification, {"flip_y": 1.5}, "flip_y=1.5; write a number from 0 to 1"),
        (make_classification, {"flip_y": -0.1}, "flip_y=-0.1; write a number from 0 to 1"),
        (make_classification, {"flip_y": np.nan}, "flip_y=nan; write a number from 0 to 1"),
        (make_classification, {"class_sep": -1.0}, "class_sep=-1.0; write a number from 0 up"),
        (make_classification, {"n_redundant": -1}, "n_redundant=-1; write 0 or more"),
        (make_classification, {"n_repeated": -1}, "n_repeated=-1; write 0 or more"),
        (make_classification, {"n_informative": 0}, "n_informative=0; write 1 or more"),
        (make_classification, {"n_clusters_per_class": 0}, "n_clusters_per_class=0; write 1 or more"),
        (make_classification, {"shift": [1.0, 2.0]}, r"shift has shape \(2,\); write a number, or 20 of them"),
        (make_classification, {"scale": np.ones((20, 1))}, r"scale has shape \(20, 1\); write a number, or 20"),
        (make_regression, {"noise": -1.0}, "noise=-1.0; write a number from 0 up"),
        (make_regression, {"n_informative": -1}, "n_informative=-1; write 0 or more"),
    ],
)
def test_parameters_out_of_range_are_named(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"{make.__name__}: {message}"):
        make(**options)


@pytest.mark.parametrize(("make", "other"), [(make_regression, "effective_rank"), (make_classification, "return_X_y")])
def test_parameters_of_scikit_learn_that_are_not_here_are_named(make: Any, other: str) -> None:
    name = make.__name__
    message = f"{name}: there is no parameter {other} here; known: n_samples, n_features, .* sklearn.datasets.{name}"
    with pytest.raises(TypeError, match=message):
        make(10, **{other: 2})


def test_generators_draw_the_seed() -> None:
    for made in (np.random.RandomState, np.random.default_rng):
        one, other = made(3), made(3)
        (X, y), (again, _) = (sa.ml.make_regression(20, 3, random_state=each, chunks=7) for each in (one, other))
        np.testing.assert_array_equal(X.compute(), again.compute())
        assert (sa.ml.make_regression(20, 3, random_state=one)[0].compute() != X.compute()).all()
        assert sa.ml.make_classification(20, 4, random_state=other)[1].shape == y.shape


def test_features_are_moved_and_stretched_as_asked() -> None:
    plain = sa.ml.make_classification(30, 4, random_state=1)[0].compute()
    shift, scale = np.arange(4.0), np.array([1.0, 2.0, 3.0, 4.0])
    moved = sa.ml.make_classification(30, 4, random_state=1, shift=shift, scale=scale)[0].compute()
    np.testing.assert_array_equal(moved, (plain + shift) * scale)
    drawn = sa.ml.make_classification(30, 4, random_state=1, shift=None, scale=None)[0].compute()
    stretch = (drawn[1:] - drawn[0]) / (plain[1:] - plain[0])
    np.testing.assert_allclose(stretch, np.broadcast_to(stretch[0], stretch.shape), rtol=1e-6)
    assert ((stretch >= 1) & (stretch <= 101)).all()
    assert (np.abs(drawn[0] / stretch[0] - plain[0]) <= 1.0 + 1e-9).all()

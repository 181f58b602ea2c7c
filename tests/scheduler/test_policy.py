"""Each decision goes either way by bandwidth or latency alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wukong_sched.policy import CostModel, Rates, Wukong

MB = 10**6
NEAR = CostModel(bandwidth=1e9, latency=1e-4, invoke_seconds=1e-3, waits=True)
FAR = replace(NEAR, latency=0.1)
NARROW = replace(NEAR, bandwidth=1e6)


@dataclass(frozen=True)
class Cost:
    flops: float = 0.0
    bytes_in: float = 0.0
    bytes_out: float = 0.0


def test_seconds_are_overhead_and_work_and_traffic() -> None:
    policy = CostModel(flops_per_second=1e9, memory_bandwidth=1e8, task_overhead=1e-3)
    assert policy.seconds(Cost(2e9, 3e7, 2e7)) == pytest.approx(1e-3 + 2.0 + 0.5)
    assert policy.seconds(Cost()) == 1e-3
    assert replace(policy, unknown_seconds=7.0).seconds(None) == 7.0


def test_shipping_is_store_and_fetch_and_invoke() -> None:
    assert NEAR.ship() == pytest.approx(1e-3 + 2e-4)
    assert NEAR.ship(50 * MB) == pytest.approx(1e-3 + 2e-4 + 0.1)
    assert CostModel(invoke_seconds=0.0).ship(50 * MB) == 0.0


@pytest.mark.parametrize(
    ("policy", "work", "tasks", "idle", "parts"),
    [
        (NEAR, 1.0, 100, 7, 8),
        (FAR, 1.0, 100, 7, 3),
        (FAR, 0.1, 100, 7, 1),
        (NEAR, 0.1, 100, 7, 8),
        (NEAR, 1.0, 3, 7, 3),
        (NEAR, 100.0, 100, 99, 16),
        (replace(NEAR, fan=4), 100.0, 100, 99, 4),
        (replace(NEAR, invoke_seconds=0.3), 1.0, 100, 7, 2),
        (CostModel(invoke_seconds=0.0), 1e-9, 100, 7, 8),
    ],
)
def test_work_is_split_as_far_as_a_part_is_worth_its_shipping(
    policy: CostModel, work: float, tasks: int, idle: int, parts: int
) -> None:
    assert policy.parts(work, 0, tasks, idle) == parts


def test_where_rates_are_known_a_part_is_worth_as_much_as_its_shipping() -> None:
    assert replace(FAR, worth=1.0).parts(1.0, 0, 100, 7) == 5


def test_an_executor_learns_from_its_own_start() -> None:
    assert NEAR.started(2e-3).invoke_seconds == pytest.approx(1.25e-3)
    assert NEAR.started(100.0).invoke_seconds == NEAR.started(4e-3).invoke_seconds == pytest.approx(1.75e-3)
    assert NEAR.started(1e-9).invoke_seconds == pytest.approx(0.8125e-3)
    assert Wukong().started(5.0) == Wukong()


def test_what_would_move_counts_against_splitting() -> None:
    assert [NEAR.parts(0.1, nbytes, 100, 7) for nbytes in (0, 90 * MB, 110 * MB)] == [8, 5, 1]


def test_a_part_takes_longer_than_its_shipping() -> None:
    for idle in range(1, 40):
        parts = FAR.parts(work=3.0, nbytes=0, tasks=1000, idle=idle)
        assert parts == 1 or 3.0 / (parts - 1) >= 2 * FAR.ship()


def test_results_are_exposed_if_the_work_outweighs_the_shipping() -> None:
    assert NEAR.exposes(0.1) and not FAR.exposes(0.1) and FAR.exposes(0.5)


def test_the_wait_for_a_fan_in_is_what_it_would_cost_not_to_wait() -> None:
    assert NEAR.patience(10 * MB) == pytest.approx(NEAR.ship(10 * MB)) == pytest.approx(0.0212)
    assert NARROW.patience(10 * MB) > 900 * NEAR.patience(10 * MB)
    assert FAR.patience(0) > 100 * NEAR.patience(0)
    assert replace(NEAR, waits=False).patience(10 * MB, 1.0) == 0.0


def test_whoever_worked_long_waits_longer() -> None:
    assert NEAR.patience(10 * MB, 0.02) == NEAR.patience(10 * MB)
    assert NEAR.patience(10 * MB, 0.9) == 0.9
    assert NEAR.patience(10 * MB, 900.0) == 1.0


def test_what_costs_nothing_to_move_is_neither_retained_nor_kept() -> None:
    free = CostModel()
    assert not free.retains(100 * MB) and not free.keeps(1)
    assert NEAR.retains(MB) and NEAR.keeps(MB)
    assert not NEAR.retains(NEAR.hold_bytes) and not NEAR.keeps(NEAR.cache_bytes + 1)


def test_what_was_made_beside_a_tile_stays_if_its_bytes_take_longer_than_a_request() -> None:
    assert NEAR.stays(110_000) and not NEAR.stays(90_000)
    assert not FAR.stays(10 * MB) and not NEAR.stays(NEAR.hold_bytes)
    assert not any(each.stays(MB) for each in (CostModel(), replace(NEAR, waits=False), Wukong(bandwidth=1e6)))


@pytest.mark.parametrize(
    ("nbytes", "seconds", "held"),
    [(0, 0.0, True), (1 << 25, 0.0, False), (0, 0.05, False), ((1 << 25) - 1, 0.049, True)],
)
def test_results_are_held_up_to_a_size_and_an_age(nbytes: int, seconds: float, held: bool) -> None:
    assert CostModel().holds(nbytes, seconds) is held


def test_hand_over_comes_a_margin_before_the_deadline() -> None:
    policy = CostModel(margin=2.0)
    assert not policy.yields(97.9, 100.0) and policy.yields(98.0, 100.0)
    assert not policy.yields(1e12, math.inf)


def test_a_tile_travels_inline_if_a_request_takes_longer_than_its_bytes() -> None:
    assert NEAR.inlines(90_000) and not NEAR.inlines(110_000)
    assert FAR.inlines(50 * MB) and not NARROW.inlines(1000)


def test_it_recomputes_what_takes_longer_to_move() -> None:
    flops = 0.4 * NEAR.flops_per_second
    assert not NEAR.recomputes(flops, 10 * MB)
    assert NARROW.recomputes(flops, 10 * MB)
    assert replace(FAR, latency=0.2).recomputes(flops, 10 * MB)


def test_rates_follow_what_is_observed() -> None:
    rates = Rates(bandwidth=1e8, latency=1e-3)
    for _ in range(50):
        rates = rates.observed(50 * MB, 2.5)
    assert rates.bandwidth == pytest.approx(2e7, rel=0.01) and rates.latency == 1e-3
    for _ in range(50):
        rates = rates.observed(1000, 0.2)
    assert rates.latency == pytest.approx(0.2, rel=0.01)


@given(st.integers(1, 10**9), st.floats(1e-6, 1e3), st.floats(1e3, 1e12), st.floats(0, 1))
def test_one_observation_moves_the_estimate_towards_it(
    nbytes: int, seconds: float, bandwidth: float, latency: float
) -> None:
    before = Rates(bandwidth, latency)
    after = before.observed(nbytes, seconds)
    was, now = before.transfer(nbytes), after.transfer(nbytes)
    assert after.bandwidth > 0 and after.latency >= 0
    assert now <= max(was, seconds, was / 4) * (1 + 1e-9) and now >= min(was, seconds) * (1 - 1e-9) / 4


def test_a_policy_learns_unless_moving_costs_nothing() -> None:
    assert NEAR.observed(100 * MB, 0.4).bandwidth < NEAR.bandwidth
    assert NEAR.observed(100, 1e-3).latency > NEAR.latency
    free = CostModel()
    assert free.observed(100 * MB, 0.4) is free and NEAR.observed(0, 1.0) == NEAR


def test_wukong_invokes_one_for_each_whatever_it_costs() -> None:
    wukong = Wukong(latency=0.1, bandwidth=1e6)
    assert [wukong.parts(1e-9, 0, tasks, idle) for tasks, idle in [(5, 100), (5, 2), (1, 9)]] == [5, 3, 1]


def test_wukong_clusters_and_delays_what_is_large() -> None:
    wukong = Wukong(bandwidth=1e6)
    small, large = 200 * MB, 200 * MB + 1
    assert [wukong.parts(1.0, nbytes, 5, 100) for nbytes in (small, large)] == [5, 1]
    assert [wukong.patience(nbytes) for nbytes in (small, large)] == [0.0, pytest.approx(0.3)]
    assert [wukong.retains(nbytes) for nbytes in (small, large)] == [False, True]
    assert wukong.observed(MB, 9.0) is wukong and not wukong.exposes(1e9)

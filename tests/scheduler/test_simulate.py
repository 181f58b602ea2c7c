"""Random programs, clouds and faults; and that the simulator itself can be believed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter

import pytest

from wukong_sched.drivers import simulate
from wukong_sched.drivers.adversary import Adversary, Fault
from wukong_sched.drivers.exploration import Chaotic, OneValue, Violation, case, explore
from wukong_sched.drivers.graphs import Graph
from wukong_sched.drivers.virtual import Hung, Timeline
from wukong_sched.messages import Commit, Delete, Event, Peek, Wait
from wukong_sched.program import verify_program
from wukong_sched.recurrence import Recurrences
from wukong_sched.trace import Trace, replay

ONCE_FAILED = {
    "it was noted how many were told, not how far: one that ran here was never told of again": [22, 60, 96],
    "a task was given away whose tile was announced in part: announced twice": [22, 46, 152],
    "a task that had run joined, and was ready again": [7, 12, 22],
    "a Run of half a minute, by the cost of the first task of its rule": [457],
    "the epoch after a lost tile ran a finished consumer twice": [1085, 1203],
    "who waited longer the longer it had been there waited for ever": [8155],
}
"""What was wrong -> seeds that show it if it is wrong again."""


@pytest.mark.parametrize("first", range(0, 500, 100))
def test_random_jobs_with_random_faults(first: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate.failing(range(first, first + 100)) == [], capsys.readouterr().out


@pytest.mark.long
@pytest.mark.parametrize("first", range(500, 10_500, 1000))
def test_many_random_jobs(first: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate.failing(range(first, first + 1000)) == [], capsys.readouterr().out


@pytest.mark.parametrize(("seeds"), ONCE_FAILED.values(), ids=ONCE_FAILED)
def test_a_seed_that_once_failed(seeds: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate.failing(seeds) == [], capsys.readouterr().out


# ---- a run follows from its seed alone


def digest(seeds: range) -> str:
    """Of everything that happens."""
    lines: list[str] = []
    for seed in seeds:
        explore(seed, log=lines.append)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_the_same_seed_gives_the_same_run() -> None:
    assert digest(range(30)) == digest(range(30))
    assert digest(range(30)) != digest(range(1, 31))


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_run_does_not_depend_on_the_hashes_of_strings(hash_seed: str) -> None:
    code = "from tests.scheduler.test_simulate import digest; print(digest(range(30)))"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == digest(range(30))


def test_traces_replay() -> None:
    for seed in range(60):
        trace, this = Trace(), case(seed)
        explore(seed, trace=trace)
        assert trace.histories
        assert replay(trace, this.program, this.policy) == [], f"seed {seed}"


# ---- the exploration goes everywhere


def test_every_fault_strikes_and_every_choice_is_taken() -> None:
    struck: Counter[Fault] = Counter()
    taken: Counter[object] = Counter()
    for seed in range(300):
        trace = Trace()
        run = explore(seed, trace=trace)
        struck.update(run.adversary.struck)
        taken["epochs"] += run.counts.epochs - 1
        taken["failed"] += run.story is not None
        taken["throttled"] += run.counts.throttled
        taken["out of memory"] += bool(run.counts.overflows)
        taken["out of memory, and done"] += bool(run.counts.overflows) and run.story is None
        taken["memory nearly full"] += bool(run.counts.relieved)
        taken["store fails"] += run.counts.refused
        taken[type(run.policy), type(run.program) is Graph] += 1
        for history in trace.histories.values():
            for entry in history.entries:
                taken.update(_choices(entry.event, entry.instructions))
    assert set(struck) == set(Fault)
    rare = {name: count for name, count in taken.items() if count < 5}
    assert len(taken) >= 22 and rare == {}


def _choices(event: Event, instructions: tuple[object, ...]) -> list[str]:
    """What is worth seeing in one call of a core."""
    found = [type(event).__name__]
    for instruction in instructions:
        found += [type(instruction).__name__] if isinstance(instruction, Delete | Peek | Wait) else []
        if isinstance(instruction, Commit):
            found += [f"gives {len(give.todo[0])}" for give in instruction.gives]
            found += [name for name in ("yields", "announced", "lost", "failure") if getattr(instruction, name)]
    return found


@pytest.mark.parametrize("seed", range(40))
def test_the_programs_are_programs(seed: int) -> None:
    program = case(seed).program
    verify_program(program)
    assert isinstance(program, Graph | Recurrences)


# ---- the simulator sees what is wrong


def test_a_failing_seed_says_how_to_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(seed: int) -> None:
        if seed == 3:
            raise Violation("left behind: everything")

    lines: list[str] = []
    monkeypatch.setattr(simulate, "explore", fails)
    assert simulate.failing(range(5), lines.append) == [3]
    assert lines == [
        "seed 3: Violation: left behind: everything",
        "  repeat with: python -m wukong_sched.drivers.simulate --first 3 --seeds 1 --log",
    ]
    assert simulate.main(["--first", "3", "--seeds", "1"]) == 1
    assert simulate.main(["--first", "4", "--seeds", "1"]) == 0


def test_the_log_of_a_seed_tells_its_story(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate.main(["--first", "7", "--seeds", "1", "--log"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "client opens epoch 1" in lines[0] and any("client sees done" in line for line in lines)
    times = [float(line.split()[0]) for line in lines if line[0] == " "]
    assert times == sorted(times)


def test_what_does_not_end_is_cut_off() -> None:
    def forever():  # type: ignore[no-untyped-def]
        while True:
            yield 1.0

    timeline = Timeline()
    timeline.spawn(forever())
    with pytest.raises(Hung, match="still at work after 11 virtual seconds and 12 events"):
        timeline.run(most_seconds=10.0)
    timeline.spawn(forever())
    with pytest.raises(Hung, match="after 19 virtual seconds and 21 events"):
        timeline.run(most_events=20)


def test_events_happen_in_order_of_time_and_then_of_planning() -> None:
    seen: list[tuple[float, str]] = []
    timeline = Timeline()

    def process(name: str, delay: float):  # type: ignore[no-untyped-def]
        for _ in range(2):
            yield delay
            seen.append((timeline.now, name))

    for name, delay in [("a", 2.0), ("b", 1.0), ("c", 2.0)]:
        timeline.spawn(process(name, delay))
    timeline.run()
    assert seen == [(1.0, "b"), (2.0, "a"), (2.0, "c"), (2.0, "b"), (4.0, "a"), (4.0, "c")]


def test_a_tile_with_two_values_is_seen() -> None:
    store = OneValue()
    store.put({("v", (0, 0)): 1, ("v", (1, 0)): 2})
    store.put({("v", (0, 0)): 1})
    with pytest.raises(Violation, match=r"\('v', \(1, 0\)\) was stored with two values"):
        store.put({("v", (1, 0)): 3})


# ---- the adversary


def test_the_number_of_faults_is_bounded() -> None:
    adversary = Adversary(5, faults=3, kinds=[Fault.CRASH, Fault.LOSE], rarity=2.0)
    places = [Fault.CRASH, Fault.WIPE, Fault.LOSE] * 200
    struck = [kind for kind in places if adversary.strikes(kind)]
    assert struck == adversary.struck and len(struck) == 3 and Fault.WIPE not in struck


def test_pieces_are_everything_once() -> None:
    adversary = Adversary(5, torn=True)
    things = tuple(range(7))
    drawn = [adversary.pieces(things) for _ in range(100)]
    assert all(sorted(thing for piece in pieces for thing in piece) == list(things) for pieces in drawn)
    assert {len(pieces) for pieces in drawn} == {1, 2} and all(all(pieces) for pieces in drawn)
    assert Adversary(5).pieces(things) == [things]


def test_answers_of_the_chaotic_policy_vary_and_repeat() -> None:
    policy = Chaotic(3, 1.0, 100, 5, most_hold=1.0, most_patience=0.5, renewal=9.0, margin=5.0)
    parts = [policy.parts(work / 7, 100, 10, 4) for work in range(200)]
    assert set(parts) == {1, 2, 3, 4, 5} and parts == [policy.parts(work / 7, 100, 10, 4) for work in range(200)]
    assert (
        {policy.exposes(float(n)) for n in range(100)}
        == {policy.holds(9, n / 100) for n in range(100)}
        == {False, True}
    )
    assert 0.0 in {policy.patience(n) for n in range(100)} and 0 < max(map(policy.patience, range(100))) <= 0.25
    assert policy.yields(95.0, 100.0) and not policy.yields(1.0, 100.0)

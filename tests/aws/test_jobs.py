"""End to end: the deployed zip, real boto3, real Redis, and AWS's own rules as ministack has them."""

from __future__ import annotations

import math
import operator
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import sarray as sa
from sarray.delivery import Delivery, Result
from sarray.deploy.function import update
from sarray.executors import limits_of
from sarray.lower import lower
from tests.aws.account import CONCURRENCY, TIMEOUT, Account, lines, messages
from tests.deploy.built import built
from wukong_sched.drivers import aws_lambda
from wukong_sched.drivers.aws_lambda import LambdaFunctions
from wukong_sched.errors import InfrastructureError, TaskError
from wukong_sched.explicit import Explicit
from wukong_sched.functions.plan import Plan
from wukong_sched.functions.usage import Usage
from wukong_sched.storage.cluster import Deployment
from wukong_sched.storage.memory import MemoryStorage
from wukong_sched.storage.resp import Address, Command
from wukong_sched.storage.s3 import MULTIPART

pytestmark = pytest.mark.long

SCATTER = replace(
    aws_lambda.POLICY,
    invoke_seconds=1e-6,
    latency=0.0,
    bandwidth=math.inf,
    quantum=1e-3,
    hold_bytes=0,
    hold_seconds=0.0,
)
"""Whatever can run elsewhere shall."""
LOOP = 16
"""Invocations in a chain, after which Lambda takes it for an endless loop unless told otherwise."""
DEPTH = "int(__import__('os').environ['_MINISTACK_INVOKE_DEPTH']) + 0 * {0}"
"""How many invocations stand between a task's process and the client, by Lambda's own count of recursion."""


def computed(arrays: Sequence[Any], account: Account, **options: Any) -> tuple[list[Any], Usage]:
    """The arrays' values, and what their functions used."""
    expressions = [array.expression for array in arrays]
    results = [Result(expression, set()) for expression in expressions]
    places = {expression.name: result for expression, result in zip(expressions, results, strict=True)}
    program = lower(expressions, limits_of(sa.settings())).program
    _, usage = aws_lambda.run(program, Delivery(MemoryStorage(), places), account.functions(), **options)
    assert usage.tasks == len(program)
    return [result.values for result in results], usage


def reduction(leaves: int, leaf: str, combine: Any) -> Explicit:
    """Leaves that are expressions, put together in pairs."""
    mapping: dict[Hashable, Any] = {("leaf", number): (eval, leaf.format(number)) for number in range(leaves)}
    level: list[Any] = list(mapping)
    while len(level) > 1:
        pairs = [tuple(level[at : at + 2]) for at in range(0, len(level), 2)]
        level = [pair[0] if len(pair) == 1 else ("pair", *pair) for pair in pairs]
        mapping.update((key, (combine, *key[1:])) for key in level if key not in mapping)
    return Explicit.from_mapping(mapping, level)


def value(program: Explicit, functions: LambdaFunctions, policy: Any = SCATTER) -> Any:
    """The one tile that a program leaves."""
    storage = MemoryStorage()
    aws_lambda.run(program, storage, functions, policy=policy)
    (found,) = storage.get(list(storage.tiles())).values()
    return found


def test_tsqr_is_that_of_threads(aws: Account, rng: np.random.Generator) -> None:
    q, r = sa.tsqr(sa.from_array(rng.standard_normal((4096, 32)), chunks=(256, 32)))
    found, usage = computed([q, r], aws, policy=SCATTER)
    for ours, theirs in zip(found, sa.compute(q, r), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert usage.executors > 1
    assert aws.left() == []


def test_a_product_goes_through_the_bucket(aws: Account, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((900, 700)), rng.standard_normal((700, 800))
    product = sa.from_array(a, chunks=400) @ sa.from_array(b, chunks=400)
    (found,), usage = computed([product], aws)
    np.testing.assert_array_equal(found, product.compute())
    np.testing.assert_allclose(found, a @ b, rtol=0, atol=1e-10)
    assert usage.bytes_written["object"] + usage.bytes_written["redis"] >= found.nbytes
    assert aws.left() == []


def test_large_tiles_are_objects_of_the_bucket(aws: Account) -> None:
    x = sa.random.default_rng(5).normal(size=(6000, 1500), chunks=(6000, 1500)) + 1
    (found,), usage = computed([x], aws, policy=SCATTER)
    np.testing.assert_array_equal(found, x.compute())
    assert found.nbytes > MULTIPART
    assert usage.bytes_written["object"] >= 0.9 * found.nbytes
    assert aws.left() == []


def test_kept_tiles_stay_in_the_bucket_and_are_not_made_again(aws: Account) -> None:
    plan, functions = Plan(reduction(20, "{0}", operator.add), SCATTER), aws.functions()
    tasks = []
    for _ in range(2):
        job = functions.submit(plan, keeps=True)
        job.wait(seconds=120)
        assert [list(blocks.values()) for blocks in job.blocks()] == [[sum(range(20))]]
        tasks.append(job.usage().tasks)
        job.sweep()
    assert tasks == [len(plan.program), 0]
    assert [key.partition("/")[0] for key in aws.left()] == ["tiles"]
    job.storage.delete(list(plan.program.wanted()))
    assert aws.left() == []


@pytest.mark.parametrize("policy", [aws_lambda.POLICY, SCATTER], ids=["costs", "scatter"])
def test_a_reduction_is_summed_up(aws: Account, policy: Any) -> None:
    assert value(reduction(200, "{0}", operator.add), aws.functions(), policy) == sum(range(200))
    assert aws.left() == []


def test_ten_thousand_leaves_start_in_logarithmic_depth(aws: Account) -> None:
    depth = value(reduction(10_000, DEPTH, max), aws.functions())
    assert 1 <= depth <= 3 + math.ceil(math.log2(CONCURRENCY))


def test_chains_longer_than_lambdas_loop_detection_go_on(aws: Account) -> None:
    program = reduction(100, "__import__('time').sleep(0.1) or " + DEPTH, max)
    hasty = replace(SCATTER, margin=TIMEOUT - 0.15)  # hands over again and again: a time limit that is always near
    assert value(program, replace(aws.functions(), concurrency=1), hasty) > LOOP
    assert aws.left() == []


def test_throttled_invocations_are_made_up_for(aws: Account) -> None:
    aws.reserve(2)
    try:
        before = throttles(aws)
        program = reduction(64, "__import__('time').sleep(0.05) or {0}", operator.add)
        assert value(program, aws.functions(grace=3.0)) == sum(range(64))
        assert throttles(aws) > before
    finally:
        aws.reserve(None)


def throttles(account: Account) -> float:
    """Invocations that Lambda has refused so far."""
    import datetime

    import boto3

    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)
    client = boto3.client("cloudwatch", endpoint_url=account.url)
    found = client.get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Throttles",
        Dimensions=[{"Name": "FunctionName", "Value": "sarray"}],
        StartTime=now - hour,
        EndTime=now + hour,
        Period=3600,
        Statistics=["Sum"],
    )
    return sum(point["Sum"] for point in found["Datapoints"])


def test_an_error_comes_back_with_its_cause(aws: Account) -> None:
    with pytest.raises(TaskError, match="ZeroDivisionError") as caught:
        value(reduction(8, "1 // ({0} - 3)", operator.add), aws.functions())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert aws.left() == []


def test_a_function_that_is_not_there_is_told(aws: Account) -> None:
    functions = aws.functions("nobody")
    with pytest.raises(InfrastructureError, match=r"nobody cannot be invoked.*ResourceNotFoundException"):
        aws_lambda.run(reduction(2, "{0}", operator.add), MemoryStorage(), functions)
    assert aws.left() == []


def test_every_invocation_says_what_it_was(aws: Account) -> None:
    before = len(lines(aws))
    assert value(reduction(4, "{0}", operator.add), aws.functions(), aws_lambda.POLICY) == 6
    told = lines(aws)[before:]
    assert {"done"} <= {line["outcome"] for line in told} <= {"done", "over", "watched"}
    assert all(set(line) == {"job", "executor", "outcome", "seconds"} for line in told)


def test_secrets_are_shown_nowhere(aws: Account) -> None:
    shown = "\n".join([repr(aws.functions()), *messages(aws)])
    password = Address.parse(aws.addresses.redis).password
    for secret in (aws.key.hex(), str(aws.key), password):
        assert secret not in shown


def test_nobody_gets_in_without_the_password(aws: Account) -> None:
    address = Address.parse(aws.addresses.redis)
    with pytest.raises(Exception, match="NOAUTH"):
        reply = Deployment(f"redis://{address}").one(Command("", ("KEYS", "*")))
        raise reply if isinstance(reply, Exception) else AssertionError(reply)


def test_an_update_takes_effect(aws: Account) -> None:
    changed = {**aws.environment, "GREETING": "hello"}
    sha = update(aws.clients, "sarray", built().path, changed)
    assert aws.clients.functions.get_function(FunctionName="sarray")["Configuration"]["CodeSha256"] == sha
    greeting = "__import__('os').environ['GREETING']"
    assert value(reduction(1, greeting, operator.add), aws.functions()) == "hello"

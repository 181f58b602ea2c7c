"""How fast the parts of a cloud are: every latency and bandwidth that anything here assumes, each with its source.

The numbers describe functions, stores and a client in one region of AWS. They make the cost model of
``executor="aws"``, the border between the storage tiers, the network that ``functions.shape="aws"`` puts between the
processes of this machine, and the cloud of the simulator.

A request takes its latency, and then its bytes pass through the network interface of whoever asked: one token bucket
for each function, since Lambda's limit is on the function's interface, whatever it talks to. Two things are slower here
than there, for whatever runs: both directions share the bucket, of which Lambda has one each, and there is no burst
(1.2 GiB/s for as long as 300 MiB last, half of which come back in a pause [Bodner, 4.2.1]). Limits of the services
themselves are left out: S3 grows with its requests, a cache node bursts for a while.

Sources, as of November 2026. Papers were read where that is said; of the others, what their authors published beside
them was.

* [Bodner] Bodner, Radig, Justen, Ritter, Rabl: An Empirical Evaluation of Serverless Cloud Infrastructure for
  Large-Scale Data Processing. arXiv 2501.07771, January 2025; read. Measured from February to October 2024.
* [Wukong] README of github.com/ds2-lab/Wukong, branch socc2020, the code of Carver, Zhang, Wang, Anwar, Wu, Cheng:
  Wukong. SoCC 2020, arXiv 2010.07268, October 2020.
* [Klimovic] Klimovic, Wang, Stuedi, Trivedi, Pfefferle, Kozyrakis: Pocket. OSDI, October 2018. The latencies are those
  of the script that draws its figure "Unloaded latency for 1KB requests" (12,102 and 25,819, 230 and 232 microseconds).
* [Lambda] AWS Lambda Developer Guide, "Understanding the Lambda execution environment lifecycle".
* [S3] Amazon S3 User Guide, "Performance guidelines", "Performance design patterns" and "Multipart upload limits".
* [EC2] Amazon EC2 User Guide, "Instance network bandwidth", and DescribeInstanceTypes for m5.
* [boto3] Issue 3947 of boto/boto3, "Inconsistent/poor lambda invoke performance", November 2023.
* [Cachee] cachee.ai, "Redis ElastiCache is slow", March 2026: a vendor's comparison with its own product.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from wukong_sched.policy import CostModel


@dataclass(frozen=True, slots=True)
class Service:
    """How long a store lets one request wait, and how many requests of one call run beside each other."""

    read: float = 0.0
    """Seconds from a request to the first byte of its answer."""
    write: float = 0.0
    """Seconds that a request to write takes beside its bytes."""
    beside: int = 1
    """Requests of one call that are on their way at once."""

    @property
    def latency(self) -> float:
        """Seconds of a request, be it to read or to write."""
        return (self.read + self.write) / 2

    def wait(self, requests: int, latency: float) -> float:
        """Seconds that so many requests of one call wait.

        >>> Service(read=0.5, beside=4).wait(6, 0.5)
        1.0
        """
        return -(-requests // self.beside) * latency


@dataclass(frozen=True, slots=True)
class Links:
    """The network of one cloud, as a function and as a client sees it."""

    objects: Service = Service()
    """The object store."""
    redis: Service = Service()
    """The store of middle tiles; all requests of a call are in one pipeline."""
    coordination: float = 0.0
    """Seconds of one request to the coordination store, there and back."""
    invoke: float = 0.0
    """Seconds that an invocation of a function takes its caller, until the event is accepted and on its way."""
    invokes_beside: int = 1
    """Invocations that one caller sends at once."""
    cold_start: float = 0.0
    """Seconds until an environment that did not exist takes its first event."""
    bandwidth: float = math.inf
    """Bytes a second through the network interface of one function."""
    client_bandwidth: float = math.inf
    """Bytes a second through the network interface of the client."""

    def policy(self, timeout: float = 900.0) -> CostModel:
        """The cost model of functions behind these links, each of which has so many seconds.

        >>> round(AWS.policy().invoke_seconds, 5), AWS.policy(timeout=9.0).margin
        (0.05046, 0.1)
        """
        return CostModel(
            bandwidth=self.bandwidth,
            latency=self.redis.latency,
            invoke_seconds=self.invoke + 2 * self.coordination,
            quantum=0.1,
            hold_bytes=1 << 28,
            fan=64,
            hold_seconds=0.1,
            margin=timeout / 90,
            worth=1.0,
            waits=True,
        )


AWS = Links(
    # 1 KB from a function: get 12.1 ms, put 25.8 ms [Klimovic]. 1 KiB from a large instance in 2024: medians of 27 and
    # 40, 95 % of the reads within 75 [Bodner, 4.3.3]; [S3]: "consistent small object latencies of roughly 100-200
    # milliseconds" as what to count on. The lowest of them favours whoever sends everything through S3.
    # 16 connections of 85 to 90 MB/s each are more than one function's interface takes [S3].
    objects=Service(read=0.0121, write=0.0258, beside=16),
    # 1 KB from a function: get 230, put 232 microseconds [Klimovic]. From a large instance in the same zone, to
    # ElastiCache, [Cachee] measured 339 on average.
    redis=Service(read=0.00023, write=0.000232, beside=1 << 30),
    coordination=0.00023,
    # "Relatively high overhead (~50ms per invocation)" [Wukong]; 47 to 53 when all is warm, for a function of 3 to 10
    # ms whose answer is waited for [boto3]. As many go at once as Wukong's scheduler has processes that invoke.
    invoke=0.05,
    invokes_beside=16,
    # "From under 100 ms to over 1 second" [Lambda]; half a second for a Python function of this size is a guess.
    cold_start=0.5,
    # 7.5 MiB every 100 ms once a burst is used up, "a baseline bandwidth of 75 MiB/s" [Bodner, 4.2.1], which is 78.6
    # MB/s; rounded down to 600 Mbit/s, which [Klimovic] is quoted with (not verified).
    bandwidth=75e6,
    # "Up to 10 Gigabit": an m5.large in the region of the functions, over several connections; 0.75 for long [EC2].
    client_bandwidth=1.25e9,
)

LOCAL = Links(bandwidth=1.5e9, client_bandwidth=1.5e9)
"""Processes of one machine that share Valkey and files: what copying there and back takes, measured in 2025. Nothing
is made slower to fit this."""

SHAPES: Mapping[str, Links] = {"aws": AWS}
"""Networks that the functions of this machine can be given, by name."""


def shape(name: str) -> Links | None:
    """The network of that name; None for an empty name, which is this machine's own. ValueError for any other.

    >>> shape("aws").bandwidth, shape("")
    (75000000.0, None)
    """
    if name and name not in SHAPES:
        raise ValueError(f"there is no network shape {name!r}; known: {', '.join(SHAPES)}, and '' for none")
    return SHAPES.get(name)


S3_PART = 16 << 20
"""Bytes of a part, and of a ranged read: "typical sizes for byte-range requests are 8 MB or 16 MB" [S3]."""
S3_MULTIPART = 64 << 20
"""Bytes above which a value is written in parts: "when your object size reaches 100 MB" [S3], and a little
earlier, for what one connection of 85 MB/s would take most of a second."""

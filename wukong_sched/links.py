"""How fast the parts of a cloud are: every latency and bandwidth that anything here assumes, each with its source.

The numbers describe functions, stores and a client in one region of AWS. They make the cost model of
``executor="aws"``, the border between the storage tiers, the network that ``functions.shape="aws"`` puts between the
processes of this machine, and the cloud of the simulator.

A request takes its latency, and then its bytes pass through the network interface of whoever asked: one token bucket
for each function, since Lambda's limit is on the function's interface, whatever it talks to. Two things are slower here
than there, for whatever runs: both directions share the bucket, of which Lambda has one each, and there is no burst
(1.2 GiB/s for as long as 300 MiB last, half of which come back in a pause [Bodner, 4.2.1]). Limits of the services
themselves are left out: S3 grows with its requests, a cache node bursts for a while.

Sources, each looked up on 2026-11-23 for the number that stands here. AWS's own pages change without notice; where one
is quoted, the words were found in copies of it from 2026 and may have been replaced since.

* [Bodner] Bodner, Radig, Justen, Ritter, Rabl: An Empirical Evaluation of Serverless Cloud Infrastructure for
  Large-Scale Data Processing. arXiv 2501.07771, January 2025. Measured from February to October 2024, in us-east-1.
* [Pocket] Klimovic, Wang, Stuedi, Trivedi, Pfefferle, Kozyrakis: Pocket. OSDI, October 2018. What was read is the
  authors' code: of the script that draws the figure of latencies, ``get_s3 = 12102``, ``put_s3 = 25819``,
  ``get_redis = 230`` and ``put_redis = 232`` (microseconds, 1 KB); of github.com/stanford-mast/pocket,
  controller/controller.py, ``PER_LAMBDA_MAX_Mbps = 600``, "approximate per-lambda network limit".
* [Jakthol] README of github.com/sjakthol/aws-network-benchmark, "Results (Lambda)", measured on 2024-06-15.
* [Quotas] AWS Lambda Developer Guide, "Lambda quotas"; "AWS Lambda announces scalable network bandwidth up to 3,000
  Mbps for functions outside a VPC", 2026-08-05.
* [Lambda] AWS Lambda Developer Guide, "Understanding the Lambda execution environment lifecycle".
* [Memory] AWS Lambda Developer Guide, "Configure Lambda function memory".
* [Invoke] AWS Lambda API Reference, "Invoke"; AWS Compute Blog, "More room to build: serverless services now support
  payloads up to 1 MB", 2026-01-29.
* [Wukong] github.com/ds2-lab/Wukong, branch socc2020 (README; batched_lambda_invoker.py), the code of Carver, Zhang,
  Wang, Anwar, Wu, Cheng: Wukong. SoCC 2020, arXiv 2010.07268, October 2020.
* [S3] Amazon S3 User Guide, "Best practices design patterns", "Performance design patterns" and "Uploading and copying
  objects using multipart upload".
* [EC2] DescribeInstanceTypes for m5, and Amazon EC2 User Guide, "Amazon EC2 instance network bandwidth".
* [boto3] Issue 3947 of boto/boto3, "Inconsistent/poor lambda invoke performance", November 2023.
* [Cachee] cachee.ai, "Redis ElastiCache Is Slow", 2026-03-29: a vendor's comparison with its own product.
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
    # 1 KB from a function: get 12.1 ms, put 25.8 ms [Pocket]. 1 KiB from a large instance in 2024: medians of 27 and
    # 40, 95 % of the reads within 75 [Bodner, 4.3.3]; [S3]: "consistent small object latencies ... of roughly 100-200
    # milliseconds" as what to count on. The lowest of them favours whoever sends everything through S3.
    # "One concurrent request for each 85-90 MB/s" [S3]: 16 are more than one function's interface takes.
    objects=Service(read=0.0121, write=0.0258, beside=16),
    # 1 KB from a function: get 230, put 232 microseconds [Pocket]. From a large instance in the same zone, a PING of
    # ElastiCache took 339 on average [Cachee].
    redis=Service(read=0.00023, write=0.000232, beside=1 << 30),
    coordination=0.00023,
    # "Relatively high overhead (~50ms per invocation)" [Wukong]; 47 to 53 when all is warm, for a function of 3 to 10
    # ms whose answer is waited for [boto3]. As many go at once as Wukong's scheduler has processes that invoke.
    invoke=0.05,
    invokes_beside=16,
    # "From under 100 ms to over 1 second" [Lambda]. Nobody has published it for a function of this size: half a second
    # is a guess between the two.
    cold_start=0.5,
    # 600 Mbit/s [Pocket]; "a stable 600 Mbps network throughput" at every memory size [Jakthol]. Others found a little
    # more, which is left out: 625 Mbit/s [Quotas], 75 MiB/s or 629 Mbit/s once a burst is used up [Bodner, 4.2.1]. The
    # up to 3,000 that an account can ask for [Quotas] are not for functions in a VPC, as those that reach a cache are.
    bandwidth=75e6,
    # "Up to 10 Gigabit": an m5.large in the region of the functions [EC2], over several connections, since one takes 5
    # at most; 0.75 once its burst is used up.
    client_bandwidth=1.25e9,
)

LOCAL = Links(bandwidth=1.5e9, client_bandwidth=1.5e9)
"""Processes of one machine that share Valkey and files; nothing is made slower to fit this. On two cores of an EPYC
(Zen 5), 2026-11-23, values of 1 MiB went into Valkey at 1.2 GB/s and came back at 1.6; larger values, and files, are
faster."""

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


EVENT_BYTES = 1 << 20
"""Bytes of an asynchronous event: "for asynchronous invocations, the maximum payload size is 1 MB" [Invoke]; 256 KB
until October 2025. What more than 256 KB costs stands in `prices`."""
FULL_PROCESSOR = 1769
"""MB of memory at which a function has one whole virtual processor [Memory]."""
S3_PART = 16 << 20
"""Bytes of a part, and of a ranged read: "typical sizes for byte-range requests are 8 MB or 16 MB" [S3]."""
S3_MULTIPART = 64 << 20
"""Bytes above which a value is written in parts: "when your object size reaches 100 MB" [S3], and a little
earlier, for what one connection of 85 MB/s would take most of a second."""

"""What things cost: list prices of AWS in us-east-1, in US dollars, as of `DATED`. Free tiers are left out.

The prices are those of the pages "AWS Lambda pricing", "Amazon S3 pricing" and "Amazon ElastiCache pricing" of
aws.amazon.com, which show them only to a browser; so they were compared with what repeats them, on 2026-11-23:

* [List] AWS Price List API, us-east-1, as public code recorded it: of AmazonElastiCache on 2026-10-02 (both engines),
  of AWSLambda on 2026-10-05.
* [Cost] AWS Solutions, "Automated Security Response on AWS", page "Cost" for US East (N. Virginia), as of 2026: its
  table quotes Lambda and S3.
* [Bodner] arXiv 2501.07771, tables 1 and 2: us-east-1 in 2024, the same numbers for S3.
* [Page] A copy of the page "AWS Lambda pricing" from 2026 in a public repository: "1 request per each asynchronous
  Event for first 256 KB", and "1 additional request for each 64 KB of chunk upto 1 MB".
* [Nodes] 14,033,805,639 bytes, from a public Terraform table of node types; AWS's own list was not to be had.
* [Reserved] AWS Knowledge Center, "The available memory in my Amazon ElastiCache Redis node is always less than the
  value listed": ``reserved-memory-percent`` is 25.

Check them against the pages before you decide on money.
"""

from __future__ import annotations

from dataclasses import dataclass

DATED = "2026-10"
"""Year and month of the youngest price lists that the prices were compared with."""
REGION = "us-east-1"
HOUR = 3600.0
MONTH = 30 * 24 * HOUR
GB = 1 << 30
"""Lambda and S3 count in powers of two."""


@dataclass(frozen=True, slots=True)
class Prices:
    """The table."""

    lambda_gb_second: float = 0.0000166667
    """A GB-second on x86, first six thousand million in a month [List, Cost]."""
    lambda_request: float = 0.20 / 1e6
    """An invocation [List, Cost]."""
    lambda_request_bytes: int = 256 << 10
    """Bytes of an asynchronous event that one request pays for; each 64 KB beyond are another [Page]."""
    s3_put: float = 0.005 / 1000
    """A PUT, COPY, POST or LIST request, S3 Standard [Cost, Bodner]; deletes are free."""
    s3_get: float = 0.0004 / 1000
    """A GET or any other request, S3 Standard [Cost, Bodner]."""
    s3_gb_month: float = 0.023
    """A GB for a month, S3 Standard, first 50 TB [Cost, Bodner]."""
    cache_node_hour: float = 0.1752
    """A cache.r7g.large with Valkey, on demand; with Redis OSS, 0.219 [List]."""
    cache_node_bytes: float = 0.75 * 13.07 * GB
    """What that node holds: of its 13.07 GiB [Nodes] a quarter is reserved unless one asks for less [Reserved]."""

    def functions(self, gb_seconds: float, requests: int) -> float:
        """Of functions: memory times time, and invocations.

        >>> round(Prices().functions(1000.0, 100), 6)
        0.016687
        """
        return gb_seconds * self.lambda_gb_second + requests * self.lambda_request

    def objects(self, puts: int, gets: int, byte_seconds: float = 0.0) -> float:
        """Of the object store: requests, and bytes held for so many seconds.

        >>> Prices().objects(1000, 1000)
        0.0054
        """
        held = byte_seconds / GB / MONTH * self.s3_gb_month
        return puts * self.s3_put + gets * self.s3_get + held

    def cache(self, seconds: float, nodes: int = 1) -> float:
        """Of so many cache nodes for that time; billed by the hour, here the part that was used.

        >>> Prices().cache(1800.0)
        0.0876
        """
        return seconds / HOUR * nodes * self.cache_node_hour

    def cache_byte_seconds(self, byte_seconds: float) -> float:
        """The share of a cache node's price that these bytes take, for as long as they are held."""
        return byte_seconds / self.cache_node_bytes * self.cache_node_hour / HOUR

    def function_second(self, memory: float) -> float:
        """Of one function of so many bytes."""
        return memory / GB * self.lambda_gb_second


US_EAST_1 = Prices()
"""The prices that reports and decisions use."""

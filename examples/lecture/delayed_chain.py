from dask import delayed
from sarray.cluster import LocalCluster, Client
local_cluster = LocalCluster(host='<private IPv4 of Static Scheduler VM>:8786',
                  proxy_address = '<private IPv4 of KV Store Proxy VM>',
                  num_lambda_invokers = 4,
                  # Automatically create proxy locally. Pass same IPv4 for `host` and `proxy_address`
                  use_local_proxy = True,
                  # Path to `proxy.py` file.
                  local_proxy_path = "/home/ec2-user/Wukong/KV Store Proxy/proxy.py",
                  redis_endpoints = [("127.0.0.1", 6379)],
                  use_fargate = False)
client = Client(local_cluster)

# Define some functions.

def incr(x):
  return x + 1

def decr(x):
  return x - 1

def double(x):
  return x * 2

# Linear 3-Node DAG
a = delayed(incr)(5)
b = delayed(decr)(a)
c = delayed(double)(b)

result1 = c.compute(scheduler = client.get)
print("Result: %d" % result1)

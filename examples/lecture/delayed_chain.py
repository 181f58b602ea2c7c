from dask import delayed
from sarray.cluster import LocalCluster
from reported import Client
local_cluster = LocalCluster(host='0.0.0.0:8786',
                             proxy_address = '3.83.198.204',
                             num_fargate_nodes = 10)
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

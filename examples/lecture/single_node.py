from dask import delayed
from sarray.cluster import LocalCluster
from reported import Client
local_cluster = LocalCluster(host='0.0.0.0:8786',
                             proxy_address = '3.83.198.204',
                             num_fargate_nodes = 10)
client = Client(local_cluster)

# Define a function.

def incr(x):
  return x + 1

example_computation = delayed(incr)(5)

# Start the workload.
result = example_computation.compute()
print("Result: %d" % result)

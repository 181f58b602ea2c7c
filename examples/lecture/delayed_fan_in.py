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

def add_values(x, y):
  return x + y

# 3-Node DAG with a Fan-In
x = delayed(incr)(3)
y = delayed(decr)(7)
z = delayed(add_values)(x,y)

result2 = z.compute(scheduler = client.get)
print("Result: %d" % result2)

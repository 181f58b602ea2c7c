import sarray as da
from sarray.cluster import LocalCluster
from reported import Client
local_cluster = LocalCluster(host='0.0.0.0:8786',
                             proxy_address = '3.83.198.204',
                             num_fargate_nodes = 10)
client = Client(local_cluster)

# Compute the SVD of 'Tall-and-Skinny' Matrix
X = da.random.random((200000, 1000), chunks=(10000, 1000))
u, s, v = da.linalg.svd(X)

# Start the computation.
v.compute(scheduler = client.get)

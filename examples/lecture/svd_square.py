import sarray as da
from sarray.cluster import LocalCluster
from reported import Client
local_cluster = LocalCluster(host='0.0.0.0:8786',
                             proxy_address = '3.83.198.204',
                             num_fargate_nodes = 10)
client = Client(local_cluster)

# Compute the SVD of 'Tall-and-Skinny' Matrix
X = da.random.random((10000, 10000), chunks=(2000, 2000))
u, s, v = da.linalg.svd_compressed(X, k=5)

# Start the computation.
v.compute(scheduler = client.get)

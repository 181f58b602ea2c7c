import sarray as da
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

# Compute the SVD of 'Tall-and-Skinny' Matrix
X = da.random.random((10000, 10000), chunks=(2000, 2000))
u, s, v = da.linalg.svd_compressed(X, k=5)

# Start the computation.
v.compute(scheduler = client.get)

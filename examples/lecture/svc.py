import sklearn.datasets
from sklearn.svm import SVC

import sarray.ml as dask_ml
from sarray.ml import ParallelPostFit
from sarray.cluster import LocalCluster
from reported import Client
local_cluster = LocalCluster(host='0.0.0.0:8786',
                             proxy_address = '3.83.198.204',
                             num_fargate_nodes = 10)
client = Client(local_cluster)

X, y = sklearn.datasets.make_classification(n_samples=1000)
clf = ParallelPostFit(SVC(gamma='scale'))
clf.fit(X, y)

X, y = dask_ml.datasets.make_classification(n_samples=800000,
                                             random_state=800000,
                                             chunks=800000 // 20)

# Start the computation.
clf.predict(X).compute()

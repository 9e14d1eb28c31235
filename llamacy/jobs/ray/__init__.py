"""Jobs on a cluster of machines, with Ray.

::

    clusters    the cluster that an address means, and its nodes
    worker      a model on a node, which answers some rows at a time
    resources   the cores and the memory of a worker
    crew        the workers of a cluster
    driving     a job whose rows a crew answers
    predictor   `Predictor`: a task for `map_batches` of Ray Data

This process reads the input, and writes the ledger and the output, as for a job of its
own: workers are given rows, and give back results. Ray does the rest: it finds the
nodes, starts workers there, carries rows, and tells when one is lost.
"""

from llamacy.jobs.ray.predictor import Predictor

__all__ = ["Predictor"]

"""The server as a deployment of Ray Serve: replicas on the nodes of a cluster.

::

    deploying       `deployment`, `app_builder`: models and options to an application
    replica_models  the models, as each replica loads them
    nodes           paths that only the nodes have
    replica         a server in an actor

Serve does the rest: it places replicas, restarts those that are lost, scales them, and
passes requests on to the one that has fewer.
"""

from llamacy.server.ray_serve.deploying import app_builder, deployment

__all__ = ["app_builder", "deployment"]

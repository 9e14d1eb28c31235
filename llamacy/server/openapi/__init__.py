"""The application's own description, in the form of OpenAPI.

::

    operations   the endpoints: what reads their requests, and an example of each
    schemas      fields of requests and types of responses as JSON schemas
    document     all of it together
    endpoint     /openapi.json

The fields of a request are those that its reader asks for, which an example shows.
"""

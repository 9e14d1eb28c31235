"""Measurements for Prometheus: requests, queues, tokens, and how long they take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from llamacy.results import Completion, Usage
from llamacy.server.models import Models

_FIRST = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_EACH = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """The measurements of one application, in a registry of its own.

    Parameters
    ----------
    models : Models
        The models, whose queues and memory are looked at when they are asked for.

    Attributes
    ----------
    labels : dict of str to str
        Labels that all measurements have beside their own.
    """

    def __init__(self, models: Models) -> None:
        self.labels: dict[str, str] = {}
        registry = self._registry = CollectorRegistry()
        registry.register(_Loads(models))
        by_model = ["model"]
        self._requests = Counter(
            "llamacy_requests",
            "Requests that have ended.",
            ["path", "status"],
            registry=registry,
        )
        self._running = Gauge(
            "llamacy_requests_running", "Requests that run.", registry=registry
        )
        self._read = Counter(
            "llamacy_prompt_tokens",
            "Tokens of prompts, those that were cached included.",
            by_model,
            registry=registry,
        )
        self._cached = Counter(
            "llamacy_cached_tokens",
            "Tokens of prompts that were not read again.",
            by_model,
            registry=registry,
        )
        self._written = Counter(
            "llamacy_generated_tokens", "Tokens generated.", by_model, registry=registry
        )
        self._first = Histogram(
            "llamacy_time_to_first_token_seconds",
            "Time from a request to its first token, waiting included.",
            by_model,
            buckets=_FIRST,
            registry=registry,
        )
        self._each = Histogram(
            "llamacy_time_per_token_seconds",
            "Mean time of each further token of a text.",
            by_model,
            buckets=_EACH,
            registry=registry,
        )

    def note_request(self, path: str, status: int, n_running: int) -> None:
        """Note a request that has ended.

        Parameters
        ----------
        path : str
            The path of its route.
        status : int
            Its status.
        n_running : int
            Requests that still run.
        """
        self._requests.labels(path, str(status)).inc()
        self._running.set(n_running)

    def note_texts(self, model: str, texts: Iterable[Completion]) -> None:
        """Note texts that have ended; those that never began are left out."""
        for text in texts:
            used, times = text.usage, text.timings
            if text.finish_reason == "cancelled" and not used.completion_tokens:
                continue
            self._read.labels(model).inc(used.prompt_tokens)
            self._cached.labels(model).inc(used.cached_tokens)
            self._written.labels(model).inc(used.completion_tokens)
            self._first.labels(model).observe(times.time_to_first_token)
            if times.n_generated:
                seconds = times.generation_seconds / times.n_generated
                self._each.labels(model).observe(seconds)

    def note_read(self, model: str, usage: Usage) -> None:
        """Note texts that were only read."""
        self._read.labels(model).inc(usage.prompt_tokens)

    def shown(self) -> bytes:
        """Return all measurements, in Prometheus's text format."""
        return bytes(generate_latest(_Labelled(self._registry, self.labels)))


class _Labelled(Collector):
    """Measurements of others, with further labels."""

    def __init__(self, measured: Collector, labels: Mapping[str, str]) -> None:
        self._measured = measured
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        """Yield the measurements: the interface of Prometheus's client."""
        for family in self._measured.collect():
            labels = [{**sample.labels, **self._labels} for sample in family.samples]
            family.samples = [
                sample._replace(labels=each)
                for sample, each in zip(family.samples, labels, strict=True)
            ]
            yield family


class _Loads(Collector):
    """The queues and the memory of models, as they are when they are asked for."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        """Yield the measurements: the interface of Prometheus's client."""
        families = [
            _family("llamacy_texts_running", "Texts that have a place in the passes."),
            _family("llamacy_texts_waiting", "Texts that wait for a place."),
            _family("llamacy_kv_pages_used", "Pages of the KV cache in use."),
            _family("llamacy_kv_bytes", "Bytes of the KV cache in use."),
            _family("llamacy_weight_bytes", "Bytes of weights in memory."),
        ]
        for name, model in self._models.loaded.items():
            load, executor = model.engine.load(), model.executor
            values = (
                load.n_active,
                load.n_waiting,
                load.n_pages_used,
                getattr(executor, "kv_bytes_used", 0),
                getattr(executor, "weight_bytes", 0),
            )
            for family, value in zip(families, values, strict=True):
                family.add_metric([name], value)
        yield from families


def _family(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=["model"])

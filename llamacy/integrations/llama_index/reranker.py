"""The nodes that answer a query best, for LlamaIndex's query engines."""

from __future__ import annotations

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

from llamacy import ArgumentError, Ranking
from llamacy.integrations.reranking import RerankingModel


class LlamacyReranker(RerankingModel, BaseNodePostprocessor):
    """Keeps the nodes that answer a query best, the best first.

    For `node_postprocessors` of LlamaIndex's query engines. A node is read with the
    metadata that it is embedded with, and its score becomes that of the reranker.

    Attributes
    ----------
    model : str, os.PathLike or llamacy.Model
        A reranker: a path or a name, as for `llamacy.load`, or a model that is loaded.
    n_ctx, n_threads, n_batch, kv_type, quantize, prompt_cache, max_active : optional
        As for `llamacy.load`, if `model` is a path or a name.
    top_n : int or None, default 3
        How many nodes to keep; None keeps all.
    truncate : bool, default False
        Whether texts that are too long are cut; by default they are an error.
    instruction : str, optional
        The task, for models that are told of it.
    """

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex knows the class."""
        return "Llamacy_reranker"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return _best(nodes, self.ranking(_asked(query_bundle), _texts(nodes)))

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return _best(nodes, await self.aranking(_asked(query_bundle), _texts(nodes)))


def _asked(query_bundle: QueryBundle | None) -> str:
    if query_bundle is None:
        raise ArgumentError("query_bundle: wanted a query to rank nodes by, found None")
    return query_bundle.query_str


def _texts(nodes: list[NodeWithScore]) -> list[str]:
    return [each.node.get_content(MetadataMode.EMBED) for each in nodes]


def _best(nodes: list[NodeWithScore], ranking: Ranking) -> list[NodeWithScore]:
    """Return the best nodes, with their scores."""
    return [
        NodeWithScore(node=nodes[index].node, score=score) for index, score in ranking
    ]

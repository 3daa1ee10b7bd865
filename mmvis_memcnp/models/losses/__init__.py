"""Losses that mmdet lacks."""
from .contrastive_embedding import ContrastiveEmbeddingLoss
from .query_instance import QueryInstanceLoss, QueryPairs

__all__ = ['ContrastiveEmbeddingLoss', 'QueryInstanceLoss', 'QueryPairs']

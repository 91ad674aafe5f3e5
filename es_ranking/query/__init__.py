"""Sorted by recommended: an existing query body in, the page (or the equivalent body) out."""

from es_ranking.query.batch import recommended_batch
from es_ranking.query.prepare import Request
from es_ranking.query.recommended import recommended, rewrite

__all__ = ["Request", "recommended", "recommended_batch", "rewrite"]

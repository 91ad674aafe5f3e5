"""Sorted by recommended: an existing query body in, the page (or the equivalent body) out."""

from es_ranking.query.recommended import recommended, rewrite

__all__ = ["recommended", "rewrite"]

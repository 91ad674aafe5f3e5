"""An item's texts as a short vector: TF-IDF and truncated SVD (latent semantic analysis, Deerwester et al. 1990)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from threadpoolctl import threadpool_limits

from spark_jobs.features.settings import TextVectorSettings

Vectors = NDArray[np.float32]
WORD = r"(?u)[^\W_]+"


def text_vectors(texts: Sequence[str], settings: TextVectorSettings, *, width: int | None = None) -> Vectors:
    """One vector of unit length for each text; a text without known words gets zeros.

    The order of the texts does not change a text's vector beyond rounding, nor does the machine: the SVD is seeded, and
    each axis points to where its largest weight is positive.

    Args:
        texts: one an item, in any order.
        settings: width, vocabulary, seed, and how many texts the SVD is fitted on (evenly spread).
        width: overrides the width of the settings; axes that the texts cannot fill are zero.
    """
    width = width or settings.width
    vectors = np.zeros((len(texts), width), dtype=np.float32)
    # Fitted on distinct texts in order of the alphabet: the same items give the same axes, however they arrive.
    distinct = sorted(set(texts))
    sample = distinct[:: max(1, len(distinct) // settings.fit_items)]
    vectorizer = TfidfVectorizer(
        token_pattern=WORD, max_features=settings.vocabulary, sublinear_tf=True, dtype=np.float64
    )
    try:
        fitted = vectorizer.fit_transform(sample)
    except ValueError:  # no word in any text
        return vectors
    axes = min(width, min(fitted.shape) - 1)
    if axes < 1:
        return vectors
    # Most of the work is sparse, which has no threads; the rest would only wait for them on a busy machine.
    with threadpool_limits(1):
        svd = TruncatedSVD(n_components=axes, algorithm="randomized", n_iter=5, random_state=settings.seed).fit(fitted)
        largest = np.abs(svd.components_).argmax(axis=1)
        signs = np.sign(svd.components_[np.arange(axes), largest])
        found = svd.transform(vectorizer.transform(distinct)) * signs
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    # What is left of a text outside the axes is noise of the rounding; it must not be blown up to unit length.
    found = np.where(lengths > 1e-9, found / np.maximum(lengths, 1e-9), 0.0)
    place = {text: at for at, text in enumerate(distinct)}
    vectors[:, :axes] = found[[place[text] for text in texts]]
    return vectors

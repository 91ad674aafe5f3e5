from __future__ import annotations

import numpy as np
import pytest

from segments.errors import ContractBroken, UsageError
from spark_jobs.models.boosted_settings import BoostedSettings
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.registry import model_settings
from spark_jobs.models.training import fit
from tests.contracts.ranker import SCHEMA, TRAINING, RankerContract, examples


class TestBoosted(RankerContract):
    SETTINGS = BoostedSettings(trees_a_pass=20, rate=0.2, depth=5)
    LEAST_AUC = 0.75

    def test_every_parameter_gets_a_gradient_and_changes(self) -> None:
        """Trees have no gradient: what training changes is the trees, and the codes of the values it saw."""
        data = examples(2000)
        fitted = fit(self.SETTINGS, Encoder(SCHEMA), train=data, valid=None, settings=TRAINING)
        assert not list(fitted.model.parameters())
        assert fitted.model.size > 80, "no trees"
        seen = fitted.model.get_buffer("coded").numpy()
        assert np.isfinite(seen[fitted.encoder.out_of_vocabulary, :2]).all(), "never seen is a value"
        assert np.isnan(seen[fitted.encoder.neutral]).all(), "neutral is missing"


class TestRanked(TestBoosted):
    SETTINGS = BoostedSettings(objective="rank:ndcg", trees_a_pass=20, rate=0.2, depth=5)
    LEAST_AUC = 0.72

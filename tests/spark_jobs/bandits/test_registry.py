"""Every registered bandit keeps the contract, as a shelf's settings make it."""

from __future__ import annotations

import pytest

from segments.errors import UsageError
from spark_jobs.bandits.contract import Bandit
from spark_jobs.bandits.registry import BANDITS, bandit
from spark_jobs.bandits.settings import ExploreSettings
from tests.contracts.bandit import BanditContract


@pytest.mark.parametrize("name", sorted(set(BANDITS) - {"softmax"}))
class TestRegistered(BanditContract):
    @pytest.fixture
    def bandit(self, name: str) -> Bandit:
        return bandit(name, ExploreSettings())


class TestSoftmax(BanditContract):
    settles = False

    @pytest.fixture
    def bandit(self) -> Bandit:
        return bandit("softmax", ExploreSettings())


def test_an_unknown_bandit_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="thompson"):
        bandit("thomson", ExploreSettings())


def test_more_cannot_be_owed_than_is_allowed() -> None:
    with pytest.raises(ValueError, match="most"):
        ExploreSettings(share=0.5, most=0.2)

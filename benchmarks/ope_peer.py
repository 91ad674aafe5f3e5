"""obp's answers on the logs that benchmarks/ope.py wrote; runs in the peers' environment: FILE.npz to JSON lines."""

from __future__ import annotations

import json
import sys

import numpy as np
from obp import ope

SLOT = {
    "ipw": ope.InverseProbabilityWeighting(),
    "snipw": ope.SelfNormalizedInverseProbabilityWeighting(),
    "dm": ope.DirectMethod(),
    "dr": ope.DoublyRobust(),
    "sndr": ope.SelfNormalizedDoublyRobust(),
    "switch-dr": ope.SwitchDoublyRobust(),
    "dr-os": ope.DoublyRobustWithShrinkage(),  # its default, 0, is the model alone
    "dr-os, 1": ope.DoublyRobustWithShrinkage(lambda_=1.0),
}

logs = np.load(sys.argv[1])
for k in range(int(logs["runs"])):
    log = {name: logs[f"{name}_{k}"] for name in ("reward", "action", "pscore", "action_dist", "model")}
    shared = {"reward": log["reward"], "action": log["action"], "pscore": log["pscore"],
              "action_dist": log["action_dist"][:, :, None], "position": np.zeros(log["reward"].size, int)}  # fmt: skip
    model = log["model"][:, :, None]
    print(
        json.dumps(
            {
                name: float(each.estimate_policy_value(**shared, estimated_rewards_by_reg_model=model))
                for name, each in SLOT.items()
            }
        )
    )

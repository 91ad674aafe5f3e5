"""obp's answers for benchmarks/ope.py; runs in the peers' environment.

ope_peer.py slots LOGS.npz         answers on the logs in the file, one JSON line a log
ope_peer.py slates LOGS.npz RUNS   makes logs of obp's own slate world and writes them there; answers as above
"""

from __future__ import annotations

import json
import sys

import numpy as np
from obp import ope
from obp.dataset import SyntheticSlateBanditDataset, linear_behavior_policy_logit, logistic_reward_function

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
LENGTH, ACTIONS, ROUNDS = 3, 8, 1000


def slots(path: str) -> None:
    logs = np.load(path)
    for k in range(int(logs["runs"])):
        log = {name: logs[f"{name}_{k}"] for name in ("reward", "action", "pscore", "action_dist", "model")}
        shared = {"reward": log["reward"], "action": log["action"], "pscore": log["pscore"],
                  "action_dist": log["action_dist"][:, :, None],
                  "position": np.zeros(log["reward"].size, int)}  # fmt: skip
        model = log["model"][:, :, None]
        found = {
            name: float(each.estimate_policy_value(**shared, estimated_rewards_by_reg_model=model))
            for name, each in SLOT.items()
        }
        print(json.dumps(found))


def slates(path: str, runs: int) -> None:
    """Rewards hang on the places above (cascade); lists without repeats, of a softmax policy against another."""
    world = SyntheticSlateBanditDataset(
        n_unique_action=ACTIONS, len_list=LENGTH, dim_context=2, reward_type="binary",
        reward_structure="cascade_additive", click_model="cascade", random_state=12345,
        behavior_policy_function=linear_behavior_policy_logit, base_reward_function=logistic_reward_function,
    )  # fmt: skip

    score = np.linspace(-1.0, 1.0, ACTIONS)
    context = np.random.default_rng(1).normal(size=(5000, 2))
    told = {"runs": runs, "truth": world.calc_ground_truth_policy_value(context, np.tile(score, (5000, 1)))}
    told["score"] = score
    for k in range(runs):
        log = world.obtain_batch_bandit_feedback(n_rounds=ROUNDS)
        whole, place, cascade = world.obtain_pscore_given_evaluation_policy_logit(
            log["action"], np.tile(score, (ROUNDS, 1))
        )
        shared = {"slate_id": log["slate_id"], "reward": log["reward"], "position": log["position"]}
        found = {
            "ips": ope.SlateStandardIPS(len_list=LENGTH).estimate_policy_value(
                **shared, pscore=log["pscore"], evaluation_policy_pscore=whole
            ),
            "iips": ope.SlateIndependentIPS(len_list=LENGTH).estimate_policy_value(
                **shared, pscore_item_position=log["pscore_item_position"],
                evaluation_policy_pscore_item_position=place,
            ),
            "rips": ope.SlateRewardInteractionIPS(len_list=LENGTH).estimate_policy_value(
                **shared, pscore_cascade=log["pscore_cascade"], evaluation_policy_pscore_cascade=cascade
            ),
        }  # fmt: skip
        print(json.dumps({name: float(value) for name, value in found.items()}))
        shape = (ROUNDS, LENGTH)
        told |= {f"action_{k}": log["action"].reshape(shape), f"reward_{k}": log["reward"].reshape(shape),
                 f"cascade_{k}": (cascade / log["pscore_cascade"]).reshape(shape),
                 f"place_{k}": (place / log["pscore_item_position"]).reshape(shape)}  # fmt: skip
    np.savez(path, **told)


if sys.argv[1] == "slates":
    slates(sys.argv[2], int(sys.argv[3]))
else:
    slots(sys.argv[2])

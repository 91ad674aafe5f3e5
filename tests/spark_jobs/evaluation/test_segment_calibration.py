from __future__ import annotations

import numpy as np

from spark_jobs.evaluation.segment_calibration import by_segment


def people(n: int, each: int, truth: float, promised: float, *, seed: int) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    who = np.repeat(np.arange(n) + 1000 * seed, each)
    # People differ: rows of one are not independent.
    own = np.clip(truth * random.gamma(2.0, 0.5, n), 0, 0.9)[who - 1000 * seed]
    return (random.random(n * each) < own).astype(float), np.full(n * each, promised), who


def test_a_segment_fails_where_its_whole_interval_is_outside() -> None:
    cases = {"right": (400, 0.2, 0.2), "far": (400, 0.2, 0.4), "short": (400, 0.4, 0.2), "few": (4, 0.2, 0.25)}
    parts = [people(n, 50, t, p, seed=k) for k, (n, t, p) in enumerate(cases.values(), start=1)]
    label, p, who = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    segment = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    found = by_segment(label, p, np.ones(len(label)), person=who, segment=segment, names=dict(enumerate(cases)))
    assert {name: each.fails for name, each in found.items()} == {
        "right": False, "far": True, "short": True, "few": False,
    }  # fmt: skip
    for name, each in found.items():
        assert each.low <= each.ratio <= each.high, name
        assert each.people == cases[name][0]
    assert found["few"].high - found["few"].low > 3 * (found["right"].high - found["right"].low)


def test_rows_stand_for_their_weight_and_people_stay_together() -> None:
    label, p, who = people(300, 20, 0.2, 0.2, seed=1)
    kept = (label == 1) | (np.random.default_rng(1).random(len(label)) < 0.5)
    weight = np.where(label == 1, 1.0, 2.0)[kept]
    segment = np.zeros(kept.sum(), dtype=int)
    found = by_segment(label[kept], p[kept], weight, person=who[kept], segment=segment, names={})["0"]
    assert found.low < 1.0 < found.high
    alone = by_segment(label[kept], p[kept], weight, person=np.arange(kept.sum()), segment=segment, names={})["0"]
    assert alone.high - alone.low < found.high - found.low, "rows taken for independent look surer than they are"
    again = by_segment(label[kept], p[kept], weight, person=who[kept], segment=segment, names={})["0"]
    assert again == found


def test_without_a_click_there_is_no_proof() -> None:
    found = by_segment(np.zeros(50), np.full(50, 0.01), np.ones(50), person=np.arange(50), segment=np.full(50, 7),
                       names={7: "age=old"})["age=old"]  # fmt: skip
    assert (found.ratio, found.high, found.fails) == (np.inf, np.inf, False), "half a click was promised"
    much = by_segment(np.zeros(500), np.full(500, 0.1), np.ones(500), person=np.arange(500), segment=np.full(500, 7),
                      names={})["7"]  # fmt: skip
    assert much.fails, "fifty were"
    assert by_segment([], [], [], person=[], segment=[], names={}) == {}

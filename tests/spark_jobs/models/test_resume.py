from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from segments.errors import ContractBroken, Refused
from spark_jobs.fields import FieldSchema
from spark_jobs.models import weight_files
from spark_jobs.models.checkpoint import Checkpoint, load, save
from spark_jobs.models.develop import develop
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.partial import SIDECAR, changes
from spark_jobs.models.settings import DeepFMSettings, LogisticSettings
from spark_jobs.models.training import Fitted, continue_training, fit, score_examples
from spark_jobs.models.training_settings import TrainingSettings
from tests.contracts.killed import killed_after
from tests.contracts.ranker import SCHEMA, TRAINING, examples

MODEL = DeepFMSettings(dim=4, hidden=(8,), dropout=0.2, batch_norm=True)
# 15 steps an epoch, everything that has a memory switched on.
SETTINGS = TRAINING.model_copy(
    update={"epochs": 3, "averaging": 0.9, "schedule": "plateau", "warmup_steps": 5, "patience": 9,
            "weight_decay": 1e-4, "negatives": 0.8, "negative_method": "resample", "checkpoint_every": 4}
)  # fmt: skip


def train(folder: Path | None, settings: TrainingSettings = SETTINGS) -> Fitted:
    data, valid = examples(1500), examples(400, seed=4)
    return fit(MODEL, Encoder(SCHEMA), train=data, valid=valid, settings=settings, folder=folder)


def same(one: Fitted, other: Fitted) -> bool:
    mine, theirs = one.model.state_dict() | one.state, other.model.state_dict() | other.state
    losses = [[(p["train_loss"], p["gauc"], p["logloss"]) for p in fitted.curve] for fitted in (one, other)]
    return (
        mine.keys() == theirs.keys()
        and all(torch.equal(mine[name], theirs[name]) for name in mine)
        and losses[0] == losses[1]
        and one.epochs == other.epochs
    )


@pytest.mark.parametrize("optimizer", ["adam", "rowwise_adagrad"])
@pytest.mark.parametrize("savings", [1, 5])  # in the middle of an epoch, and after the first
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(
    optimizer: str, savings: int, tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"optimizer": optimizer})
    whole = train(None, settings)
    with killed_after(savings):
        train(tmp_path, settings)
    torch.manual_seed(99)  # whatever happened in between
    assert same(train(tmp_path, settings), whole)
    # It had ended: once more is the same again, at once.
    assert same(train(tmp_path, settings), whole)


def test_other_settings_would_not_be_the_same() -> None:
    assert not same(train(None), train(None, SETTINGS.model_copy(update={"seed": 8})))


def stall_in_the_second_saving(folder: str) -> None:
    """Child: half of the second saving's bytes are on the disk, then nothing happens any more."""
    real, savings = weight_files.write_durably, 0

    def write(path: Path, content: bytes) -> None:
        nonlocal savings
        savings += path.suffix == ".safetensors"
        if savings < 2:
            real(path, content)
            return
        with path.with_name(f"{path.name}.{os.getpid()}.tmp").open("wb") as file:
            file.write(content[: len(content) // 2])
            file.flush()
            os.write(1, b"half")
            signal.pause()

    weight_files.write_durably = write
    train(Path(folder))


def test_kill_9_in_the_middle_of_a_saving_leaves_the_one_before(tmp_path: Path) -> None:
    script = f"from {__name__} import *; stall_in_the_second_saving({str(tmp_path)!r})"
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.read(4) == b"half"
        child.kill()
    assert child.returncode == -signal.SIGKILL
    assert json.loads((tmp_path / SIDECAR).read_text())["values"]["loop"]["steps"] == 4, "the first saving's"
    assert list(tmp_path.glob("*.tmp")), "the second one's half"
    assert same(train(tmp_path), train(None))
    assert not list(tmp_path.glob("*.tmp")), "swept by the next saving"


def test_another_training_is_refused_with_the_differences(tmp_path: Path) -> None:
    train(tmp_path)
    with pytest.raises(Refused, match=r"training.batch_size was 512, is now 256") as error:
        train(tmp_path, SETTINGS.model_copy(update={"batch_size": 256}))
    assert "remove" in str(error.value)
    with pytest.raises(Refused, match="the examples have changed"):
        fit(MODEL, Encoder(SCHEMA), train=examples(1400), valid=None, settings=SETTINGS, folder=tmp_path)
    with pytest.raises(Refused, match=r"model\.dim was 4, is now 5"):
        fit(MODEL.model_copy(update={"dim": 5}), Encoder(SCHEMA), train=examples(1500), valid=None,
            settings=SETTINGS, folder=tmp_path)  # fmt: skip
    other = FieldSchema(fields=tuple(f.model_copy(update={"buckets": 99}) if f.name == "brand" else f
                                     for f in SCHEMA.fields))  # fmt: skip
    dumps = [schema.model_dump(mode="json") for schema in (other, SCHEMA)]
    assert changes({"schema": dumps[0]}, {"schema": dumps[1]}) == ["field brand has buckets 64, not 99"]
    # How often it is saved may change, and what comes after training.
    train(tmp_path, SETTINGS.model_copy(update={"checkpoint_every": "epoch", "calibration": "none"}))


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    train(tmp_path)
    weights = next(tmp_path.glob("partial-*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(ContractBroken, match="damaged"):
        train(tmp_path)
    (tmp_path / SIDECAR).write_text("{}")
    with pytest.raises(ContractBroken, match="cannot be read"):
        train(tmp_path)


def test_a_developed_model_is_gone_on_with(tmp_path: Path) -> None:
    data = examples(3000)
    border = int(np.quantile(data.time, 0.75))
    settings = SETTINGS.model_copy(update={"checkpoint_every": "epoch", "epochs": 2})

    def run(folder: Path | None) -> Checkpoint:
        return develop(MODEL, SCHEMA, examples=data, valid_from=border, training=settings, unfinished=folder).checkpoint

    first, again, plain = run(tmp_path), run(tmp_path), run(None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["choose", "refit"]
    for checkpoint in (again, plain):
        states = (first.model.state_dict(), checkpoint.model.state_dict())
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
        assert first.calibration == checkpoint.calibration


def test_training_continues_from_a_checkpoint_with_its_optimiser(tmp_path: Path) -> None:
    settings = TRAINING.model_copy(update={"averaging": 0.9, "epochs": 1})
    old = fit(MODEL, Encoder(SCHEMA), train=examples(3000), valid=None, settings=settings)
    save(Checkpoint(MODEL, old.encoder, old.model, state=old.state), tmp_path)
    bare, full = load(tmp_path), load(tmp_path, training=True)
    assert not bare.state
    assert full.state.keys() == old.state.keys()
    assert all(torch.equal(full.state[name], old.state[name]) for name in old.state)
    before = {name: value.clone() for name, value in full.model.state_dict().items()}
    news = examples(1000, seed=8)
    with_it, without = (continue_training(c, news, settings, learning_rate=0.001) for c in (full, bare))
    assert all(torch.equal(value, before[name]) for name, value in full.model.state_dict().items()), "untouched"
    assert not same_weights(with_it, without), "the optimiser's state is used"
    held = examples(4000, seed=9)
    moved = np.abs(score_examples(with_it, held) - score_examples(old, held)).mean()
    far = continue_training(full, news, settings, learning_rate=0.05)
    assert 0 < moved < 0.3 * np.abs(score_examples(far, held) - score_examples(old, held)).mean()
    moments = with_it.state["optimiser.bias.step"] - old.state["optimiser.bias.step"]
    assert moments == len(with_it.curve) * -(-1000 // 32), "steps are counted on"


def same_weights(one: Fitted, other: Fitted) -> bool:
    mine, theirs = one.model.state_dict(), other.model.state_dict()
    return all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_values_new_since_the_checkpoint_start_where_the_unknown_were() -> None:
    data = examples(3000)
    known = np.isin(data.rows[:, 0], np.unique(data.rows[:, 0])[:40])
    old = fit(LogisticSettings(), Encoder(SCHEMA), train=data.where(known), valid=None, settings=TRAINING)
    checkpoint = Checkpoint(LogisticSettings(), old.encoder, old.model, state=old.state)
    news = data.where(~known)
    still = continue_training(checkpoint, news, TRAINING, learning_rate=1e-12)
    assert still.encoder.seen[news.rows].all()
    assert not old.encoder.seen[news.rows].all(), "the old encoder is left alone"
    assert np.allclose(score_examples(still, news), score_examples(old, news), atol=1e-4)
    learnt = continue_training(checkpoint, news, TRAINING)
    assert score_examples(learnt, news).std() > 1.5 * score_examples(old, news).std(), "each goes its own way"


def test_nothing_new_is_refused() -> None:
    old = fit(LogisticSettings(), Encoder(SCHEMA), train=examples(300), valid=None, settings=TRAINING)
    clicks = examples(300)
    with pytest.raises(Refused, match="two labels"):
        continue_training(Checkpoint(LogisticSettings(), old.encoder, old.model),
                          replace(clicks, label=np.ones(300)), TRAINING)  # fmt: skip

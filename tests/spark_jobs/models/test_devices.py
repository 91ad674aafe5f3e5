"""Training on another device than the processor: a stand-in everywhere, the accelerator where the machine has one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from segments.errors import UsageError
from spark_jobs.models.checkpoint import Checkpoint, load, save
from spark_jobs.models.course import Course
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.loop import Loop, device_of
from spark_jobs.models.memory import InMemory
from spark_jobs.models.partial import Partial
from spark_jobs.models.registry import build
from spark_jobs.models.settings import DeepFMSettings, DeepFwFMSettings, ModelSettings, TwoTowerSettings
from spark_jobs.models.training import continue_training, fit, score_examples
from spark_jobs.models.training_settings import TrainingSettings
from tests.contracts.elsewhere import DEVICE, PLACES, place
from tests.contracts.planted import SCHEMA, TRAINING, examples

ONCE = TRAINING.model_copy(update={"epochs": 1, "averaging": 0.9})
SMALL = DeepFMSettings(dim=4, hidden=(8,))


def chances(logits: np.ndarray) -> np.ndarray:
    found: np.ndarray = 1.0 / (1.0 + np.exp(-logits))
    return found


@pytest.mark.parametrize("optimizer", ["adam", "rowwise_adagrad"])
@pytest.mark.parametrize("where", PLACES)
def test_devices_agree(where: str, optimizer: str) -> None:
    data, held = examples(3000), examples(1000, seed=4)
    scores = []
    for device in ("cpu", "cuda"):
        settings = ONCE.model_copy(update={"device": device, "optimizer": optimizer, "table_rate": 0.05})
        with place(where):
            fitted = fit(SMALL, Encoder(SCHEMA), train=data, valid=held, settings=settings)
        assert {value.device.type for value in (*fitted.model.state_dict().values(), *fitted.state.values())} == {"cpu"}
        scores.append(chances(score_examples(fitted, held)))
    assert np.abs(scores[0] - scores[1]).max() < 1e-4


@pytest.mark.parametrize(
    "model",
    [
        DeepFMSettings(dim=4, hidden=(16, 8), dropout=0.3),
        DeepFwFMSettings(dim=4, hidden=(8,), prune_deep=0.3, prune_pairs=0.3, prune_embeddings=0.3, prune_steps=8),
        TwoTowerSettings(dim=4, hidden=(8,), out=4, loss="both", negatives=16, dropout=0.2),
    ],
)
@pytest.mark.parametrize("optimizer", ["adam", "rowwise_adagrad"])
def test_what_draws_prunes_and_counts_does_it_there(model: ModelSettings, optimizer: str) -> None:
    data, held = examples(1500), examples(300, seed=4)
    scores = []
    for device in ("cpu", "cuda"):
        settings = ONCE.model_copy(update={"device": device, "optimizer": optimizer, "emb_reg": 1e-4})
        with place("elsewhere"):
            fitted = fit(model, Encoder(SCHEMA), train=data, valid=held, settings=settings)
        scores.append(score_examples(fitted, held))
    assert np.abs(scores[0] - scores[1]).max() < 1e-4


@pytest.mark.parametrize("where", PLACES)
def test_an_unfinished_training_goes_on_there(where: str, tmp_path: Path) -> None:
    """Stopped in the middle of an epoch, a new loop on the device ends as one that was never stopped."""
    data = examples(1500)
    settings = ONCE.model_copy(update={"epochs": 2, "optimizer": "rowwise_adagrad", "checkpoint_every": 2})

    def course(folder: Path) -> tuple[Course, Loop]:
        encoder = Encoder(SCHEMA)
        source = InMemory(data)
        source.fit(encoder)
        there = settings.model_copy(update={"device": "cuda"})
        loop = Loop(build(SMALL, encoder, seed=1), encoder, source, there, epochs=2)
        assert loop.network.bias.device.type != "cpu"
        found = Course(loop, None, there)
        found.keep(Partial(folder, {"of": "this"}))
        return found, loop

    class Stopped(Exception):
        pass

    with place(where):
        whole = course(tmp_path / "whole")[0].run(2)
        broken, loop = course(tmp_path / "broken")
        step = loop._step

        def stop(*given: torch.Tensor) -> torch.Tensor:
            if loop.steps == 5:
                raise Stopped
            return step(*given)

        loop._step = stop  # type: ignore[method-assign, assignment]
        with pytest.raises(Stopped):
            broken.run(2)
        resumed, again = course(tmp_path / "broken")
        assert again.steps == 4
        weights = resumed.run(2)
        assert all((weights[name].cpu() - whole[name].cpu()).abs().max() <= 1e-5 for name in whole)


@pytest.mark.parametrize("where", PLACES)
def test_a_checkpoint_goes_on_there(where: str, tmp_path: Path) -> None:
    data, more = examples(1500), examples(800, seed=8)
    here = ONCE.model_copy(update={"optimizer": "rowwise_adagrad"})
    first = fit(SMALL, Encoder(SCHEMA), train=data, valid=None, settings=here)
    save(Checkpoint(SMALL, first.encoder, first.model, state=first.state), tmp_path)
    scores = []
    for device in ("cpu", "cuda"):
        with place(where):
            past = load(tmp_path, training=True)
            fitted = continue_training(past, more, here.model_copy(update={"device": device}))
        scores.append(chances(score_examples(fitted, more)))
    assert np.abs(scores[0] - scores[1]).max() < 1e-4
    assert np.abs(scores[0] - chances(score_examples(first, more))).max() > 1e-3, "nothing was learnt"


def test_the_stand_in_refuses_what_an_accelerator_would() -> None:
    with place("elsewhere") as device:
        there, here = torch.ones(3, device=device), torch.ones(3)
        assert there.device == DEVICE
        assert (there + 1.0).sum().item() == 6.0
        assert torch.equal((there * torch.tensor(2.0)).cpu(), here * 2)
        for mixed in (lambda: there + here, lambda: there[torch.tensor([0])], lambda: torch.cat([there, here])):
            with pytest.raises(RuntimeError, match="one device"):
                mixed()
        with pytest.raises((TypeError, RuntimeError)):
            there.numpy()


def test_the_device_is_the_one_asked_for() -> None:
    present = torch.cuda.is_available()
    assert device_of(TrainingSettings()).type == "cpu"
    assert device_of(TrainingSettings(device="auto")).type == ("cuda" if present else "cpu")


def test_a_device_that_is_not_there_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="no CUDA device"):
        device_of(TrainingSettings(device="cuda"))

"""What training hides, so that a network knows what to say where something is not known."""

from __future__ import annotations

import numpy as np
import torch

from spark_jobs.models.encoding import Encoder
from spark_jobs.models.ranker import Batch
from spark_jobs.models.training_settings import TrainingSettings


class Masks:
    """Hides ids (as never seen), segment fields (`any`) and context fields (neutral), each by chance."""

    def __init__(self, encoder: Encoder, settings: TrainingSettings) -> None:
        masked = np.zeros(len(encoder.categorical))
        self.together: list[tuple[torch.Tensor, float]] = []
        for fields, chance in (
            (encoder.roles("segment"), settings.mask_segments),
            (encoder.roles("context"), settings.mask_context),
        ):
            # Half of it hides all fields of the role at once: that is how the segment `all`, and every published rank,
            # is scored. The rest hides each by itself, so that a field is hidden as often as asked.
            masked[fields] = 0.5 * chance / (1.0 - 0.5 * chance)
            self.together.append((torch.from_numpy(fields), 0.5 * chance))
        self.masked = torch.from_numpy(masked.astype(np.float32))
        self.dropped = settings.drop_ids
        self.neutral = torch.from_numpy(encoder.neutral)
        self.unseen = torch.from_numpy(encoder.out_of_vocabulary)
        numeric = [settings.mask_context if field.role == "context" else 0.0 for field in encoder.numeric]
        self.numeric = torch.tensor(numeric, dtype=torch.float32)

    def __call__(self, batch: Batch, random: torch.Generator) -> Batch:
        """A batch with some of its values hidden; draws from `random` alone."""
        rows, numeric = batch.rows, batch.numeric
        if rows.shape[1] and (self.dropped or bool(self.masked.any())):
            draw = torch.rand(rows.shape, generator=random)
            rows = torch.where(draw < self.masked, self.neutral, rows)
            for fields, chance in self.together:
                whole = torch.rand((rows.shape[0], 1), generator=random) < chance
                rows = torch.where(whole & fields, self.neutral, rows)
            rows = torch.where(draw > 1.0 - self.dropped, self.unseen, rows)
        if bool(self.numeric.any()):
            numeric = numeric * (torch.rand(numeric.shape, generator=random) >= self.numeric)
        return Batch(rows, numeric, batch.vectors)

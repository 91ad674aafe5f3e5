"""Gradient steps: Adam for everything, or row-wise Adagrad for the embedding table and Adam for the rest.

Row-wise Adagrad (Duchi, Hazan, Singer, JMLR 2011, with one state number a row as in Naumov et al., arXiv:1906.00091),
by each part of a row:

    s_r ← s_r + mean(g_r²),   w_r ← w_r − rate · g_r / (√s_r + ε)

The parts are the embedding and what stands behind it. A linear weight's gradient is many times an embedding number's:
in one sum with it, the embedding hardly moves (docs/training.md, "Measured"). Only the rows of the step are touched,
where Adam reads and writes the whole table and twice as much state. The step's distinct rows are copied out, the
network reads that small table by new row numbers, and the rows go back after the step: the gradient is never as large
as the table.

Weight decay adds λ·w to the gradient (L2, not decoupled); under row-wise Adagrad to the step's rows alone. `emb_reg`
does the same to the table before the gradient is clipped, as a term λ/2·‖table‖² of the loss does.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from spark_jobs.models.adam import Adam
from spark_jobs.models.ranker import Batch, Ranker, Targets
from spark_jobs.models.sides import Sides
from spark_jobs.models.training_settings import TrainingSettings

EPSILON = 1e-8


def table_names(network: nn.Module) -> list[str]:
    """Names of the parameters whose rows `Batch.rows` numbers."""
    return [name for name, _ in network.named_parameters() if name.rpartition(".")[2] == "table"]


def parts_of(network: nn.Module) -> dict[str, list[int]]:
    """Name of a table → widths of the parts of its rows."""
    holders = {name: network.get_submodule(name.rpartition(".")[0]) for name in table_names(network)}
    return {name: list(sides.spans) for name, sides in holders.items() if isinstance(sides, Sides)}


class Optimiser:
    """Takes one step a batch; its state is plain tensors by parameter name."""

    def __init__(self, network: Ranker, settings: TrainingSettings) -> None:
        self.network, self.settings = network, settings
        self.parameters = dict(network.named_parameters())
        self.tables = {name: self.parameters[name] for name in table_names(network)}
        self.sparse = bool(self.tables) and settings.optimizer != "adam"
        if settings.optimizer == "auto":
            # A lone weight has to go far, which Adagrad's shrinking steps do not: see docs/training.md, "Measured".
            self.sparse = any(table.shape[1] > 1 for table in self.tables.values())
        dense = {name: value for name, value in self.parameters.items() if not self.sparse or name not in self.tables}
        self.adam = Adam(dense, decay=settings.weight_decay)
        self.rows: _Rows | None = _Rows(self.tables, parts_of(network)) if self.sparse else None
        # Of networks within a network (an ensemble's members) as well.
        self.numbered = [name for name, _ in network.named_buffers() if name.rpartition(".")[2] == "numbered"]
        self.whole = _Objective(network)

    def step(self, batch: Batch, targets: Targets, *, rate: float) -> Tensor:
        """One step at `rate` times the settings' learning rates; returns the loss."""
        self.adam.forget_gradients()
        if self.rows is None:
            loss = self.network.objective(batch, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            self._regularise(self.tables)
            self._clip([*self.parameters.values()])
            self.adam.step(self.settings.learning_rate * rate)
            return loss.detach()
        chosen, batch = self.rows.choose(batch)
        small = {name: table.detach().index_select(0, chosen).requires_grad_() for name, table in self.tables.items()}
        given = {f"network.{name}": table for name, table in small.items()}
        given |= {f"network.{name}": chosen for name in self.numbered}
        loss = cast(Tensor, functional_call(self.whole, given, (batch, targets), strict=False))
        loss.backward()  # type: ignore[no-untyped-call]
        self._regularise(small)
        self._clip([*self.adam.parameters.values(), *small.values()])
        self.adam.step(self.settings.learning_rate * rate)
        self.rows.step(chosen, small, rate=self.settings.table_rate * rate, decay=self.settings.weight_decay)
        return loss.detach()

    def state(self) -> dict[str, Tensor]:
        """Moments and row sums, by parameter."""
        found = {} if self.rows is None else {f"{name}.sum": value for name, value in self.rows.sums.items()}
        return found | self.adam.state()

    def restore(self, state: dict[str, Tensor]) -> None:
        """Goes on from what `state` gave; what it lacks (another optimiser's state) starts afresh."""
        self.adam.restore(state)
        if self.rows is not None:
            for name, sums in self.rows.sums.items():
                kept = state.get(f"{name}.sum")
                if kept is not None and kept.shape == sums.shape:  # one sum a row in checkpoints of before
                    sums.copy_(kept)

    def _clip(self, parameters: list[Tensor] | list[nn.Parameter]) -> None:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        # Dividing by 1 would read and write a whole table; a GPU would have to wait for the answer.
        if norm.device.type != "cpu" or norm.item() > self.settings.clip:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.settings.clip, norm)

    def _regularise(self, tables: dict[str, Tensor] | dict[str, nn.Parameter]) -> None:
        if self.settings.emb_reg:
            for table in tables.values():
                if table.grad is not None:
                    table.grad.add_(table.detach(), alpha=self.settings.emb_reg)


class _Rows:
    """The rows of a step, and a sum a row of each of its parts: the embedding, and what stands behind it."""

    def __init__(self, tables: dict[str, nn.Parameter], parts: dict[str, list[int]]) -> None:
        self.tables = tables
        self.sums = {
            name: torch.zeros(len(table), len(parts[name]), device=table.device) for name, table in tables.items()
        }
        # (width, parts), 1 where a number belongs to a part: products with it are quicker than parts one by one.
        self.members = {
            name: torch.eye(len(parts[name])).repeat_interleave(torch.tensor(parts[name]), dim=0).to(table.device)
            for name, table in tables.items()
        }
        first = next(iter(tables.values()))
        self.place = torch.zeros(len(first), dtype=torch.int32, device=first.device)

    def choose(self, batch: Batch) -> tuple[Tensor, Batch]:
        """The batch's distinct rows, and the batch with places among them for rows."""
        flat = batch.rows.reshape(-1).long()
        if flat.device.type == "cpu":
            # Of equal rows the last writes its place; whoever finds his own place there stands for them all. NumPy
            # writes in order whatever the threads, and nothing passes over the whole table.
            rows, place = flat.numpy(), self.place.numpy()
            order = np.arange(len(rows), dtype=np.int32)
            place[rows] = order
            mine = rows[place[rows] == order]
            place[mine] = order[: len(mine)]
            return torch.from_numpy(mine), batch._replace(rows=torch.from_numpy(place[rows]).view_as(batch.rows))
        chosen = torch.unique(flat)
        self.place[chosen] = torch.arange(len(chosen), dtype=torch.int32, device=chosen.device)
        return chosen, batch._replace(rows=self.place[flat].view_as(batch.rows))

    def step(self, chosen: Tensor, small: dict[str, Tensor], *, rate: float, decay: float) -> None:
        """Row-wise Adagrad on the chosen rows."""
        with torch.no_grad():
            for name, rows in small.items():
                gradient = rows.grad
                if gradient is None:
                    continue
                if decay:
                    gradient.add_(rows, alpha=decay)
                members = self.members[name]
                total = self.sums[name].index_select(0, chosen)
                total.addmm_(gradient.square(), members / members.sum(0))
                self.sums[name].index_copy_(0, chosen, total)
                steps = (rate / (total.sqrt() + EPSILON)) @ members.T
                moved = torch.addcmul(rows, gradient, steps, value=-1.0)
                self.tables[name].index_copy_(0, chosen, moved)


class _Objective(nn.Module):
    """The objective as a module's forward, so that a table can be exchanged for its rows."""

    def __init__(self, network: Ranker) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch, targets: Targets) -> Tensor:
        return self.network.objective(batch, targets)

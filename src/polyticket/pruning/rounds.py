"""Training under masks, always from the same original weights: one round of pruning, or one transfer of a mask."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from polyticket.core.logs import Progress, log
from polyticket.pruning.masked import apply_, rewind_, snapshot
from polyticket.pruning.model_masks import candidates_of
from polyticket.tasks.backbones.base import Backbone
from polyticket.tasks.finetuning import FinetuningSpec, Split, prepare
from polyticket.tasks.metrics import Prediction, Scores
from polyticket.tasks.options import learning_rate_at
from polyticket.tasks.training import Trainer, planned_steps
from polyticket.tickets.masks import Masks


@dataclass(frozen=True)
class Round:
    """What one round gives.

    Attributes:
        loss: The mean loss of its last tenth of steps.
        scores: `dev` and `test` to named scores, after the last step.
        predictions: `dev` and `test` to one for each example.
    """

    loss: float
    scores: dict[str, Scores]
    predictions: dict[str, list[Prediction]]


class Rounds:
    """A model and a task's data, trained again and again from the original weights.

    The batches run on from round to round, as one long pass over the data; optimiser and learning rate begin anew.

    Args:
        backbone: The pretrained model.
        splits: Examples of `train`, `dev` and `test`.
        spec: What is to be learned; `epochs`, `max_steps`, `save_steps` and `patience` of its options do not count.
        together: Whether an mT5's encoder and decoder are pruned as one pool.
    """

    def __init__(
        self, backbone: Backbone, splits: Mapping[str, Split], spec: FinetuningSpec, *, together: bool = False
    ) -> None:
        self.spec, self.kind, self.name = spec, backbone.kind, f"{spec.task.name} {spec.language}"
        made = prepare(backbone, splits, spec)
        self.made, self.head, self.model = made, made.head, made.model
        self.named = made.backbone.named(self.model.backbone)
        read = self.head.reads_pooler
        self.candidates = candidates_of(made.backbone, self.model.backbone, together=together, pooler=read)
        self._original = {"backbone": snapshot(self.model.backbone), "head": snapshot(self.model.head)}

    def run(self, masks: Masks, number: int, steps: int, *, rewind_head: bool = False, line: int = 1) -> Round:
        """Rewind, prune, train, score.

        Args:
            masks: What is kept, one row.
            number: Of the round, from 0: it takes the batches from step `number · steps` on.
            steps: Updates.
            rewind_head: Whether the head, too, begins anew.
            line: The number of rounds after which the line that the learning rate falls along is at 0.
        """
        rewind_(self.model.backbone, self._original["backbone"])
        if rewind_head:
            rewind_(self.model.head, self._original["head"])
        held = apply_(self.named, masks)
        trainer = Trainer(self.model, self.head, self.spec.options, held.mask_gradients, self.name)
        loss = self._train(trainer, number, steps, line)
        scores: dict[str, Scores] = {}
        predictions: dict[str, list[Prediction]] = {}
        for split in ("dev", "test"):
            scores[split], predictions[split] = self.made.score(split)
        kept = int(masks.counts().sum()) / sum(masks.sizes.values())
        chosen = self.spec.task.selection
        log.info(f"{self.name}: {kept:.1%} kept, loss {loss:.4f}, dev {chosen} {scores['dev'][chosen]:.4f}")
        return Round(loss, scores, predictions)

    def head_state(self) -> dict[str, Tensor]:
        """A copy of the head's weights."""
        return snapshot(self.model.head)

    def load_head(self, state: Mapping[str, Tensor]) -> None:
        """Give the head weights that it had."""
        rewind_(self.model.head, state)

    def _train(self, trainer: Trainer, number: int, steps: int, line: int) -> float:
        options, seed = self.spec.options, self.spec.seed
        first, encoded = number * steps, self.made.windows["train"]
        plan = islice(planned_steps(encoded.lengths(), None, options, seed), first, first + steps)
        progress = Progress(f"{trainer.name}, round {number}", steps, "steps")
        torch.manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
        self.model.train()
        losses = []
        for step, windows in enumerate(plan):
            random = np.random.default_rng([seed, 1, first + step])
            batches = trainer.micro_batches(encoded, windows, random)
            losses.append(trainer.step(batches, learning_rate_at(options, step, line * steps), first + step + 1))
            progress.add(loss=losses[-1])
        return float(np.mean(losses[-max(1, steps // 10) :]))

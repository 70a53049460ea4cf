"""Fine-tuning under masks, from the original weights: a round of a search, or a transfer of a mask."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from polyticket.core.logs import Progress, log
from polyticket.pruning.masked import apply_masks, rewind_, snapshot
from polyticket.pruning.model_masks import prunable_weights
from polyticket.tasks.backbones.base import Backbone
from polyticket.tasks.finetuning import FinetuningSpec, Split, prepare
from polyticket.tasks.metrics import Prediction, Scores
from polyticket.tasks.options import learning_rate_at
from polyticket.tasks.training import Losses, Trainer, planned_steps
from polyticket.tickets.masks import Masks


@dataclass(frozen=True)
class Round:
    """The result of one round.

    Attributes:
        loss: The mean loss of its last tenth of steps.
        scores: `dev` and `test` to named scores, after the last step.
        predictions: `dev` and `test` to a prediction per example.
    """

    loss: float
    scores: dict[str, Scores]
    predictions: dict[str, list[Prediction]]


class Rounds:
    """A model and the data of a task, trained under masks, always from the same original weights.

    The batches continue from round to round, as in one long pass over the data. The optimizer and the learning rate
    start anew in each round.

    Args:
        backbone: The pretrained model.
        splits: Examples of `train`, `dev` and `test`.
        spec: The task, language, seed and options; of the options, `epochs`, `max_steps`, `save_steps` and `patience`
            are not used.
        joint_pool: Whether an mT5's encoder and decoder are pruned as one pool.
    """

    def __init__(
        self, backbone: Backbone, splits: Mapping[str, Split], spec: FinetuningSpec, *, joint_pool: bool = False
    ) -> None:
        self.spec, self.kind, self.name = spec, backbone.kind, f"{spec.task.name} {spec.language}"
        prepared = prepare(backbone, splits, spec)
        self.prepared, self.head, self.model = prepared, prepared.head, prepared.model
        self.named = prepared.backbone.named(self.model.backbone)
        self.prunable = prunable_weights(
            prepared.backbone, self.model.backbone, joint_pool=joint_pool, pooler=self.head.reads_pooler
        )
        self._original = {"backbone": snapshot(self.model.backbone), "head": snapshot(self.model.head)}

    def run(self, masks: Masks, number: int, steps: int, *, rewind_head: bool = False, decay_rounds: int = 1) -> Round:
        """Rewind, prune, train, score.

        Args:
            masks: One row.
            number: The round's number, from 0; it takes the batches from step `number · steps` on.
            steps: Updates.
            rewind_head: Whether the task head is rewound too.
            decay_rounds: The number of rounds that the learning rate falls to 0 over.
        """
        rewind_(self.model.backbone, self._original["backbone"])
        if rewind_head:
            rewind_(self.model.head, self._original["head"])
        masked = apply_masks(self.named, masks)
        trainer = Trainer(self.model, self.head, self.spec.options, masked.mask_gradients, self.name)
        loss = self._train(trainer, number, steps, decay_rounds)
        scores: dict[str, Scores] = {}
        predictions: dict[str, list[Prediction]] = {}
        for split in ("dev", "test"):
            scores[split], predictions[split] = self.prepared.score(split)
        density = int(masks.counts().sum()) / sum(masks.sizes.values())
        metric = self.spec.task.selection
        log.info(f"{self.name}: {density:.1%} kept, loss {loss:.4f}, dev {metric} {scores['dev'][metric]:.4f}")
        return Round(loss, scores, predictions)

    def head_state(self) -> dict[str, Tensor]:
        """A copy of the task head's weights."""
        return snapshot(self.model.head)

    def load_head(self, state: Mapping[str, Tensor]) -> None:
        """Set the task head's weights."""
        rewind_(self.model.head, state)

    def _train(self, trainer: Trainer, number: int, steps: int, decay_rounds: int) -> float:
        options, seed = self.spec.options, self.spec.seed
        first, encoded = number * steps, self.prepared.windows["train"]
        plan = islice(planned_steps(encoded.lengths(), None, options, seed), first, first + steps)
        progress = Progress(f"{trainer.name}, round {number}", steps, "steps")
        torch.manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
        self.model.train()
        losses = Losses(progress)
        for step, windows in enumerate(plan):
            random = np.random.default_rng([seed, 1, first + step])
            batches = trainer.micro_batches(encoded, windows, random)
            rate = learning_rate_at(options, step, decay_rounds * steps)
            losses.add(trainer.queued_step(batches, rate, first + step + 1))
        return float(np.mean(losses.all()[-max(1, steps // 10) :]))

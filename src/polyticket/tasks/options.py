"""Options of fine-tuning."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FinetuneOptions:
    """Options of fine-tuning; the defaults are those of XTREME.

    Attributes:
        learning_rate: The peak of the learning rate; see `learning_rate_at`.
        lr_schedule: `linear`, to 0 at the end, or `constant`.
        optimizer: `adamw` or `adafactor`, see `optimizer_of`.
        warmup_steps: Updates over which the learning rate rises to its peak.
        weight_decay: Decoupled, of all weights but biases and LayerNorms.
        max_grad_norm: Largest norm of all gradients together; None does not clip.
        epochs: Passes over the training split; `adaptive_least_seen` may add more.
        adaptive_least_seen: The fewest training examples to see, repeats included.
        max_steps: Updates in all, in place of `epochs` and `adaptive_least_seen`; None uses these two.
        batch_size: The most windows in a micro-batch, which is what is in memory at a time.
        accumulation: A step has `batch_size` · `accumulation` windows.
        max_seq_length: Subword tokens in a window, special ones included.
        save_steps: Steps between two evaluations on dev.
        patience: Evaluations without a better score after which to stop; None never stops early.
        max_train_examples: Train on at most N random examples; None for all.
        eval_batch_size: Windows in a batch of evaluation.
        precision: Of matrix products: `float32`, `bfloat16`, or `auto`, see `autocast`.
        mlm_probability: Share of a window's tokens that masked language modelling masks and predicts.
        num_beams: Beams of the search by which mT5 generates an answer; 1 is greedy.
        label_all_tokens: Whether tagging is trained on every subword token of a word, and not on its first alone.
        threads: Compute threads. Scores depend on their number.
    """

    learning_rate: float = 2e-5
    lr_schedule: str = "linear"
    optimizer: str = "adamw"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    max_grad_norm: float | None = 1.0
    epochs: int = 2
    adaptive_least_seen: int = 10_000
    max_steps: int | None = None
    batch_size: int = 8
    accumulation: int = 4
    max_seq_length: int = 128
    save_steps: int = 500
    patience: int | None = None
    max_train_examples: int | None = None
    eval_batch_size: int = 64
    precision: str = "auto"
    mlm_probability: float = 0.15
    num_beams: int = 1
    label_all_tokens: bool = False
    threads: int = 2


def learning_rate_at(options: FinetuneOptions, step: int, steps: int) -> float:
    """The learning rate of an update.

    It rises linearly from 0 over `warmup_steps` updates; then it falls linearly to 0 after `steps`, or is constant.

    Args:
        options: Peak, warm-up and schedule.
        step: The number of the update, from 0.
        steps: Updates until it reaches 0.
    """
    warmup = options.warmup_steps
    if step < warmup:
        return options.learning_rate * step / warmup
    if options.lr_schedule == "constant":
        return options.learning_rate
    return options.learning_rate * max(0.0, (steps - step) / max(1, steps - warmup))


def planned_epochs(examples: int, options: FinetuneOptions) -> int:
    """`epochs`, or more if `adaptive_least_seen` examples need them."""
    return max(options.epochs, -(-options.adaptive_least_seen // examples))

"""How a step is shared out: equal parts of one language each, over devices and one after the other."""

from typing import NamedTuple

from polyticket.core.errors import PolyticketError

KEY = "pretraining.languages_per_step"
PUBLISHED_PARTS, PUBLISHED_SIZE = 8, 32


class Sharing(NamedTuple):
    """The parts of a step on the devices of a strategy, in order.

    Attributes:
        parts: Of the step.
        devices: That compute it.
        each: Parts that a device computes, one after the other; 1 where several devices compute a part.
        group: Devices that compute a part together; 1 where a device computes whole parts.
    """

    parts: int
    devices: int
    each: int
    group: int

    @classmethod
    def of(cls, parts: int, devices: int) -> "Sharing":
        """Share parts out over devices.

        Raises:
            PolyticketError: The devices do not divide the parts, and the parts not the devices.
        """
        if parts % devices and devices % parts:
            expected = f"a multiple of {devices}, or a divisor of it"
            raise PolyticketError(f"{parts} on {devices} devices", where=f"config {KEY}", expected=expected)
        return cls(parts, devices, max(1, parts // devices), max(1, devices // parts))


def usual_parts(batch_size: int) -> int:
    """Languages per step where none are given: at most the published 8, of at least the published 32 sequences each."""
    most = max(1, min(PUBLISHED_PARTS, batch_size // PUBLISHED_SIZE))
    return next(parts for parts in range(most, 0, -1) if batch_size % parts == 0)


def check_parts(batch_size: int, parts: int | None, accumulation: int, *, devices: int = 1) -> None:
    """Refuse a batch that cannot be cut into equal parts, shared out over devices and cut into micro-batches.

    Args:
        batch_size: Sequences per step.
        parts: Languages per step; None for `usual_parts`.
        accumulation: Micro-batches that a device computes its share of a part in.
        devices: That compute a step.

    Raises:
        PolyticketError: It cannot.
    """
    known = usual_parts(batch_size) if parts is None else parts
    if batch_size % known:
        expected = f"a divisor of pretraining.batch_size {batch_size}"
        raise PolyticketError(f"{known}", where=f"config {KEY}", expected=expected)
    sharing = Sharing.of(known, devices)
    cuts = known * sharing.group * accumulation
    if batch_size % cuts:
        over = f" × {sharing.group} devices that share a part" if sharing.group > 1 else ""
        raise PolyticketError(
            f"{batch_size} is not divisible by {known} languages_per_step{over} × {accumulation} accumulation",
            where="config pretraining.batch_size",
            expected=f"a multiple of {cuts}",
        )

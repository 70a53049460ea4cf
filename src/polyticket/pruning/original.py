"""The sub-network of a model as it came, before any training: what others are compared with."""

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, folder_sha256
from polyticket.model.hub import located
from polyticket.pruning.candidates import candidates_of
from polyticket.pruning.criteria import by_magnitude
from polyticket.pruning.files import made_by, write_subnetwork
from polyticket.pruning.levels import share_kept
from polyticket.tasks.subject import read_subject


def write_original(
    model: Pathlike, path: Pathlike, sparsity: float, *, together: bool = False, pooler: bool = True
) -> None:
    """Prune the weights of a model by magnitude, and write what is kept, in a row named `original`.

    Args:
        model: A folder or Hugging Face name.
        path: The file.
        sparsity: In percent, above 0 and below 100.
        together: Whether an mT5's encoder and decoder are one pool.
        pooler: Whether a BERT's pooler is pruned, as for tasks that read it.

    Raises:
        PolyticketError: No such model, or a sparsity that is none.
    """
    if not 0 < sparsity < 100:
        raise PolyticketError(f"{sparsity:g}", where="sparsity", expected="a percentage above 0 and below 100")
    subject, share = read_subject(model), share_kept(str(sparsity))
    found = candidates_of(subject, together=together, pooler=pooler)
    masks = by_magnitude(found.weights, found.full, found.pools, share)
    made = made_by(masks, method="magnitude", share=share, kind=subject.kind, together=together)
    provenance = {**made, "digests": {"model": folder_sha256(located(model))}}
    write_subnetwork(path, masks, name="original", provenance=provenance)

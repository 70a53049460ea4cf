"""How often the translation of a sentence is the one retrieved, at each layer of an encoder, dense or pruned."""

from polyticket.files import folder_sha256, sha256, write_json
from polyticket.logs import logged
from polyticket.model.folder import read_model
from polyticket.model.torch_bert import torch_encoder
from polyticket.model.torch_setup import prepare_torch
from polyticket.provenance import versions
from polyticket.subnetworks.files import read_subnetwork
from polyticket.subnetworks.retrieval import scores_of
from polyticket.subnetworks.sentence_states import encode, pooled_states, read_parallel, weight_masked
from polyticket.tasks.pieces import Pieces

PACKAGES = ("faiss-cpu", "numpy", "tokenizers", "torch")


def main(
    model: str, subnetwork: str | None, texts: list[str], scores: str, *, pair: list[str], options: dict, threads: int
) -> None:
    device, made, pieces = prepare_torch(threads), read_model(model), Pieces(model)
    if subnetwork is not None:
        ticket = read_subnetwork(subnetwork)
        made = weight_masked(made, ticket, ticket.languages[0])
    encoder, states, cut = torch_encoder(made).to(device), [], []
    for sentences in read_parallel(*texts, options["most"]):
        ids, too_long = encode(pieces, sentences, min(options["max_seq_length"], made.shape.max_position_embeddings))
        how = {"pooling": options["pooling"], "batch_size": options["batch_size"], "pad": pieces.special("pad")}
        states.append(pooled_states(encoder, ids, **how))
        cut.append(too_long)
    found = scores_of(*states, margins=options["margins"], k=options["neighbours"])
    digests = {"model": folder_sha256(model), "texts": [sha256(path) for path in texts]}
    digests["subnetwork"] = subnetwork and sha256(subnetwork)
    about = {"source": pair[0], "target": pair[1], "truncated": cut, "options": options, "device": str(device)}
    write_json(scores, about | found | {"digests": digests, "versions": versions(PACKAGES)})


with logged(snakemake.log[0]):
    main(
        snakemake.input.model,
        snakemake.input.get("subnetwork") or None,
        [snakemake.input.source, snakemake.input.target],
        snakemake.output.scores,
        pair=list(snakemake.params.pair),
        options=dict(snakemake.params.options),
        threads=snakemake.threads,
    )

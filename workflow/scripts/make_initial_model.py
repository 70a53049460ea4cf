"""A random BERT of the configured shape, with its tokenizer."""

from polyticket.core.files import written_beside
from polyticket.core.logs import log, logged
from polyticket.model.folder import write_model
from polyticket.model.initial import initial_model
from polyticket.model.shape import BertShape
from polyticket.tokenizer.wordpiece import load_for_text


def main(tokenizer: str, model: str, *, shape: dict, seed: int) -> None:
    sizes = dict(shape)
    heads, dropout = sizes.pop("scaled_heads"), sizes.pop("dropout")
    plain = BertShape(
        vocab_size=load_for_text(tokenizer).get_vocab_size(),
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        **sizes,
    )
    scaled = plain.scaled(heads) if heads else plain
    log.info("%s", scaled)
    with written_beside(model, folder=True) as place:
        write_model(initial_model(scaled, seed), place, tokenizer=tokenizer)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            snakemake.input.tokenizer, snakemake.output.model, shape=snakemake.params.shape, seed=snakemake.params.seed
        )

"""The compact encoder as an ONNX graph, written node by node: heads keep their sizes, and bytes are reproducible.

Between the attention's products all tensors are [B·T, width], so that every dense layer is one `Gemm`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.model.torch_compact import CompactBert, unpacked

if TYPE_CHECKING:
    import onnx

GRAPH = "model.onnx"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OPSET, IR = 20, 10  # the oldest with Gelu
LARGEST = 1_900_000_000  # bytes that one protobuf message holds, less some room
NEEDED = "the packages onnx and onnxruntime, pinned in requirements.in"


def write_onnx(encoder: CompactBert, folder: Pathlike) -> None:
    """Write `model.onnx` into an existing folder.

    Inputs are int64 [batch, sequence] `input_ids`, `attention_mask`, `token_type_ids`; outputs are
    `last_hidden_state` float32 [batch, sequence, H] and, if there is a pooler, `pooler_output` [batch, H]. Batch and
    sequence are free, the latter up to the longest of the model. Beyond 1.9 GB the weights go to `model.onnx.data`.

    Raises:
        PolyticketError: The package onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise PolyticketError(f"no ONNX: {error}", where="form onnx", expected=NEEDED) from None
    model = _Graph(encoder).model()
    path = Path(folder) / GRAPH
    if sum(tensor.nbytes for tensor in encoder.state_dict().values()) < LARGEST:
        onnx.save_model(model, str(path))
    else:
        onnx.save_model(model, str(path), save_as_external_data=True, location=f"{GRAPH}.data")


class OnnxEncoder:
    """onnxruntime on the CPU behind the call of `CompactBert.encode`, in NumPy.

    Args:
        folder: What `write_onnx` filled.
        threads: Compute threads.

    Raises:
        PolyticketError: onnxruntime is not installed, or the graph cannot be loaded.
    """

    def __init__(self, folder: Pathlike, threads: int) -> None:
        path = Path(folder) / GRAPH
        try:
            import onnxruntime
        except ImportError as error:
            raise PolyticketError(f"no onnxruntime: {error}", where="form onnx", expected=NEEDED) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
        providers = ["CPUExecutionProvider"]
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # of the runtime's own kinds, one for each thing that can be wrong with a graph
            raise PolyticketError(f"not a graph that onnxruntime loads: {error}", where=path) from None

    def encode(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64], token_type_ids: NDArray[np.int64]
    ) -> Sequence[NDArray[np.float32]]:
        """Hidden states [B, T, H] and, if there is a pooler, pooled features [B, H]."""
        return self.session.run(None, dict(zip(INPUTS, (input_ids, attention_mask, token_type_ids), strict=True)))


class _Graph:
    """Collects nodes and weights in the order of the forward pass; methods give the names of the tensors they make."""

    def __init__(self, encoder: CompactBert) -> None:
        self.layout, self.shape = encoder.layout, encoder.shape
        self.state = {name.removeprefix("bert."): tensor.numpy() for name, tensor in unpacked(encoder).items()}
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, NDArray[Any]] = {}

    def model(self) -> "onnx.ModelProto":
        """The whole graph, its outputs the hidden states and, if there is a pooler, the pooled features."""
        from onnx import TensorProto, helper, numpy_helper

        axes = ["batch", "sequence"]
        H, f32 = self.shape.hidden_size, TensorProto.FLOAT
        outputs = [helper.make_tensor_value_info(self._hidden(), f32, [*axes, H])]
        if self.layout.pooler is not None:
            outputs.append(helper.make_tensor_value_info(self._pooled(), f32, ["batch", H]))
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, axes) for name in INPUTS]
        weights = [numpy_helper.from_array(np.asarray(w, order="C"), name) for name, w in self.weights.items()]
        graph = helper.make_graph(self.nodes, "compact_bert", inputs, outputs, weights)
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR, producer_name="polyticket")

    def _node(self, kind: str, inputs: Sequence[str], output: str, **settings: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], **settings))
        return output

    def _weight(self, name: str, array: NDArray[Any]) -> str:
        self.weights[name] = array
        return name

    def _numbers(self, name: str, *values: int) -> str:
        return self._weight(name, np.array(values, np.int64))

    def _hidden(self) -> str:
        """Embeddings, all layers, and the last hidden states as [B, T, H]."""
        H = self.shape.hidden_size
        flat = self._numbers("flat", -1, H)
        self._node("Shape", ["input_ids"], "batch_and_sequence")
        self._node("Concat", ["batch_and_sequence", self._numbers("rest", -1)], "by_sentence", axis=0)
        self._node("Concat", ["batch_and_sequence", self._numbers("column", 1)], "square", axis=0)
        x = self._node("Reshape", [self._embedded(), flat], "embedded.flat")
        float_mask = self._node("Cast", ["attention_mask"], "mask.float", to=1)
        padding = self._node("Sub", [self._weight("one", np.array(1, np.float32)), float_mask], "mask.padding")
        least = self._weight("least", np.array(np.finfo(np.float32).min))
        self._node(
            "Unsqueeze", [self._node("Mul", [padding, least], "mask.scores"), self._numbers("second", 1)], "unseen"
        )
        for number in range(self.shape.num_hidden_layers):
            x = self._layer(f"encoder.layer.{number}", number, x)
        return self._node("Reshape", [x, "by_sentence"], "last_hidden_state")

    def _embedded(self) -> str:
        at = "embeddings"
        words = self._node("Gather", [self._own(f"{at}.word_embeddings.weight"), "input_ids"], "words")
        kinds = self._node("Gather", [self._own(f"{at}.token_type_embeddings.weight"), "token_type_ids"], "kinds")
        zero, one = self._numbers("zero", 0), self._numbers("first", 1)
        length = self._node("Slice", ["batch_and_sequence", one, self._numbers("end", 2)], "length")
        table = self._own(f"{at}.position_embeddings.weight")
        positions = self._node("Slice", [table, zero, length, zero], "positions")
        tokens = self._node("Add", [words, kinds], "words.kinds")
        return self._norm(at, self._node("Add", [tokens, positions], "embedded.sum"))

    def _layer(self, at: str, number: int, x: str) -> str:
        sizes = self.layout.layers[number]
        mixed = self._attention(f"{at}.attention.self", number, x)
        x = self._project(f"{at}.attention.output", sum(sizes.value), mixed, x)
        wide = ""
        if sizes.intermediate:
            approximate = "none" if self.shape.hidden_act == "gelu" else "tanh"
            dense = self._dense(f"{at}.intermediate.dense", x)
            wide = self._node("Gelu", [dense], f"{at}.gelu", approximate=approximate)
        return self._project(f"{at}.output", sizes.intermediate, wide, x)

    def _project(self, at: str, inputs: int, x: str, residual: str) -> str:
        """Dense, residual, LayerNorm; without inputs the dense layer is its bias."""
        dense = self._dense(f"{at}.dense", x) if inputs else self._own(f"{at}.dense.bias")
        return self._norm(at, self._node("Add", [residual, dense], f"{at}.sum"))

    def _attention(self, at: str, number: int, x: str) -> str:
        sizes, mixed = self.layout.layers[number], []
        queries = self._heads(f"{at}.query", sizes.query_key, x, self.shape.head_size**-0.5)
        keys = self._heads(f"{at}.key", sizes.query_key, x)
        values = self._heads(f"{at}.value", sizes.value, x)
        for head, value in values.items():
            here = f"{at}.{head}"
            scores = "unseen"
            if head in queries:
                turned = self._node("Transpose", [keys[head]], f"{here}.turned", perm=[0, 2, 1])
                scores = self._node("MatMul", [queries[head], turned], f"{here}.products")
                scores = self._node("Add", [scores, "unseen"], f"{here}.scores")
            seen = self._node("Softmax", [scores], f"{here}.weights", axis=2)
            if head not in queries:  # one row serves all positions
                seen = self._node("Expand", [seen, "square"], f"{here}.all")
            mixed.append(self._node("MatMul", [seen, value], f"{here}.mixed"))
        if not mixed:
            return ""
        joined = self._node("Concat", mixed, f"{at}.joined", axis=2)
        return self._node("Reshape", [joined, self._numbers(f"{at}.width", -1, sum(sizes.value))], f"{at}.flat")

    def _heads(self, name: str, sizes: Sequence[int], x: str, scale: float = 1.0) -> dict[int, str]:
        """A projection's parts [B, T, size] by head, those of size 0 left out."""
        from onnx import helper

        alive = {head: size for head, size in enumerate(sizes) if size}
        if not alive:
            return {}
        whole = self._node("Reshape", [self._dense(name, x, scale), "by_sentence"], f"{name}.whole")
        parts = [f"{name}.{head}" for head in alive]
        lengths = self._numbers(f"{name}.sizes", *alive.values())
        self.nodes.append(helper.make_node("Split", [whole, lengths], parts, axis=2))
        return dict(zip(alive, parts, strict=True))

    def _pooled(self) -> str:
        """Tanh of the first token's projection; the removed rows are zero here, which costs nothing that counts."""
        first = self._node(
            "Gather", ["last_hidden_state", self._weight("cls", np.array(0, np.int64))], "first_token", axis=1
        )
        for kind in ("weight", "bias"):
            kept = self.state[f"pooler.dense.{kind}"]
            full = np.zeros((self.shape.hidden_size, *kept.shape[1:]), kept.dtype)
            full[self.state["pooled"]] = kept
            self.state[f"pooler.dense.{kind}"] = full
        return self._node("Tanh", [self._dense("pooler.dense", first)], "pooler_output")

    def _own(self, name: str, scale: float = 1.0) -> str:
        return self._weight(name, self.state[name] if scale == 1 else self.state[name] * np.float32(scale))

    def _dense(self, name: str, x: str, scale: float = 1.0) -> str:
        weights = [self._own(f"{name}.{kind}", scale) for kind in ("weight", "bias")]
        return self._node("Gemm", [x, *weights], f"{name}.out", transB=1)

    def _norm(self, at: str, x: str) -> str:
        weights = [self._own(f"{at}.LayerNorm.{kind}") for kind in ("weight", "bias")]
        return self._node("LayerNormalization", [x, *weights], f"{at}.norm", epsilon=self.shape.layer_norm_eps)

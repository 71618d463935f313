"""A tiny random BERT with a vocabulary of words, and texts for it."""

import numpy as np
import pytest

WORDS = (
    "a the film plot is was very not good bad fine dull moving boring great awful long "
    "short one two three of time waste joy story actor scene light dark"
).split()
GOOD, BAD = "good fine moving great joy".split(), "bad dull boring awful waste".split()


def save_tiny_bert(folder, seed=0, **config):
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: i for i, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    module = BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
            **config,
        )
    )
    # Weights of trained size, so that texts differ from each other.
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8)
    torch.random.set_rng_state(state)
    fast.save_pretrained(folder)
    module.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    pytest.importorskip("transformers", reason="needs the extra 'text'")
    return save_tiny_bert(tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture(scope="session")
def tiny_callable(tiny_model):
    return TinyCallable(tiny_model)


class TinyCallable:
    """Returns one and the same module each time, as a user's function may."""

    def __init__(self, folder):
        from transformers import AutoModel, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.module = AutoModel.from_pretrained(folder)

    def __call__(self):
        return self.tokenizer, self.module

    def __sklearn_clone__(self):
        return self


def make_texts(n, seed=0):
    rng = np.random.RandomState(seed)
    labels = rng.randint(2, size=n)
    texts = []
    for label in labels:
        words = list(rng.choice(WORDS, size=rng.randint(2, 9)))
        words += list(rng.choice(GOOD if label else BAD, size=3))
        texts.append(" ".join(rng.permutation(words)))
    return texts, np.where(labels, "good", "bad")


@pytest.fixture(scope="session")
def texts():
    return make_texts(120)

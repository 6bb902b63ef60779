"""Tiny random models of transformers, made where a test needs them."""

import transformers

WORDS = ["the", "a", "cat", "dog", "sat", "on", "mat", "and", "ran", "far", "away", "from", "home"]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
SIZE = {"vocab_size": 17, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "pad_token_id": 1}


def config_of(kind):
    t = transformers
    return {
        "bert": lambda: t.BertConfig(**SIZE, intermediate_size=48, max_position_embeddings=40),
        "roberta": lambda: t.RobertaConfig(**SIZE, intermediate_size=48, max_position_embeddings=42),
        "mpnet": lambda: t.MPNetConfig(**SIZE, intermediate_size=48, max_position_embeddings=42),
        "llama": lambda: t.LlamaConfig(**SIZE, intermediate_size=48, max_position_embeddings=40),
        "t5": lambda: t.T5Config(vocab_size=17, d_model=32, num_layers=2, num_heads=2, d_ff=48, d_kv=16, pad_token_id=1),
    }[kind]()  # fmt: skip


def tokenizer_of(kind):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(SPECIAL + WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    frame = {"llama": "$A", "t5": "$A </s>"}.get(kind, "<s> $A </s>")
    tokenizer.post_processor = processors.TemplateProcessing(single=frame, special_tokens=[("<s>", 0), ("</s>", 2)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        model_max_length=40,
    )  # fmt: skip

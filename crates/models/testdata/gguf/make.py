"""Makes the folders beside this file: configs without weights, for matrices whose rows are whole blocks (`wide`), for phi3
without a window (`fused`), for a context that YaRN has made longer (`yarn`), and for the kinds of tokenizers that GGUF files have, each trained on the text below.

    pip install transformers==5.23.0 sentencepiece==0.2.3 protobuf
    python make.py

`spm` and `spm_gemma` are models of SentencePiece that transformers converted, with and without a space put ahead of a
text; the others are merges of bytes behind the cuts of the models that they are named for.
"""

import json
import shutil
import tempfile
from pathlib import Path

import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import GemmaTokenizer, LlamaTokenizer

HERE = Path(__file__).parent
TEXT = """The old lighthouse stood on the rocks, and the sea was grey. It's two miles to the harbour; we're late, they'll wait.
In 1984 there were 12345 ships, in 2024 only 67: 3.14 of 2.72, 100 000 or 100,000? Don't ask me, I'd say "none".
naïve café, Übergrößen, señor, привет мир, 東京 タワー, 😀 😃. fn main() { let x = a[0] + b != c; } // the end
    indented    text\tand tabs\n\n\nHELLO World, ISN'T it THE END? the the the and and and of of of to to to in in in
""" * 4
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def config(folder, vocab_size, hidden_size=32, **more):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "vocab_size": vocab_size, "hidden_size": hidden_size, "intermediate_size": hidden_size,
        "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
        "bos_token_id": 1, "eos_token_id": 2, **more,
    }, indent=2) + "\n")


def of_bytes(name, pre_tokenizer, normalizer=None, ignore_merges=False, adds_bos=True):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=["<unk>", "<bos>", "<eos>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    if adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", 1)])
    config(HERE / name, tokenizer.get_vocab_size())
    tokenizer.save(str(HERE / name / "tokenizer.json"), pretty=False)


def of_sentencepiece(name, kind, prefix):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "text").write_text(TEXT)
        sentencepiece.SentencePieceTrainer.train(
            input=f"{folder}/text", model_prefix=f"{folder}/tokenizer", model_type="bpe", vocab_size=420, byte_fallback=True,
            add_dummy_prefix=prefix, remove_extra_whitespaces=False, normalization_rule_name="identity", pad_id=-1,
            allow_whitespace_only_pieces=True, split_digits=True, unk_id=0, bos_id=1, eos_id=2, unk_piece="<unk>",
            bos_piece="<bos>", eos_piece="<eos>", character_coverage=0.98,
        )
        special = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
        made = kind.from_pretrained(folder, **special)
    tokenizer = made.backend_tokenizer
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", 1)])
    config(HERE / name, tokenizer.get_vocab_size())
    tokenizer.save(str(HERE / name / "tokenizer.json"), pretty=False)


def split(regex):
    cut = pre_tokenizers.Split(Regex(regex), behavior="isolated", invert=False)
    return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
of_bytes("llama3", split(LLAMA3), ignore_merges=True)
of_bytes("qwen", split(QWEN2), normalizers.NFC(), adds_bos=False)
of_bytes("smollm", pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2]))
of_sentencepiece("spm", LlamaTokenizer, True)
of_sentencepiece("spm_gemma", GemmaTokenizer, False)
# Without a window, which llama.cpp does not have for it, and not by its name, from which llama.cpp concludes which tokens
# there are.
config(HERE / "fused", 420, model_type="phi3", num_hidden_layers=2, partial_rotary_factor=0.5, pad_token_id=0)
shutil.copy(HERE / "spm/tokenizer.json", HERE / "fused/tokenizer.json")
config(HERE / "yarn", 288, model_type="qwen3", head_dim=16, num_hidden_layers=2, rope_theta=10000.0, rope_scaling={
    "rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 32, "attention_factor": 1.3})
shutil.copy(HERE / "../qwen3/tokenizer.json", HERE / "yarn/tokenizer.json")
config(HERE / "wide", 288, hidden_size=256, num_hidden_layers=2, intermediate_size=512)
shutil.copy(HERE / "../llama/tokenizer.json", HERE / "wide/tokenizer.json")

"""Writes `llama_cpp.json` beside this file: small vocabularies of GGUF files, texts, and the ids that llama.cpp has for them.

    pip install xllamacpp==2026.10.11549 gguf==0.19.0 tokenizers==0.23.3 sentencepiece==0.2.3 protobuf numpy
    python llama_cpp.py

A case is a vocabulary with some of its keys changed. Where llama.cpp departs from the tokenizer that the model was trained
with, `original` has that one's ids: of Qwen's, which put a text in normal form C first, and of Mistral's and OpenAI's, whose
regular expressions (those in llama.cpp's comments) know capitals and combining marks.
"""

import io
import json
import tempfile
import urllib.request
from importlib.metadata import version
from pathlib import Path

import gguf
import numpy
import sentencepiece
import xllamacpp as llama
from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

HERE = Path(__file__).parent
TEXT = """The old lighthouse stood on 12345 rocks, and it's grey; we're late. DON'T say I'LL: in 1984 there were 2024 ships!!
naïve café ÉCOLE Übergröße привет мир 東京タワー 한국어 ไทย अनुच्छेद 😀 fn main() { let x = a[0] != "b"; } // the  end\r\n\n
\tand   tabs\u3000here a\u0301b n\u0303o <|x|>""" + " the of to in and 100 000 ABC'S x's 1234567 ...\n\n  \n"
TEXTS = [
    "Hello world", "The old lighthouse stood on 12345 rocks.", "it's  two   spaces\n\n\tand a tab \n x", "naïve café", " leading",
    "ÉCOLE Übergröße", "cafe\u0301 n\u0303o a\u0301\u0323b", "अनुच्छेद ไทย 한국어", "東京タワー\u3000。、x", "I'LL DON'T we'RE x'S",
    "1234567 12 3½ ٣", "x=1;y=-2.5e3//don't\r\n\r\nend  ", "😀👍🏽 …—!!\n", "a\u2581b \u2581", "\u00a0\u2003z\u200b\ufeff", "\x01\x7f\u0085|",
    " <|end|> ", "<|end|>\n x</s> y<s> z<unk> w", "<|im_end|> <|fim_prefix|>a<|call|> <|endoftext|> b", "<mask> a <mask>", "",
]
SPECIAL = ["<unk>", "<s>", "</s>", "<|end|>", "<|im_end|>", "<|endoftext|>", "<|fim_prefix|>", "<|call|>", "<|return|>", "<mask>"]
KINDS = [2, 3, 3, 3, 4, 3, 1, 3, 4, 3]
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN35 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEKKEN = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
ORIGINALS = {"qwen2": (QWEN2, True), "qwen35": (QWEN35, True), "tekken": (TEKKEN, False), "gpt-4o": (GPT4O, False)}
# llama.cpp's names by what they do there; its source is `llama-vocab.cpp`.
GROUPS = [
    "gpt-2 phi-2 jina-es jina-de gigachat a.x-4.0 mellum modern-bert jina-v1-en roberta-bpe exaone4 mpt olmo jais trillion granite-docling",
    "jina-v2-es jina-v2-de jina-v2-code",
    "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
    "dbrx smaug-bpe chatglm-bpe", "glm4 glm5", "qwen2 kormo f2llmv2",
    "deepseek-r1-qwen megrez stablelm2 hunyuan solar-open grok-2", "qwen35",
    "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2", "tekken",
    "gpt-4o llama4 kanana2 talkie minimax-m2", "deepseek-llm", "deepseek-coder", "deepseek-v3 hunyuan-dense joyai-llm hy_v4",
    "spark2_5", "youtu", "falcon", "jais-2", "poro-chat bloom gpt3-finnish", "viking", "exaone-moe", "chameleon",
    "bailingmoe bailingmoe2 llada-moe", "seed-coder", "ufakzeka", "laguna", "minicpm5", "default",
]


def bytes_vocabulary():
    """Merges over the whole text, so that a cut anywhere else shows."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=620, special_tokens=SPECIAL, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    pieces = [TEXT[start:start + 60] for start in range(0, len(TEXT), 7)] + [text for text in TEXTS if "<" not in text] * 3
    tokenizer.train_from_iterator(pieces, trainer)
    made = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(made["vocab"], key=made["vocab"].get)
    return {
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": KINDS + [1] * (len(tokens) - len(KINDS)),
        "tokenizer.ggml.merges": [" ".join(merge) for merge in made["merges"]], "tokenizer.ggml.bos_token_id": 1,
    }


def scores_vocabulary():
    made = io.BytesIO()
    lines = [line for line in TEXT.replace("\r", "").split("\n") if line.strip()] * 20
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=made, model_type="bpe", vocab_size=430, byte_fallback=True,
        remove_extra_whitespaces=False, normalization_rule_name="identity", pad_id=-1, allow_whitespace_only_pieces=True,
        split_digits=True, character_coverage=0.98, minloglevel=3)
    model = proto.ModelProto()
    model.ParseFromString(made.getvalue())
    return {
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": [piece.piece for piece in model.pieces] + SPECIAL[3:],
        "tokenizer.ggml.scores": [piece.score for piece in model.pieces] + [-1000.0] * len(SPECIAL[3:]),
        "tokenizer.ggml.token_type": [piece.type for piece in model.pieces] + KINDS[3:],
        "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2,
    }


def cases():
    for group in GROUPS:
        names = group.split()
        yield {"name": names[0], "vocabulary": "bytes", "names": names, "set": {"tokenizer.ggml.pre": names[0]}}
    for name, changes in {
        "phi3 of merges": {"general.name": "Phi3 medium"}, "no bos": {"tokenizer.ggml.add_bos_token": False},
        "modern-bert": {"general.name": "My Modern-BERT"},
        "harmony": {"tokenizer.ggml.fim_pre_token_id": 6},
    }.items():
        yield {"name": name, "vocabulary": "bytes", "set": {"tokenizer.ggml.pre": "llama-bpe", **changes}}
    empty = list(VOCABULARIES["scores"]["tokenizer.ggml.tokens"])
    empty[300] = empty[301] = ""
    kinds = VOCABULARIES["scores"]["tokenizer.ggml.token_type"]
    for name, changes in {
        "scores": {}, "phi-3": {"general.name": "Some Phi-3 mini"}, "no kinds": {"tokenizer.ggml.token_type": None},
        "bytes as normal": {"tokenizer.ggml.token_type": [1 if kind == 6 else kind for kind in kinds]},
        "empty tokens": {"tokenizer.ggml.tokens": empty}, "no prefix": {"tokenizer.ggml.add_space_prefix": False},
        "no ids": {"tokenizer.ggml.bos_token_id": None, "tokenizer.ggml.eos_token_id": None, "tokenizer.ggml.add_eos_token": True},
    }.items():
        yield {"name": name, "vocabulary": "scores", "set": changes}


def write(path, keys):
    writer, width = gguf.GGUFWriter(str(path), "llama"), 32
    writer.add_context_length(256)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(width)
    writer.add_head_count(4)
    writer.add_layer_norm_rms_eps(1e-5)
    for key, value in keys.items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        else:
            writer.add_array(key, value)
    tensors = {"token_embd": (len(keys["tokenizer.ggml.tokens"]), width), "output_norm": (width,)}
    for name in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]:
        tensors[f"blk.0.{name}"] = (width, width)
    for name in ["attn_norm", "ffn_norm"]:
        tensors[f"blk.0.{name}"] = (width,)
    for name, shape in tensors.items():
        writer.add_tensor(f"{name}.weight", numpy.zeros(shape, numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def ids(keys):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        write(path, keys)
        params = llama.CommonParams()
        params.model.path = str(path)
        params.n_ctx, params.n_parallel, params.n_gpu_layers = 64, 1, 0
        params.warmup = params.fit_params = False
        server = llama.Server(params)

        def tokenize(text):
            body = json.dumps({"content": text, "add_special": True, "parse_special": True}).encode()
            request = urllib.request.Request(
                server.listening_address + "/tokenize", body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["tokens"]

        return [tokenize(text) for text in TEXTS]


def original(name, keys):
    regex, nfc = ORIGINALS[name]
    vocab = {token: id for id, token in enumerate(keys["tokenizer.ggml.tokens"])}
    merges = [tuple(merge.split(" ")) for merge in keys["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=name == "tekken"))
    tokenizer.normalizer = normalizers.NFC() if nfc else None
    cut = pre_tokenizers.Split(Regex(regex), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.add_special_tokens(SPECIAL)
    return [([1] if name == "tekken" else []) + tokenizer.encode(text).ids for text in TEXTS]


VOCABULARIES = {"bytes": bytes_vocabulary(), "scores": scores_vocabulary()}
made = []
for case in cases():
    keys = {**VOCABULARIES[case["vocabulary"]], **case["set"]}
    keys = {key: value for key, value in keys.items() if value is not None}
    case["ids"] = ids(keys)
    for other in case.get("names", [])[1:]:
        assert ids({**keys, "tokenizer.ggml.pre": other}) == case["ids"], other
    if case["name"] in ORIGINALS:
        case["original"] = original(case["name"], keys)
    made.append(case)
engine = f"llama.cpp as built into xllamacpp {version('xllamacpp')}"
lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in made)
texts, vocabularies = json.dumps(TEXTS), json.dumps(VOCABULARIES, ensure_ascii=False, separators=(",", ":"))
(HERE / "llama_cpp.json").write_text(
    f'{{"engine": {json.dumps(engine)},\n"texts": {texts},\n"vocabularies": {vocabularies},\n"cases": [\n{lines}\n]}}\n')

"""Writes `folders.json` beside this file: small `tokenizer.json`s of every kind, files that stand beside them, texts, and the
ids that transformers has for them.

    pip install transformers==5.24.0 tokenizers==0.23.3
    python folders.py

All of them ask for truncation and padding, which a plain call of transformers does not do.
"""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).parent
SPECIAL = ["<unk>", "<s>", "</s>", "<pad>"]
TEXT = ["The old lighthouse stood on 12345 rocks; it's late.", "naïve café 東京 the of to in and and 100 the end"] * 8
TEXTS = [
    "The old lighthouse, isn't it? 12345", "  two  spaces\n\ttab ", "cafe\u0301 東京 😀", "<s>a <s> b</s> c<|x|> <|x|> d",
    "old x old\u0301 told bold <bos2> y", " <image><e1> <e2> z", "<a><b><c> w", "<bos3> <mask> <late><end> The", "\u2581a",
]
BYTES = pre_tokenizers.ByteLevel


def trained(model, trainer, **parts):
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.train_from_iterator(TEXT, trainer)
    return tokenizer


def merges(size, **more):
    return trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False, **more)


def metaspace(scheme):
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=SPECIAL + bytes_, show_progress=False)
    tokenizer = trained(
        models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True), trainer,
        pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False))
    made = json.loads(tokenizer.to_str())
    made["added_tokens"] = [token for token in made["added_tokens"] if token["id"] < len(SPECIAL)]
    return Tokenizer.from_str(json.dumps(made))


# The trainers of these are not the same twice: they get their vocabularies from here.
LETTERS = sorted(set("".join(TEXT).lower()) - {" "})
PAIRS = [("t", "h"), ("o", "l"), ("l", "i"), ("g", "h"), ("h", "o"), ("i", "n"), ("a", "n"), ("li", "gh")]


def ids(tokens):
    return {token: id for id, token in enumerate(dict.fromkeys(SPECIAL + tokens))}


def by_pairs(mark, **more):
    """Merges of letters that carry a mark: where a word ends (`b</w>`), or where it goes on (`##b`)."""
    ends = "end_of_word_suffix" in more
    marked = (lambda token: token + mark) if ends else (lambda token: mark + token)
    pairs = [(left, marked(right)) for left, right in PAIRS]
    pairs += PAIRS if ends else [(marked(left), marked(right)) for left, right in PAIRS]
    known = set(LETTERS) | {marked(letter) for letter in LETTERS}
    merges = []
    for left, right in pairs:
        joined = left + (right if ends else right.removeprefix(mark))
        if left in known and right in known:
            merges.append((left, right))
            known.add(joined)
    return models.BPE(vocab=ids(sorted(known)), merges=merges, unk_token="<unk>", **more)


def with_parts(model, **parts):
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


PIECES = LETTERS + ["##" + letter for letter in LETTERS] + ["the", "old", "light", "##house", "stood", "##th", "##ock", "##s"]
UNIGRAMS = ["\u2581"] + LETTERS + ["\u2581the", "\u2581old", "light", "house", "\u2581light", "st", "ood", "\u2581on", "ck", "123", "an"]
bert = {"normalizer": normalizers.BertNormalizer(), "pre_tokenizer": pre_tokenizers.BertPreTokenizer()}
KINDS = {
    "bytes": trained(
        models.BPE(), merges(300, initial_alphabet=BYTES.alphabet()), pre_tokenizer=BYTES(add_prefix_space=False)),
    "bytes with a prefix": trained(
        models.BPE(), merges(300, initial_alphabet=BYTES.alphabet()), pre_tokenizer=BYTES(add_prefix_space=True),
        normalizer=normalizers.NFC()),
    "word ends": with_parts(by_pairs("</w>", end_of_word_suffix="</w>"), **bert),
    "continued words": with_parts(by_pairs("##", continuing_subword_prefix="##"), **bert),
    "spaces always": metaspace("always"), "spaces first": metaspace("first"), "spaces never": metaspace("never"),
    "unigram": with_parts(
        models.Unigram([(piece, -2.0 - id / 16) for piece, id in ids(UNIGRAMS).items()], unk_id=0, byte_fallback=False),
        normalizer=normalizers.NFKC(), pre_tokenizer=pre_tokenizers.Metaspace()),
    "word pieces": with_parts(models.WordPiece(ids(PIECES), unk_token="<unk>"), **bert),
    "words": trained(
        models.WordLevel(unk_token="<unk>"),
        trainers.WordLevelTrainer(vocab_size=90, special_tokens=SPECIAL, show_progress=False),
        pre_tokenizer=pre_tokenizers.WhitespaceSplit()),
}


def token(content, **flags):
    plain = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False, "special": True}
    return {"content": content, **plain, **flags}


CONFIG, MAP, ADDED = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
FILES = {
    "none": {},
    "listed": {CONFIG: {
        "added_tokens_decoder": {
            "1": token("<s>", rstrip=True), "0": token("<unk>"), "5000": token("<|x|>", lstrip=True, special=False),
            "4999": token("old", single_word=True, special=False, normalized=True),
        }, "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<|x|>", "add_bos_token": False,
    }},
    "named": {CONFIG: {
        "bos_token": {"__type": "AddedToken", **token("<bos2>", rstrip=True, special=False)}, "eos_token": "</s>",
        "image_token": "<image>", "add_eos_token": True, "add_prefix_space": True,
        "additional_special_tokens": ["<e1>", {"__type": "AddedToken", **token("<e2>", lstrip=True)}],
    }},
    "split": {CONFIG: {"split_special_tokens": True, "bos_token": "<s>"}},
    "by name": {CONFIG: {
        "extra_special_tokens": {"a_token": "<a>", "b": "<b>"}, "additional_special_tokens": ["<c>"], "eos_token": "<b>"}},
    "older": {
        CONFIG: {"bos_token": "<s>"},
        MAP: {"bos_token": token("<bos3>", rstrip=True), "mask_token": {"content": "<mask>", "lstrip": True, "normalized": True},
              "additional_special_tokens": ["<e1>", "<late>"]},
        ADDED: {"<late>": 7000, "<e1>": 6000, "old": 6500},
    },
    "no config": {MAP: {"eos_token": "<end>"}, ADDED: {"<end>": 6000, "The": 6001}},
}
made, kinds = [], {}
for kind, tokenizer in KINDS.items():
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)])
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=9, pad_token="<pad>", pad_id=3)
    kinds[kind] = json.loads(tokenizer.to_str())
    for name, files in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            tokenizer.save(f"{folder}/tokenizer.json")
            for file, content in files.items():
                (Path(folder) / file).write_text(json.dumps(content))
            whole = PreTrainedTokenizerFast.from_pretrained(folder)
            made.append({"kind": kind, "files": name, "ids": [whole(text)["input_ids"] for text in TEXTS]})


def dense(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def lines(values):
    return ",\n".join(f"{dense(name)}:{dense(value)}" for name, value in values.items())


cases = ",\n".join(dense(case) for case in made)
engine = f"transformers {version('transformers')}, tokenizers {version('tokenizers')}"
(HERE / "folders.json").write_text(
    f'{{"engine": {dense(engine)},\n"texts": {json.dumps(TEXTS)},\n"kinds": {{\n{lines(kinds)}\n}},\n'
    f'"files": {{\n{lines(FILES)}\n}},\n"cases": [\n{cases}\n]}}\n')

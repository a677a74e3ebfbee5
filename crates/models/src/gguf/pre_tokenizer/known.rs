//! The pre-tokenizers of llama.cpp by name, in the order of its source.
//!
//! Where the `tokenizer.json` of the model that a name stands for is known, the cuts are its own:
//! llama.cpp writes some of them in another way, because its regular expressions know no case and no
//! combining marks. Elsewhere they are llama.cpp's.

use super::{Cut, PreTokenizer};

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// As the library has it built in, for where something follows it.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const THREE_DIGITS: &str = r"\p{N}{1,3}";
const LINE_END: &str = "[\r\n]";
const BLOOM: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";
const HAN_KANA: &str = "[一-龥぀-ゟ゠-ヿ]+";
const HAN_HANGUL: &str = "[一-龥ࠀ-一가-퟿]+";
const DEEPSEEK3: &str = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";
const SPARK: &str = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+|[\r\n]|\\s+(?!\\S)|\\s+";
#[expect(clippy::unicode_not_nfc, reason = "letters that NFC writes otherwise are in the rule")]
const DEEPSEEK_LETTERS: &str = r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+";
const DEEPSEEK_MARKS: &str = r"\s?[!-/:-~！-／：-～‘-‟　-。]+";
const YOUTU: &str = "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+";
const YOUTU_WORDS: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const JAIS2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}";
const EXAONE_MOE: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+";
const BAILING: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";
const SEED_CODER: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+";
const UFAKZEKA: &str =
    r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const MINICPM5: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Of those that cut alike, the first is the one that is written.
pub(super) const ALL: [PreTokenizer; 28] = [
    PreTokenizer::new(
        &[
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "gigachat",
            "jina-v2-es",
            "jina-v2-de",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "jina-v1-en",
            "jina-v2-code",
            "roberta-bpe",
            "exaone4",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
        ],
        &[Cut::Gpt2],
    ),
    PreTokenizer::new(
        &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        &[Cut::Regex(LLAMA3)],
    )
    .whole_words()
    .with_bos(),
    PreTokenizer::new(&["dbrx", "smaug-bpe", "chatglm-bpe"], &[Cut::Regex(LLAMA3)]),
    PreTokenizer::new(&["glm4", "glm5"], &[Cut::Regex(LLAMA3)]).whole_words(),
    PreTokenizer::new(&["qwen2", "kormo", "f2llmv2"], &[Cut::Regex(QWEN2)]).nfc(),
    // DeepSeek's own tokenizers normalise nothing, whichever vocabulary they took over.
    PreTokenizer::new(
        &["deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2"],
        &[Cut::Regex(QWEN2)],
    ),
    PreTokenizer::new(&["qwen35"], &[Cut::Regex(QWEN35)]).nfc(),
    PreTokenizer::new(
        &[
            "smollm",
            "starcoder",
            "refact",
            "command-r",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2",
        ],
        &[Cut::Digits, Cut::Gpt2],
    ),
    PreTokenizer::new(&["tekken"], &[Cut::Regex(TEKKEN)]).whole_words().with_bos(),
    PreTokenizer::new(
        &["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"],
        &[Cut::Regex(GPT4O)],
    ),
    PreTokenizer::new(&["granite-embed-multi-97m"], &[Cut::Regex(GPT4O)]).whole_words(),
    PreTokenizer::new(
        &["deepseek-llm"],
        &[
            Cut::Regex(LINE_END),
            Cut::Regex(DEEPSEEK_LETTERS),
            Cut::Regex(DEEPSEEK_MARKS),
            Cut::Regex(r"\s+$"),
            Cut::Regex(HAN_HANGUL),
            Cut::Regex(r"\p{N}+"),
        ],
    ),
    PreTokenizer::new(
        &["deepseek-coder"],
        &[
            Cut::Regex(LINE_END),
            Cut::Regex(r"\s?\p{L}+"),
            Cut::Regex(r"\s?\p{P}+"),
            Cut::Regex(HAN_HANGUL),
            Cut::Digits,
        ],
    ),
    PreTokenizer::new(
        &["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
        &[Cut::Regex(THREE_DIGITS), Cut::Regex(HAN_KANA), Cut::Regex(DEEPSEEK3)],
    ),
    PreTokenizer::new(
        &["spark2_5"],
        &[Cut::Regex(THREE_DIGITS), Cut::Regex(HAN_KANA), Cut::Regex(SPARK), Cut::Regex(r"\p{N}")],
    ),
    PreTokenizer::new(&["youtu"], &[Cut::Regex(YOUTU), Cut::Regex(YOUTU_WORDS)]).whole_words(),
    PreTokenizer::new(
        &["falcon"],
        &[Cut::Regex(r"[\p{P}\$\+<=>\^~\|`]+"), Cut::Regex(GPT2), Cut::Regex("[0-9][0-9][0-9]")],
    ),
    PreTokenizer::new(&["jais-2"], &[Cut::Regex(JAIS2)]),
    PreTokenizer::new(&["poro-chat", "bloom", "gpt3-finnish"], &[Cut::Regex(BLOOM)]),
    PreTokenizer::new(&["viking"], &[Cut::Regex(BLOOM), Cut::Regex(r"\p{N}")]),
    PreTokenizer::new(&["exaone-moe"], &[Cut::Regex(EXAONE_MOE)]),
    PreTokenizer::new(
        &["chameleon"],
        &[
            Cut::Regex("<sentinel:[0-9]+>"),
            Cut::Regex("(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"),
            Cut::Regex("([\t\n]|    |  )"),
            Cut::Regex(r"\p{N}"),
            Cut::Regex(r"[\p{P}!-/:-@\[-`{-~]"),
            Cut::Gpt2,
        ],
    )
    .with_bos(),
    PreTokenizer::new(&["bailingmoe", "bailingmoe2", "llada-moe"], &[Cut::Regex(BAILING)]),
    PreTokenizer::new(&["seed-coder"], &[Cut::Regex(SEED_CODER)]),
    PreTokenizer::new(&["ufakzeka"], &[Cut::Regex(UFAKZEKA)]),
    PreTokenizer::new(&["laguna"], &[Cut::Regex("[^\n]+|[\n]+"), Cut::Regex(QWEN2)]),
    PreTokenizer::new(&["minicpm5"], &[Cut::Regex(THREE_DIGITS), Cut::Regex(MINICPM5)])
        .whole_words(),
    PreTokenizer::new(
        &["default"],
        &[
            Cut::Regex(r"[\p{P}\$\+<=>\^~\|]+"),
            Cut::Regex(GPT2),
            Cut::Regex(r"\p{N}+"),
            Cut::Regex("[0-9][0-9][0-9]"),
        ],
    ),
];

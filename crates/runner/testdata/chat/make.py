"""Makes chat cases from a grammar of templates: values x filters x tests x operators x methods, and what
transformers makes of each.

    python -m venv v && v/bin/pip install jinja2==3.1.6 transformers==5.23.0
    v/bin/python make.py 20000 >fuzz.jsonl     # a stream of random cases, to compare with `taper conform`
    v/bin/python make.py                       # writes grammar.jsonl and chats.jsonl beside this file

The same seed gives the same cases. Left out are cases that print an address or the time.
"""
import json, random, re, sys
from pathlib import Path

from transformers.utils.chat_template_utils import _compile_jinja_template, render_jinja_template

MESSAGES = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": None, "n": 1, "f": 1e-07,
     "d": {"k": "it's", "é": [1, 2.0, None, True], "q": 'a"b'}},
    {"role": "user", "content": "last\n"},
]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}

VALUES = """none true false 0 1 -1 3 255 10000000000 1.5 -0.0 1e-7 2.5 1e22 '' 'a' 'abc' 'Hello World' ' x ' '12' '1.5' 'x,y,,z'
'a\\nb\\n' 'a\\r\\nb\\x0bc' 'it\\'s "q"' 'é' 'ß' '<b>' '%s-%s' '%d' '{}|{}' '{0:>5}' [] [1] [1,2,3] [3,1,2] ['b','A','c'] [1,'a',none]
[[1,2],[3,4]] [{'x':1},{'x':2}] (1,) (1,'a') () {} {'a':1} {'b':2,'a':[1]} {1:'x'} undef range(3) range(5,0,-2) messages messages[0]
messages[1] messages[1].d messages[1].f ('<i>'|safe) ('a&b'|e) namespace(a=1) {'a':1}.items() {'b':1,'a':2}.keys() ([1,2]|map('string'))
'aXbX' 'abcabc' '0x1f' '1_000' '-7' '٣' tools raise_exception cycler(1,2) 'Ab cD' 'line one\\n\\n  line two'""".split("\n")
VALUES = [value for line in VALUES for value in re.split(r" (?=(?:[^']*'[^']*')*[^']*$)(?![^\[\(\{]*[\]\)\}])", line) if value]
FILTERS = """abs attr('a') attr('upper') batch(2) batch(2,'-') capitalize center center(9) count default('d') default('d',true)
default('d',boolean=true) d dictsort dictsort(by='value') dictsort(reverse=true) e escape filesizeformat first float float(2) forceescape
format('x') format(1,2) format(a=1) groupby('x') groupby(0) indent indent(2) indent(2,true) indent(2,blank=true) indent(first=true,width=3)
indent('> ') int int(7) int(0,16) int(base=8) items join join(', ') join('-',attribute='x') join(1) last length list lower map('upper')
map('int') map(attribute='x') map(attribute='y',default=0) map('default','z') map('nope') map min max max(attribute='x') pprint reject reject('none')
rejectattr('x') rejectattr('x','eq',1) replace('a','b') replace('a','b',1) replace('','-') replace(1,2) reverse round round(1) round(1,'floor')
round(method='ceil') round(-1) safe select select('string') select('>',1) selectattr('x') selectattr('role','equalto','user') slice(2) slice(2,'-')
sort sort(reverse=true) sort(attribute='x') sort(case_sensitive=true) string striptags sum sum(start=1) sum('x') title tojson tojson(indent=2)
tojson(sort_keys=true) tojson(separators=(',',':')) tojson(ensure_ascii=true) trim trim('a') truncate(5) truncate(5,true,'') truncate(3,leeway=0)
unique upper urlencode wordcount wordwrap(5) xmlattr nope length() join(d='+') first|default('q') list|length list|first list|tojson map('length')|list
map('string')|join('.') select('defined')|list reverse|list batch(2)|list slice(2)|map('list')|list items|list unique|list sort|join groupby('x')|list""".split("\n")
FILTERS = [value for line in FILTERS for value in line.split(" ") if value]
TESTS = """odd even divisibleby(2) divisibleby 3 defined undefined none boolean false true integer float lower upper string mapping number sequence
iterable callable escaped in([1,'a']) in('abc') eq(1) equalto('a') ne(none) gt(1) lt('b') ge(1.5) le(2) sameas(none) sameas(true) filter test
not none not string not defined nope""".split("\n")
TESTS = [value for line in TESTS for value in re.split(r" (?!3)(?<!not )", line) if value]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
METHODS = """strip() strip('x') strip(none) lstrip() rstrip('\\n') split() split(',') split(',',1) split(none,1) split('') rsplit(none,1)
rsplit('b',1) splitlines() splitlines(true) upper() lower() title() capitalize() swapcase() casefold() startswith('a') startswith(('x','a')) startswith('b',1)
startswith(1) endswith('c') find('b') find('b',2) rfind('b') index('b') index(1) rindex('z') count('a') count(1) replace('a','X') replace('a','X',1)
replace('','-') join(['a','b']) join([1]) join('xyz') format(1,2) format(a=1) zfill(5) center(8) center(7,'*') ljust(5) rjust(5,'0') partition('b')
rpartition(',') removeprefix('a') removesuffix('c') isdigit() isalpha() isalnum() isspace() isupper() islower() istitle() isdecimal() isnumeric()
isidentifier() isascii() isprintable() expandtabs(4) encode() keys() values() items() get('a') get('zz','d') get('a',default=1) get([]) copy() append(1)
update({}) pop() pop nope nope() real imag bit_length() is_integer() x role content a k upper first keys __class__ _x next() current""".split("\n")
METHODS = [value for line in METHODS for value in line.split(" ") if value]
SLICES = "[0] [-1] [9] ['a'] ['x'] [none] [1.0] [true] [1:] [:-1] [::-1] [::2] [-2:] [5:] [:0] [2:0:-1] ['a':] [none:1] [::0] [1:-1] [[]]".split(" ")
FORMATS = """%s %r %d %5d %-5d| %05d %+d %x %X %#o %c %f %.2f %8.3f %e %g %G %10s %-10s| %.2s %% %i %s-%s %(a)s %5%""".split(" ")
SPECS = """{} {0} {!r} {:5} {:>5} {:<5}| {:^7} {:*^7} {:05d} {:+} {:,} {:_} {:.2f} {:10.3f} {:e} {:g} {:.3} {:x} {:#x} {:b} {:%} {:d} {:s} {a} {0[0]} {0.x}
{{}} {""".split()
STATEMENTS = """{% for x in V %}{{ x }}{% if not loop.last %},{% endif %}{% endfor %}
{% for x in V %}{{ loop.index }}{{ loop.revindex0 }}{{ loop.length }}{{ loop.first }}{{ x }};{% else %}none{% endfor %}
{% for x in V if x %}{{ loop.index0 }}{{ loop.nextitem }}{{ loop.previtem }}|{% else %}E{% endfor %}
{% for a, b in V %}{{ a }}={{ b }} {% endfor %}
{% for x in V recursive %}{{ x if x is not sequence or x is string else loop(x) }}.{% endfor %}
{% for x in V %}{% if loop.index > 1 %}{% break %}{% endif %}{{ x }}{% else %}E{% endfor %}
{% for x in V %}{% if loop.first %}{% continue %}{% endif %}{{ loop.cycle('a','b') }}{{ loop.changed(x) }}{% endfor %}
{% if V %}yes{% elif W %}elif{% else %}no{% endif %}
{% set x = V %}{{ x }}{% for i in [1,2] %}{{ x }}{% set x = W %}{{ x }}{% endfor %}{{ x }}
{% set ns = namespace(x=V) %}{% for i in [1,2] %}{% set ns.x = W %}{% endfor %}{{ ns.x }}{{ ns.y }}{{ ns }}
{% set a, b = V %}{{ a }}{{ b }}
{% set t %}{{ V }}-{{ W }}{% endset %}{{ t | upper }}
{% set t | F %}{{ V }}{% endset %}{{ t }}
{% macro m(a, b=V) %}{{ a }}/{{ b }}/{{ varargs }}/{{ kwargs }}{% endmacro %}{{ m(W) }}{{ m(1, b=2) }}{{ m(1, 2, 3, z=V) }}
{% macro m(a, b=V) %}{{ a }}/{{ b }}{% endmacro %}{{ m() }}{{ m(W, W) }}{{ m(*V) }}
{% macro m(x) %}<{{ caller(x) }}>{% endmacro %}{% call(y) m(V) %}{{ y }}!{{ W }}{% endcall %}
{% filter F %}{{ V }} text{% endfilter %}
{% with x = V, y = W %}{{ x }}{{ y }}{% endwith %}{{ x }}
{% generation %}{{ V }}{% set x = 1 %}{% endgeneration %}{{ x }}
{% block b %}{{ V }}{{ messages | length }}{% endblock %}{{ self.b() }}
{{ V if W else V }}{{ V if false }}
{{ V if W is defined and W }}
{{ not V }}{{ V and W }}{{ V or W }}
{{ V < W < V }}
{{ -V }}{{ +V }}
{{ dict(V) }}{{ dict(V, a=1) }}
{{ [V, W] }}{{ (V,) }}{{ {'k': V} }}
{{ 'V'.format(V) }}
{{ range(V) | list }}
{{ namespace(V) }}
{{ V(W) }}
{{ raise_exception(V) }}
{{ strftime_now(V) }}
{{ joiner(V)() }}
{% if false %}{{ V | nope }}{% endif %}ok
{{ V | F if W else V }}
{{ V is T and W is T }}
{%- if V -%}  a  {%- else %}  b {%+ endif %}
  {# c #}  {{ V }}
""".split("\n")[:-1]


def value(rng, depth=0):
    if depth < 2 and rng.random() < 0.25:
        return "(" + expression(rng, depth + 1) + ")"
    return rng.choice(VALUES)


def expression(rng, depth=0):
    of = lambda: value(rng, depth)
    kind = rng.randrange(10)
    if kind < 3:
        return f"{of()} | {rng.choice(FILTERS)}"
    if kind == 3:
        return f"{of()} is {rng.choice(TESTS)}"
    if kind < 6:
        return f"{of()} {rng.choice(OPERATORS)} {of()}"
    if kind < 8:
        return f"{of()}.{rng.choice(METHODS)}"
    if kind == 8:
        return f"{of()}{rng.choice(SLICES)}"
    if rng.random() < 0.5:
        spec = "".join(rng.choice(FORMATS) for _ in range(rng.choice([1, 1, 2])))
        return f"'{spec}' % {of()}"
    spec = "".join(rng.choice(SPECS) for _ in range(rng.choice([1, 1, 2])))
    return f"'{spec}'.format({of()}, {of()}, a={of()})"


def template(rng):
    if rng.random() < 0.7:
        return "{{ " + expression(rng) + " }}"
    text = rng.choice(STATEMENTS)
    text = re.sub(r"\bV\b|\bW\b", lambda _: value(rng), text)
    text = re.sub(r"\bF\b", lambda _: rng.choice(FILTERS), text)
    return re.sub(r"\bT\b", lambda _: rng.choice(TESTS), text)


def expect(source, messages, **names):
    try:
        text = _compile_jinja_template(source).render(messages=messages, **names)
        text.encode()
        return {"text": text}
    except RecursionError:
        return None
    except Exception as error:
        return {"error": str(error), "error_kind": type(error).__name__}


def case(source, name):
    want = expect(source, MESSAGES, tools=None, documents=None, add_generation_prompt=True, **TOKENS)
    if want is None or " at 0x" in json.dumps(want) or "strftime_now" in source and "text" in want:
        return None
    return {"suite": "chat-template", "name": name, "template": source, "special_tokens": TOKENS,
            "messages": MESSAGES, "add_generation_prompt": True, "expect": want}


def grammar(count, seed):
    rng = random.Random(seed)
    seen = set()
    while len(seen) < count:
        source = template(rng)
        if source in seen:
            continue
        seen.add(source)
        made = case(source, source)
        if made:
            yield made


CALL = {"type": "function", "id": "c1", "function": {"name": "weather", "arguments": {
    "city": "São Paulo", "days": 3, "exact": 1e-07, "wind": 2.0, "dry": True, "more": None, "at": [1, {"b": "it's"}]}}}
CONVERSATIONS = {
    "plain": [{"role": "user", "content": " Hello\n"}],
    "system": [{"role": "system", "content": "Be terse."}, {"role": "user", "content": "Hi <b>&\"'"}],
    "turns": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>\nx\n</think>\n\nb"}, {"role": "user", "content": "c"}],
    "call without content": [{"role": "user", "content": "Rain?"}, {"role": "assistant", "tool_calls": [CALL]},
                             {"role": "tool", "tool_call_id": "c1", "content": "no\n"}],
    "call with null": [{"role": "user", "content": "Rain?"}, {"role": "assistant", "content": None, "tool_calls": [CALL, CALL]},
                       {"role": "tool", "content": "{\"é\": 1}"}, {"role": "assistant", "content": "Dry.\n"}, {"role": "user", "content": "Thanks"}],
    "parts": [{"role": "user", "content": [{"type": "text", "text": " See "}, {"type": "image"}, {"type": "text", "text": "this\n"}]}],
    "null": [{"role": "user", "content": None}],
    "other role": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "ipython", "content": "c", "name": "n"}],
}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "The weather.\nBy day.\n", "parameters": {
    "type": "object", "required": ["city"], "properties": {
        "city": {"type": "string", "description": "Where"}, "days": {"type": "integer", "default": 1, "minimum": 0.5, "enum": [1, 3]},
        "at": {"type": "array", "items": {"type": "string"}}}}}}]
DOCUMENTS = [{"title": "Rain", "text": "It rains.\n", "score": 0.00001, "of": None}, {"title": "Sun", "text": "No."}]


def chats():
    """What `apply_chat_template` makes of conversations, by templates beside this file. It takes the keys of
    messages away that are null; taper leaves them, so a conversation with one goes to what it calls next."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1}, "<s>")), **TOKENS)
    for path in sorted(Path(__file__).parent.glob("*.jinja")):
        template = path.read_text()
        for name, messages in CONVERSATIONS.items():
            for extra in [{}, {"tools": TOOLS, "documents": DOCUMENTS, "enable_thinking": False}]:
                made = {"suite": "chat-template", "name": f"{path.stem}/{name}/{'+'.join(extra) or 'alone'}", "template": template,
                        "special_tokens": TOKENS, "messages": messages, "add_generation_prompt": name != "turns", **extra}
                options = {"chat_template": template, "add_generation_prompt": name != "turns", **extra}
                try:
                    if any(value is None for message in messages for value in message.values()):
                        text = render_jinja_template(conversations=[messages], **options, **TOKENS)[0][0]
                    else:
                        text = tokenizer.apply_chat_template(messages, tokenize=False, **options)
                    made["expect"] = {"text": text}
                except Exception as error:
                    made["expect"] = {"error": str(error), "error_kind": type(error).__name__}
                yield made


def write(name, cases):
    with (Path(__file__).parent / name).open("w") as file:
        file.writelines(json.dumps(made, ensure_ascii=False) + "\n" for made in cases)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        for made in grammar(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1):
            print(json.dumps(made, ensure_ascii=False))
    else:
        write("grammar.jsonl", grammar(600, 7))
        write("chats.jsonl", chats())

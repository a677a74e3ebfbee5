//! Inputs that once broke a fuzz target, replayed on stable, and spoilt good ones beside them.

#[path = "fuzz/chat_template.rs"]
mod chat_template;
#[path = "fuzz/spec.rs"]
mod spec;
#[path = "fuzz/spoil.rs"]
mod spoil;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use spoil::{Spoiler, replay};
use taper_runner::experiment::shipped;
use taper_runner::sampling::{DrawKey, Draws, Purpose};

/// Random bits, the same in every run.
fn bits() -> impl FnMut() -> u64 {
    let mut series = Draws::new(DrawKey::new(1)).series(Purpose::Custom(0));
    let mut next = 0;
    move || {
        next += 1;
        series.bits(next)
    }
}

#[test]
fn regressions_stay_fixed() {
    replay("chat_template", chat_template::run);
    replay("spec", spec::run);
}

/// The templates of models, each with a conversation, and one of what they do not use.
fn chats() -> Vec<Vec<u8>> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/chat.jsonl");
    let cases = std::fs::read_to_string(cases).unwrap();
    let (mut seen, mut chats) = (BTreeSet::new(), Vec::new());
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let template = case["template"].as_str().unwrap().to_owned();
        if seen.insert(template.clone()) {
            chats.push(
                [template.as_bytes(), b"\0", case["messages"].to_string().as_bytes()].concat(),
            );
        }
    }
    assert!(chats.len() > 2);
    let others = r"{% set ns = namespace(a='x', b=[1, 2.5]) %}{% macro m(n) %}{% if n %}{{ m(n - 1) }}
        {% endif %}{% endmacro %}{% for i in range(9, 0, -2) %}{% set ns.a = ns.a ~ loop.index %}{%
        endfor %}{{ m(3) }}{{ ns.a | indent(4) | upper | replace('x', 'yy') | trim }}{{ ns.b | tojson(
        indent=2) }}{{ 'a,b'.split(',', 1) | join('-') }}{{ 'x' * 3 + 'y'[0:2] }}{{ 7 // 2 ** 3 % 5 }}
        {{ [1, 2, 3] | batch(2) | list }}{{ 'abc'.rsplit('b') }}{{ 'abc'.find('c') }}{{ strftime_now(
        '%d %b') }}{% generation %}z{% endgeneration %}{{ 1.5 | round(1) | int }}{{ messages[::-1] |
        map(attribute='role') | list }}{{ raise_exception('no') }}";
    chats.push(others.as_bytes().to_vec());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/chat");
    let templates = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut templates: Vec<_> =
        templates.filter(|path| path.extension().is_some_and(|of| of == "jinja")).collect();
    templates.sort();
    assert_eq!(templates.len(), 5);
    let turns = br#"[{"role": "user", "content": [{"type": "text", "text": "a"}]}, {"role":
        "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"x":
        [1.5, null]}}}]}, {"role": "tool", "content": "b\n"}]"#;
    for path in templates {
        chats.push([&std::fs::read(path).unwrap()[..], b"\0", turns].concat());
    }
    let values = r"{{ '%5.1f|%-4s|%(a)r' % {'a': 1} }}{{ '{0:>5}{x!r:^9}'.format(1, x=[2]) }}{{ 'a b'.title(
        ).partition(' ') }}{{ ('<b>' | safe) + '&' }}{{ {'b': 1, 'a': [2]} | dictsort }}{{ [1, 2][::-1] }}{{
        messages | groupby('role') }}{{ 2 ** 9 // -3 % 5.0 }}{% call(x) m(1) %}{{ x }}{% endcall %}{% set a, b =
        'xy' %}{% for k, v in {'a': 1}.items() recursive %}{{ loop.cycle(k, v) }}{{ loop.nextitem }}{% endfor %}{%
        filter upper %}{{ varargs }}{% endfilter %}{{ cycler(1, 2).next() }}{{ 'a-b c' | wordwrap(2) | urlencode }}
        {{ 'x' | truncate(3, true, '') | center(9) }}{{ '12' | int(0, 16) | round(-1) }}{{ [3, 1] | sort | sum }}";
    chats.push(values.as_bytes().to_vec());
    chats
}

#[test]
fn spoilt_templates_end_and_break_nothing() {
    let (mut spoiler, chats) = (Spoiler(bits()), chats());
    for _ in 0..700 {
        chat_template::run(&spoiler.spoil(&chats));
    }
}

#[test]
fn spoilt_specs_break_nothing() {
    let mut spoiler = Spoiler(bits());
    let specs: Vec<Vec<u8>> = shipped().iter().map(|spec| spec.text.into()).collect();
    for _ in 0..300 {
        spec::run(&spoiler.spoil(&specs));
    }
}

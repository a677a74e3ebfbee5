use serde_json::json;

use super::*;

fn render(source: &str, messages: Json) -> Result<String, ChatError> {
    ChatTemplate::new(source, BTreeMap::new())?.render(&Chat::new(messages))
}

fn one(source: &str) -> String {
    render(source, json!([{ "role": "user", "content": "Hi" }])).unwrap()
}

#[test]
fn json_is_written_as_python_does() {
    // From json.dumps of Python 3.11.
    let source = |options| format!("{{{{ messages | tojson{options} }}}}");
    let messages =
        json!([{"b": [1, 2.0, 1e-7, 1e22, true, null], "a": "é \"<&>\" \u{7}", "c": {}}]);
    for (options, want) in [
        ("", r#"[{"b": [1, 2.0, 1e-07, 1e+22, true, null], "a": "é \"<&>\" \u0007", "c": {}}]"#),
        (
            "(ensure_ascii=true, sort_keys=true)",
            r#"[{"a": "\u00e9 \"<&>\" \u0007", "b": [1, 2.0, 1e-07, 1e+22, true, null], "c": {}}]"#,
        ),
        (
            "(separators=(',', ':'))",
            r#"[{"b":[1,2.0,1e-07,1e+22,true,null],"a":"é \"<&>\" \u0007","c":{}}]"#,
        ),
    ] {
        assert_eq!(render(&source(options), messages.clone()).unwrap(), want);
    }
    let indented = render(&source("(indent=2)"), json!([{"a": [], "b": [1]}])).unwrap();
    assert_eq!(indented, "[\n  {\n    \"a\": [],\n    \"b\": [\n      1\n    ]\n  }\n]");
}

#[test]
fn methods_are_those_of_python() {
    // From Python 3.11.
    for (expression, want) in [
        ("'a b  c'.split()", "['a', 'b', 'c']"),
        ("' a b  c '.split(none, 1)", "['a', 'b  c']"),
        ("' a b  c '.rsplit(none, 1)", "['a b', 'c']"),
        ("'a,b,,c'.split(',')", "['a', 'b', '', 'c']"),
        ("'a,b,c'.rsplit(',', 1)", "['a,b', 'c']"),
        ("'</think>x</think>y'.split('</think>')[-1]", "y"),
        ("'xxaxx'.strip('x') ~ 'xa'.lstrip('x') ~ 'ax'.rstrip('x')", "aaa"),
        ("'prefix'.removeprefix('pre') ~ 'prefix'.removesuffix('fix')", "fixpre"),
        ("'a=b=c'.partition('=')", "['a', '=', 'b=c']"),
        ("'abc'.rpartition('=')", "['', '', 'abc']"),
        ("'né né'.find('é') ~ 'né né'.rfind('é') ~ 'n'.find('x')", "14-1"),
        ("'abab'.count('ab') ~ 'abab'.replace('ab', 'c', 1)", "2cab"),
        ("'they\\'re 2nd'.title()", "They'Re 2Nd"),
        ("'12'.isdigit() ~ ''.isdigit() ~ 'Ab'.isupper()", "TrueFalseFalse"),
        ("'x'.startswith(('y', 'x')) ~ 'x'.endswith('y')", "TrueFalse"),
        ("{'a': 1}.get('b', 2) ~ {'a': 1}.get('b') ~ {'a': 1}.get('a')", "2None1"),
        ("{'a': 1}.items() | list ~ {'a': 1}.keys() | list", "[['a', 1]]['a']"),
        ("[3, 4].index(4) ~ [3, 3].count(3)", "12"),
    ] {
        assert_eq!(one(&format!("{{{{ {expression} }}}}")), want, "{expression}");
    }
    for unknown in ["'a'.encode()", "[].append(1)", "{}.update({})"] {
        let error = render(&format!("{{{{ {unknown} }}}}"), json!([])).unwrap_err();
        assert!(error.to_string().contains("unknown method"), "{unknown}: {error}");
    }
}

#[test]
fn what_the_model_said_is_not_marked() {
    let source = "{%- generation -%} x {% endgeneration %}\n|{% generation %}\ny{%endgeneration%}";
    assert_eq!(one(source), "x |y");
}

#[test]
fn errors_name_the_line() {
    let at = |source: &str| render(source, json!([])).unwrap_err().to_string();
    let unclosed = at("a\n{% if x %}\nb");
    assert!(unclosed.starts_with("the chat template, line 3: syntax error: "), "{unclosed}");
    let failing = at("\n\n{{ missing.name }}");
    assert!(failing.starts_with("the chat template fails in line 3: undefined value"), "{failing}");
    let refused = at("{{ raise_exception('not ' ~ 2) }}");
    assert_eq!(refused, "the chat template refuses the conversation: not 2");
    let endless =
        at("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}");
    assert!(endless.contains("fuel"), "{endless}");
    let error = render("x", json!("Hi")).unwrap_err();
    assert!(matches!(error, ChatError::Messages(_)));
}

#[test]
fn thinking_is_undefined_unless_it_is_said() {
    let source = "{{ enable_thinking is defined }} {{ tools is none }} {{ enable_thinking }}";
    let template = ChatTemplate::new(source, BTreeMap::new()).unwrap();
    let mut chat = Chat::new(json!([]));
    assert_eq!(template.render(&chat).unwrap(), "False True ");
    chat.enable_thinking = Some(false);
    assert_eq!(template.render(&chat).unwrap(), "True True False");
}

#[test]
fn what_no_program_can_give_is_refused() {
    let at = |source: &str| render(source, json!([])).unwrap_err().to_string();
    for (source, want) in [
        ("{{ 'a\nb' | indent(9223372036854775807) }}", "indent: a number is above 10000"),
        ("{{ 'a\nb' | indent(width=100000) }}", "indent: a number is above 10000"),
        ("{{ [1] | batch(4294967296, 0) | list }}", "batch: a number is above 10000"),
        ("{{ [1] | slice(18446744073709551616) | list }}", "slice: a number is above 10000"),
        ("{{ '%99999d' | format(1) }}", "format: a number is above 10000"),
        ("{{ '%.99999f' | format(1.5) }}", "format: a number is above 10000"),
        (
            "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns | tojson }}",
            "tojson: a value is nested more than 500 deep",
        ),
        // In a build without checks for overflow it is a list that is too long.
        ("{{ range(9223372036854775807, -9223372036854775807, -1) }}", "the chat template"),
    ] {
        let error = at(source);
        assert!(error.contains(want), "{source}: {error}");
    }
    assert_eq!(one("{{ 'a\nb' | indent(2) }}{{ '%03d' | format(12345678) }}"), "a\n  b12345678");
    assert_eq!(one("{{ [1, 2, 3] | batch(2, 12345) | list }}"), "[[1, 2], [3, 12345]]");
    let long = at(&" ".repeat(200_000));
    assert_eq!(long, "the chat template has 200000 bytes; at most 131072 are read");
}

/// Each would end the program on the stack that a test has.
#[test]
fn what_is_nested_deeply_is_rendered_or_refused() {
    assert_eq!(one(&format!("{{{{ {}1 }}}}", "- ".repeat(20_000))), "1");
    assert_eq!(one(&format!("{{{{ 1{} }}}}", " + 1".repeat(20_000))), "20001");
    let nested = "{% set ns = namespace(a=[]) %}{% for i in range(20000) %}{% set ns.a = [ns.a] %}\
                  {% endfor %}{{ (ns.a ~ '') | length }}";
    assert_eq!(one(nested), "40002");
    let itself = render("{% block a %}{{ self.a() }}{% endblock %}", json!([])).unwrap_err();
    assert!(itself.to_string().contains("recursion limit"), "{itself}");
}

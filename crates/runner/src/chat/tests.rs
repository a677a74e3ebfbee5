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
        ("' a b  c '.split(none, 1)", "['a', 'b  c ']"),
        ("' a b  c '.rsplit(none, 1)", "[' a b', 'c']"),
        ("'</think>x</think>y'.split('</think>')[-1]", "y"),
        ("'a=b=c'.partition('=')", "('a', '=', 'b=c')"),
        ("'né né'.find('é') ~ 'né né'.rfind('é') ~ 'n'.find('x')", "14-1"),
        ("'they\\'re 2nd'.title()", "They'Re 2Nd"),
        ("'x'.startswith(('y', 'x')) ~ 'x'.endswith('y')", "TrueFalse"),
        ("{'a': 1}.get('b', 2) ~ {'a': 1}.get('b') ~ {'a': 1}.get('a')", "2None1"),
        ("{'a': 1}.items() | list ~ {'a': 1}.keys() | list", "[('a', 1)]['a']"),
        ("[3, 4].index(4) ~ [3, 3].count(3)", "12"),
    ] {
        assert_eq!(one(&format!("{{{{ {expression} }}}}")), want, "{expression}");
    }
    for (unsafe_, class) in [("[].append(1)", "list"), ("{}.update({})", "dict")] {
        let error = failing(unsafe_);
        assert!(error.contains("SecurityError: access to attribute"), "{unsafe_}: {error}");
        assert!(error.contains(class), "{unsafe_}: {error}");
    }
}

/// The error of an expression.
fn failing(expression: &str) -> String {
    render(&format!("{{{{ {expression} }}}}"), json!([{ "role": "user" }])).unwrap_err().to_string()
}

// The faults of `none`, `undefined` and their kin: what jinja2 3.1.6 says of each.

#[test]
fn none_is_no_iterable_and_has_no_length() {
    let source = "{% if tools is iterable and tools | length > 0 %}tools{% else %}none{% endif %}";
    assert_eq!(one(source), "none");
    let part = "{{ messages[0].content is iterable }} {{ none is sequence }} {{ 'a' is sequence }}";
    assert_eq!(
        render(part, json!([{"role": "user", "content": null}])).unwrap(),
        "False False True"
    );
    assert!(failing("none | length").contains("TypeError: object of type 'NoneType' has no len()"));
}

#[test]
fn undefined_is_empty_and_looping_over_none_fails() {
    assert_eq!(one("{{ nope | length }}{% for x in nope %}x{% else %}-{% endfor %}"), "0-");
    let error = render("{% for x in tools %}{% endfor %}", json!([])).unwrap_err().to_string();
    assert!(error.contains("TypeError: 'NoneType' object is not iterable"), "{error}");
}

#[test]
fn indent_keeps_the_last_line_end() {
    assert_eq!(one("{{ 'a\n' | indent(4, first=True) }}|"), "    a\n|");
    assert_eq!(one("{{ 'a\n\nb\n' | indent('> ', blank=true) }}|"), "a\n> \n> b\n> |");
}

#[test]
fn numbers_and_none_are_printed_as_python_does() {
    assert_eq!(
        one("{{ 1e-7 }} {{ 1e22 }} {{ 2.0 }} {{ -0.0 }} {{ none }} {{ true }}"),
        "1e-07 1e+22 2.0 -0.0 None True"
    );
    let chat = json!([{"n": 1e-7, "of": [1.0, null, {"a": 'b'}]}]);
    assert_eq!(
        render("{{ messages[0].n ~ messages[0].of }}", chat).unwrap(),
        "1e-07[1.0, None, {'a': 'b'}]"
    );
}

#[test]
fn slices_of_nothing_are_empty() {
    assert_eq!(
        one("{{ [][::-1] }}{{ messages[1:][::-1] }}{{ ''[::-1] }}{{ messages[5:2:-1] }}"),
        "[][][]"
    );
    assert!(failing("messages[::0]").contains("ValueError: slice step cannot be zero"));
    assert!(failing("tools[1:]").contains("TypeError: 'NoneType' object is not subscriptable"));
}

#[test]
fn filters_tests_and_methods_take_what_python_takes() {
    for (expression, want) in [
        ("('<b>' | safe) + '<i>'", "<b>&lt;i&gt;"),
        ("'<i>' + ('<b>' | safe)", "&lt;i&gt;<b>"),
        ("'x' | int", "0"),
        ("'x' | int(5)", "5"),
        ("none | default('d', boolean=true)", "d"),
        ("'%s is %05.1f' % ('a', 3)", "a is 003.0"),
        ("'{0}-{x:>4}'.format('a', x=2)", "a-   2"),
        ("'abc'.index('c')", "2"),
        ("raise_exception is callable ~ 'x' is callable", "TrueFalse"),
        ("1 is true ~ (1 == true)", "FalseTrue"),
        ("3 > 2 > 2", "False"),
        ("-7 // 2 ~ -7 % 3 ~ 7 / 2", "-423.5"),
    ] {
        assert_eq!(one(&format!("{{{{ {expression} }}}}")), want, "{expression}");
    }
}

#[test]
fn what_fails_in_python_fails_here() {
    for (expression, want) in [
        ("'a' + none", "TypeError: can only concatenate str (not \"NoneType\") to str"),
        ("'a' + nope", "UndefinedError: 'nope' is undefined"),
        ("'a' < 1", "TypeError: '<' not supported between instances of 'str' and 'int'"),
        ("messages[0].content.x", "UndefinedError: 'dict object' has no attribute 'content'"),
        ("messages[9].role", "UndefinedError: list object has no element 9"),
        ("messages | sort", "TypeError: '<' not supported"),
        ("1 // 0", "ZeroDivisionError"),
        ("1 in 'a'", "TypeError: 'in <string>' requires string as left operand, not int"),
        ("nope | tojson", "TypeError: Object of type Undefined is not JSON serializable"),
        ("'abc'.index('z')", "ValueError: substring not found"),
    ] {
        let sorted = json!([{"role": "user"}, {"role": "tool"}]);
        let error = render(&format!("{{{{ {expression} }}}}"), sorted).unwrap_err().to_string();
        assert!(error.contains(want), "{expression}: {error}");
    }
}

#[test]
fn what_is_not_done_here_is_an_error() {
    for expression in [
        "[1] | random",
        "lipsum()",
        "['a'] | map('upper')",
        "messages[0].keys",
        "10 ** 60",
        "'a' | wordwrap(3) if false else 'a-b c' | wordwrap(3)",
        "(range(50) | list) | pprint",
        "'é'.encode('latin-1')",
        "{}.items() - []",
        "'http://example.org' | urlize",
    ] {
        let error = failing(expression);
        assert!(error.contains("not supported"), "{expression}: {error}");
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
    assert!(
        unclosed.starts_with("the chat template, line 3: Unexpected end of template"),
        "{unclosed}"
    );
    let failing = at("\n\n{{ missing.name }}");
    assert!(
        failing.starts_with("the chat template fails in line 3: UndefinedError: 'missing' is"),
        "{failing}"
    );
    let refused = at("{{ raise_exception('not ' ~ 2) }}");
    assert_eq!(refused, "the chat template refuses the conversation: not 2");
    let endless =
        at("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}");
    assert!(endless.contains("it takes more than 500000 steps"), "{endless}");
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
    let memory = "the chat template cannot be rendered: it takes more than 64 MiB";
    for (source, want) in [
        ("{{ 'a\nb' | indent(9223372036854775807) }}", memory),
        ("{{ [1] | batch(4294967296, 0) | list }}", memory),
        ("{{ [1] | slice(18446744073709551616) | list }}", memory),
        ("{{ '%999999999d' | format(1) }}", memory),
        ("{{ '{:.999999999f}'.format(1.5) }}", memory),
        ("{{ 'ab' * 999999999 }}", memory),
        ("{{ [1] * 999999999 }}", memory),
        ("{{ 'x'.center(9999999999) }}", memory),
        (
            "{% set ns = namespace(a='x') %}{% for i in range(99) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
            memory,
        ),
        (
            "{% set ns = namespace(a=['x']) %}{% for i in range(99) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}",
            "the chat template cannot be rendered: it takes",
        ),
        (
            "{% set ns = namespace(a='x' * 999999) %}{% for i in range(99) %}{% for j in range(99) %}{{ ns.a }}{% endfor %}{% endfor %}",
            memory,
        ),
        ("{{ range(9223372036854775807, -9223372036854775807, -1) }}", "Range too big"),
        ("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", "RecursionError"),
    ] {
        let error = at(source);
        assert!(error.contains(want), "{source}: {error}");
    }
    assert_eq!(one("{{ [1, 2, 3] | batch(2, 12345) | list }}"), "[[1, 2], [3, 12345]]");
    let long = at(&" ".repeat(200_000));
    assert_eq!(long, "the chat template has 200000 bytes; at most 131072 are read");
}

/// Each would end the program on the stack that a test has. Python gives up on all of them.
#[test]
fn what_is_nested_deeply_is_refused() {
    let at = |source: &str| render(source, json!([])).unwrap_err().to_string();
    for (source, want) in [
        (format!("{{{{ {}1 }}}}", "- ".repeat(20_000)), "it nests more than 1000 deep"),
        (format!("{{{{ {}1{} }}}}", "(".repeat(20_000), ")".repeat(20_000)), "it nests more than"),
        (format!("{{{{ 1{} }}}}", " + 1".repeat(20_000)), "too many operators"),
        ("{% if 1 %}".repeat(9_000), "it nests more than 1000 deep"),
    ] {
        let error = at(&source);
        assert!(error.contains(want), "{}: {error}", &source[..20]);
    }
    assert_eq!(one(&format!("{{{{ 1{} }}}}", " + 1".repeat(900))), "901");
    let nested = "{% set ns = namespace(a=[]) %}{% for i in range(20000) %}{% set ns.a = [ns.a] %}\
                  {% endfor %}";
    assert_eq!(one(nested), "");
    for shown in ["{{ ns.a }}", "{{ ns.a | tojson }}", "{{ ns.a == [ns.a] }}"] {
        let error = at(&format!("{nested}{shown}"));
        assert!(error.contains("Recursion") || error.contains("steps"), "{shown}: {error}");
    }
    for itself in [
        "{% block a %}{{ self.a() }}{% endblock %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    ] {
        let error = at(itself);
        assert!(error.contains("RecursionError"), "{itself}: {error}");
    }
}

"""Templates are untrusted: what runs away is cut off, what reaches out is refused, the rest is let be."""

from __future__ import annotations

import pytest

from chatterm.checkpoint.template import ChatTemplate
from chatterm.checkpoint.template.manner import Manner
from chatterm.checkpoint.template.messages import Turn
from chatterm.errors import UserError

GROWING = "{{% set ns = namespace(x={start}) %}}{{% for i in range(80) %}}{step}{{% endfor %}}{{{{ ns.x }}}}"
HELLO = [Turn("user", "hello")]


def render(text: str) -> str:
    """What stands before the message, without the trial that a template gets first."""
    template = ChatTemplate(text + "\x1e{{ messages[0].content }}", "a test")
    template.manner = Manner(certain=True)
    return template.render(HELLO).text.partition("\x1e")[0]


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are counted until there are too many of them, however busy the machine is."""
    monkeypatch.setattr("chatterm.checkpoint.template.budget.MAX_SECONDS", 1000.0)


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
        "{% for a in range(9999)|map('string') %}{% for b in ['y'] * 99999 %}{% endfor %}{% endfor %}",
        "{{ range(1000000000)|list }}",
        "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{% set x = ('x' * 3999999).split('x') %}",
        "{% set x = ('x' * 3999999)|list %}",
        "{{ ('x' * 3999999)|unique|list }}",
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        GROWING.format(start="['a']", step="{% set ns.x = ns.x + ns.x %}"),
    ],
)
def test_endless_loops_are_cut_off(text: str) -> None:
    with pytest.raises(UserError, match=r"cut off: it (loops without end|takes too long)"):
        render(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 10**9 }}",
        "{{ ['a'] * 10**9 }}",
        "{{ 10**9 * 'a' }}",
        "{{ 9**(9**9) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (1000000000, 1) }}",
        "{{ '%.1000000000f'|format(1.0) }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ '{:{w}}'.format(1, w=1000000000) }}",
        "{{ '{x:>1000000000}'.format_map({'x': 1}) }}",
        "{{ 'a'.center(1000000000) }}",
        "{{ 'a'.zfill(1000000000) }}",
        "{{ '\t'.expandtabs(1000000000) }}",
        "{{ 'a'|center(1000000000) }}",
        "{{ 'a\nb'|indent(1000000000) }}",
        "{{ [1]|batch(1000000000, 'x')|list }}",
        "{{ [[1]]|tojson(indent=1000000000) }}",
        "{% set a = ['x' * 1000000] * 1000 %}{{ a|join }}",
        "{% set a = ['x' * 1000000] * 1000 %}{{ ''.join(a) }}",
        "{% set a = 'x' * 10000 %}{{ a.replace('x', a) }}",
        "{% set a = 'x' * 10000 %}{{ a|replace('x', a) }}",
        GROWING.format(start="'aa'", step="{% set ns.x = ns.x + ns.x %}"),
        GROWING.format(start="'aa'", step="{% set ns.x = ns.x ~ ns.x %}"),
        GROWING.format(start="'aa'", step="{% set ns.x = '%s%s' % (ns.x, ns.x) %}"),
        GROWING.format(start="'aa'", step="{% set ns.x = '{0}{0}'.format(ns.x) %}"),
        GROWING.format(start="'aa'", step="{% set ns.x = ns.x.replace('a', 'aa') %}"),
        GROWING.format(start="'aa'", step="{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}"),
        GROWING.format(start="['a']", step="{% set ns.x = [ns.x, ns.x] %}"),
        GROWING.format(start="['a']", step="{% set ns.x = {'a': ns.x, 'b': ns.x} %}"),
        GROWING.format(start="['a']", step="{% set ns.x = (ns.x, ns.x) %}"),
        GROWING.format(start="9", step="{% set ns.x = ns.x * ns.x %}"),
        "{{ '\t'.expandtabs(tabsize=1000000000) }}",
        "{{ ('x'|e).ljust(1000000000) }}",
        "{{ ('{:>1000000000}'|safe).format(1) }}",
        "{{ 1|round(300000000, 'ceil') }}",
        "{{ ('a ' * 9999)|wordwrap(1, true, 'x' * 9999999) }}",
        "{{ ('http://a.b ' * 9999)|urlize(target='x' * 999999) }}",
        "{{ ([1] * 9999)|tojson(separators=('x' * 9999999, ':')) }}",
        "{{ ('{0}' * 99999).format('x' * 9999999) }}",
        "{{ strftime_now('%c' * 9999999) }}",
        "{{ ([[1]] * 9999)|sum(start=[]) }}",
        "{{ (['a' * 9999999, 'b'] * 99999)|sort }}",
        "{{ ('f' * 9999999)|int(0, 16) }}",
        GROWING.format(start="['a']", step="{% set ns.x = dict(a=ns.x, b=ns.x) %}") + "{{ ns.x|upper }}",
        GROWING.format(start="['a']", step="{% set ns.x = {'a': ns.x, 'b': ns.x}.values() %}"),
        GROWING.format(start="['a']", step="{% set ns.x = [ns.x, ns.x]|batch(2)|list %}"),
        GROWING.format(start="['a']", step="{% set ns.x = dict(a=ns.x, b=ns.x) %}")
        + "{{ '{0.x!r}'.format(ns) }}",
    ],
)
def test_growth_without_bound_is_cut_off(text: str) -> None:
    with pytest.raises(UserError, match="cut off: it grows without bound"):
        render(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ('a' * 3999999).rfind('b' ~ 'a' * 1999999) }}",
        "{{ ('a' * 3999999).strip('b' * 1999999) }}",
        "{{ ('a' * 3999999)|trim('b' * 1999999) }}",
        "{{ [{}]|sort(attribute='" + "a." * 99 + "a') }}",
        "{{ ('<' * 999999)|striptags }}",
        "{{ ('www.' * 99999)|urlize }}",
        "{{ (('<!---->' * 99999)|safe).striptags() }}",
        "{{ (('&lt;' * 99999)|safe).unescape() }}",
    ],
)
def test_what_would_take_minutes_is_not_begun(text: str) -> None:
    with pytest.raises(UserError, match="cut off: it takes too long"):
        render(text)


def test_a_template_writes_no_more_than_a_few_times_the_conversation() -> None:
    with pytest.raises(UserError, match="it writes far more than the conversation holds"):
        render("{{ 'x' * 300000 }}")
    assert len(render("{{ 'x' * 130000 }}")) == 130_000


def test_the_trial_of_a_template_is_cut_off_too(unhurried: None) -> None:
    template = ChatTemplate(
        "{% for a in range(99999) %}{% for b in range(99) %}{% endfor %}{% endfor %}", "x"
    )
    with pytest.raises(UserError, match="cut off: it loops without end"):
        _ = template.manner


def test_attempts_in_other_forms_share_one_budget(unhurried: None) -> None:
    """A template that refuses a conversation after much work is not given that work again and again."""
    work = "{% for a in range(90000) %}{% for b in range(9) %}{% endfor %}{% endfor %}"
    template = ChatTemplate(work + "{{ raise_exception('no') }}", "a test")
    with pytest.raises(UserError, match="loops without end"):
        template.render([Turn("system", "s"), Turn("assistant", "a"), Turn("assistant", "b")])


def test_a_namespace_that_holds_itself_does_not_write_itself_out() -> None:
    text = "{% set ns = namespace() %}{% set ns.a = ns %}{% set ns.b = ns %}{{ ns }}{{ '%r' % ns }}"
    assert render(text) == "<namespace>" * 2


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'role': 'x'}) }}",
        "{{ raise_exception.__globals__['json'] }}",
        "{{ '{0.__class__}'.format('x').y.z }}",
        "{{ namespace(__class__=1) }}",
        "{% set ns = namespace() %}{% set ns.__init__ = 1 %}",
        "{{ lipsum(n=100000) }}",
        "{% include '/etc/passwd' %}",
        "{{ dict.__base__.__subclasses__() }}",
        "{{ 'x'.encode().hex() }}",
        "{{ (5).to_bytes(9, 'big').hex() }}",
        "{{ {}.keys().mapping.x }}",
        "{{ ([1] - {}.keys()).union([2]) }}",
        "{{ range(9)|map('counted', 1)|list }}",
        "{{ ([1]|map('string')).gi_yieldfrom.x }}",
        "{{ ([1]|map('string')).throw('x') }}",
        "{{ cycler.mro() }}",
        "{{ cycler(1).next.__func__.x }}",
    ],
)
def test_nothing_reaches_out(text: str) -> None:
    with pytest.raises(UserError, match="refuses the conversation"):
        render(text)


@pytest.mark.parametrize(
    "text",
    [
        "{% for",
        "{{ 'a' ",
        "{% endgeneration %}",
        "{{ " + "(" * 5000 + ")" * 5000 + " }}",
        "{{ a }}" * 20_000,
        "{% if 0 %}" + "{% elif 0 %}" * 7000 + "{% endif %}",
        "{{ 0x" + "f" * 20_000 + " // 3 }}",
    ],
)
def test_what_is_no_template_is_a_sentence(text: str) -> None:
    with pytest.raises(UserError, match="in a test cannot be read"):
        render(text)


def test_a_refusal_is_given_in_the_templates_words() -> None:
    with pytest.raises(UserError, match="Only robots may speak"):
        render("{{ raise_exception('Only robots may speak') }}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% generation %}a{% endgeneration %}b", "ab"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{{ {'b': 'é<', 'a': [1, none]}|tojson }}", '{"b": "é<", "a": [1, null]}'),
        ("{{ [1]|tojson(indent=2) }}", "[\n  1\n]"),
        ("{{ strftime_now('%%') }}", "%"),
        (
            "{{ '%s-%5.1f' % ('a', 2) }}|{{ '{:>4}'.format('x') }}|{{ '{0[a].real}'.format({'a': 1}) }}",
            "a-  2.0|   x|1",
        ),
        ("{{ 'a' ~ 1 ~ none ~ missing }}|{{ ['a', 'b'] | join(', ') }}", "a1None|a, b"),
        (
            "{% for a in [1, 2]|map('abs') %}{{ loop.index }}/{{ loop.length ~ a ~ loop.last }}{% endfor %}",
            "1/21False2/22True",
        ),
        ("{% for k, v in {'x': 1}.items() %}{{ k }}{{ v }}{% else %}none{% endfor %}", "x1"),
        ("{% for a in missing %}x{% else %}none{% endfor %}", "none"),
        (
            "{% set n = namespace(a=0) %}{% for m in messages %}{% set n.a = n.a + 1 %}{% endfor %}{{ n.a }}",
            "1",
        ),
        ("{% if true %}\n  a\n  {% endif %}\nb", "  a\nb"),
        ("{{ dict(a=1)['a'] + dict.fromkeys('b', 2)['b'] }}", "3"),
        ("{{ [{'a': 1}, {'a': 2}]|map(attribute='a')|join(',') }}", "1,2"),
        ("{{ [2, 1]|map('abs')|sort|join }}{{ [1, 2]|select('odd')|sum }}", "121"),
        ("{{ ('a', 1) == ('a', 1) and 'b' in {'b': 1} and 1 < 2 <= 2 }}", "True"),
        ("{{ 2.567|round(1) }}{{ 'abc'|reverse }}{{ ' a '|trim }}{{ 'a b'|title }}", "2.6cbaaA B"),
        (
            "{{ bos_token }}{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}",
            "TrueTrueTrue",
        ),
    ],
)
def test_ordinary_jinja_works(text: str, expected: str) -> None:
    assert render(text) == expected


def test_a_long_conversation_is_no_runaway() -> None:
    text = (
        "{% set ns = namespace(all='', list=[]) %}{% for m in messages %}{% set ns.list = ns.list + [m] %}"
        "{{ '<' ~ m.role ~ '>' + m['content'] | trim }}{% endfor %}{{ ns.list | length }}"
    )
    turns = [Turn("user" if index % 2 else "assistant", "word " * 400) for index in range(1, 600)]
    rendered = ChatTemplate(text, "a test").render(turns)
    assert rendered.text.endswith("599")
    assert len(rendered.text) > 1_000_000

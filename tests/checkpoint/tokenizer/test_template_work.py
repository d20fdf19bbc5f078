"""What templates make Python do unseen is counted before it takes memory, and the clock is looked at."""

from __future__ import annotations

import itertools
import re
import tracemalloc

import pytest

from chatterm.checkpoint.template import ChatTemplate
from chatterm.checkpoint.template.budget import MAX_STRING, Budget
from chatterm.checkpoint.template.manner import Manner
from chatterm.checkpoint.template.messages import Turn
from chatterm.errors import UserError

LARGE = {
    "s": "'š' * 300000",
    "t": "'š' * 299999 ~ 'x'",
    "a": "[1.5] * 300000",
    "p": "[[0] * 1000] * 300",
    "q": "[[0] * 1000] * 300",
    "r": "range(99999)",
    "d": "{}.fromkeys(range(99999)|map('string'), 1)",
    "k": "{}.fromkeys(range(99999)|map('string'), 1).keys()",
    "h": "('&lt;' * 60000)|safe",
    "u": "((1,) * 1000,) * 300",
    "e": "{1: 2}",
}


def prepared(operation: str) -> str:
    """The large things that an operation is about."""
    sets = (
        f"{{% set {name} = {value} %}}"
        for name, value in LARGE.items()
        if re.search(rf"\b{name}\b", operation)
    )
    return "{% macro m() %}{{ varargs is eq 1 }}{% endmacro %}" + "".join(sets)


def render(text: str) -> str:
    """What stands before the message, without the trial that a template gets first."""
    template = ChatTemplate(text + "\x1e{{ messages[0].content }}", "a test")
    template.manner = Manner(certain=True)
    return template.render([Turn("user", "hello")]).text.partition("\x1e")[0]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One for each time that a budget looks at the clock, which never strikes here."""
    found: list[None] = []

    def look(budget: Budget) -> None:
        budget._work = 0
        found.append(None)

    monkeypatch.setattr(Budget, "look", look)
    return found


OPERATIONS = """
'zz' in a;  'zz' in r;  1.5 in r;  p == q;  p < q;  s == t;  s != t;  (1, p) == (1, q);  p is eq q
'zz' is in r;  e[u];  {u: 1};  k - k;  k - a;  [] - k;  s[1:];  s[::-1];  a[1:];  h[1:];  u[1:]
a|selectattr('z')|list;  a|rejectattr('z')|first;  a|map('abs')|list;  a|unique|list;  a|select('none')|list
a|min;  a|sum;  a|sort;  a|list;  p|sum(start=[]);  d|dictsort;  a|slice(3)|list;  ['z']|select('in', r)|list
s|upper;  s|length;  s|reverse;  s|trim;  s|replace('z', 'y');  s|tojson;  s|trim(t);  s.strip(t)
s.count('z');  s.find('z');  s.isalpha();  s.upper();  s.split('z');  s.partition('š')
a.count('z');  h.unescape();  h.striptags();  d.copy();  dict(d);  dict(**d);  m(*a);  m(p);  namespace(d)
loop.changed(p, i);  '{}'.format(p);  '%s' % (p,);  p ~ i
"""


@pytest.mark.parametrize("operation", re.split(r"(?:;  |\n)", OPERATIONS.strip()))
def test_however_little_it_makes_the_clock_is_looked_at(looks: list[None], operation: str) -> None:
    """Each handles a hundred thousand things, or many more, each time. Loops alone look every 200 turns."""
    counts = []
    try:
        for turns in (2, 8):
            looks.clear()
            loop = f"{{% for i in range({turns}) %}}{{% set z = {operation} %}}{{% endfor %}}"
            render(prepared(operation) + loop)
            counts.append(len(looks))
    except UserError as error:
        assert re.search("cut off: it|unhashable|unsupported operand", str(error))
    else:
        assert counts[1] - counts[0] >= 2


def test_loops_look_while_they_go_on(looks: list[None]) -> None:
    """Not once before they begin."""
    render("{% for i in range(10) %}{% for i in range(10000) %}{% endfor %}{% endfor %}")
    assert len(looks) > 400


@pytest.mark.parametrize(
    "text",
    [
        "{{ S|list|length }}",
        "{{ ''.join(S)|length }}",
        "{{ S|join|length }}",
        "{{ dict(*S) }}",
        "{{ 1|default(*S) }}",
        "{{ 1 is divisibleby(*S) }}",
        "{% macro m() %}{% endmacro %}{{ m(*S) }}",
        "{% macro m() %}{% endmacro %}{% call m(*S) %}{% endcall %}",
        "{{ cycler(*S) }}",
        "{{ S|slice(3)|list }}",
        "{{ S|batch(3)|list }}",
        "{{ S|sort }}",
        "MANY S[@:]",
        "MANY S.partition(S[0])",
        "MANY S.rsplit(S[0], @)",
        "{% set T = '<' * 200000 ~ S[0] %}{% autoescape true %}MANY (''|safe) + T{% endautoescape %}",
        "{% set T = S.replace(S[0], '<') %}"
        "{% autoescape true %}{% for i in range(99) %}{{ T }}{% endfor %}{% endautoescape %}",
        "{% set x %}PIECES{% endset %}",
        "PIECES",
    ],
)
def test_what_takes_memory_is_counted_before_it_does(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Each character that a container holds takes eighty bytes, and each piece of output eight."""
    text = re.sub("MANY ([^{]*)", lambda many: f"{{{{ [{', '.join([many[1]] * 60)}] }}}}", text)
    numbers = itertools.count(1)
    text = re.sub("@", lambda _: str(next(numbers)), text)
    pieces = "{% if i %}x{% endif %}" * 1500
    text = text.replace("PIECES", f"{{% for i in range(30000) %}}{pieces}{{% endfor %}}")
    monkeypatch.setattr("chatterm.checkpoint.template.budget.MAX_STEPS", 100_000)
    monkeypatch.setattr("chatterm.checkpoint.template.budget.MAX_TOTAL", 1 << 24)
    monkeypatch.setattr("chatterm.checkpoint.template.budget.MAX_SECONDS", 1000.0)  # no clock decides
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"cut off: it (loops without end|grows without bound)"):
            render("{% set S = '\N{GRINNING FACE}' * 3900000 %}" + text)
        assert tracemalloc.get_traced_memory()[1] < 160 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        "{% set d = {}.fromkeys(T|list, 1) %}",
        "{% set d = dict.fromkeys(T) %}",
        "{% set d = dict(T|batch(2)) %}",
        "{% set d = namespace(T|batch(2)) %}",
        "{% set d = T|list - {}.keys() %}",
        "{% set d = {}.keys() - T|list %}",
        "{% set d = {" + ", ".join(f"{at}: 1" for at in range(1500)) + "} %}",
    ],
)
def test_numbers_that_collide_are_no_keys(text: str) -> None:
    """Python compares each of them with all others."""
    numbers = "{% set t %}{% for i in range(3000) %}{{ i * 2305843009213693951 }} {% endfor %}{% endset %}"
    with pytest.raises(UserError, match="cut off: it grows without bound"):
        render(numbers + text.replace("T", "(t.split()|map('int'))"))


def test_a_long_search_counts_by_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatterm.checkpoint.template.budget.MAX_SECONDS", 1000.0)
    text = "{% set s = 'š' * 32700 %}{% set t = 'ɡ' * 32767 ~ 'š' %}"
    for search in ("s|trim(t)", "s.strip(t)", "s.rsplit(t)"):
        render(f"{text}{{% if {search} %}}{{% endif %}}")
        with pytest.raises(UserError, match="loops without end"):
            render(f"{text}{{% for i in range(9) %}}{{% if {search} %}}{{% endif %}}{{% endfor %}}")


def test_a_recursive_loop_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatterm.checkpoint.template.budget.MAX_STEPS", 100_000)
    monkeypatch.setattr("chatterm.checkpoint.template.budget.MAX_SECONDS", 1000.0)
    text = "{% for i in range(9) recursive %}{{ loop([1] * 30000) if loop.depth0 == 0 }}{% endfor %}"
    with pytest.raises(UserError, match="loops without end"):
        render(text)


def test_the_longest_conversation_has_room() -> None:
    """131 072 tokens, written four times over and a little more."""
    assert MAX_STRING >= 4 * 131_072 * 6 + (1 << 17)
    text = "{% for m in messages %}{{ '<' + m.role + '>' + m.content|trim ~ '' }}{% endfor %}"
    turns = [Turn("user" if at % 2 else "assistant", "word " * 1000) for at in range(1, 201)]
    assert len(ChatTemplate(text, "a test").render(turns).text) > 1_000_000

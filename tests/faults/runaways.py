"""Templates that never end or grow without bound, put together at random."""

from __future__ import annotations

import random


def _grow(start: str, step: str) -> str:
    turns = f"{{% for i in range(90) %}}{{% set ns.x = {step} %}}{{% endfor %}}"
    return f"{{% set ns = namespace(x={start}) %}}{turns}{{{{ ns.x }}}}"


_MAPS = "|map('string')" * 30


def loops(numbers: random.Random) -> str:
    many = numbers.choice(("range(99999)", "['x'] * 99999", "'x' * 3999999", "range(99999)|map('string')"))
    body = numbers.choice(
        ("", "x", "{{ a }}", "{% set y = a ~ 1 %}", "{{ messages|tojson }}", "{{ a is odd }}")
    )
    loop = f"{{% for a in {many} %}}"
    return numbers.choice(
        (
            f"{loop * 3}{body}{'{% endfor %}' * 3}",
            f"{{{{ {many}{_MAPS}|list|length }}}}",
            f"{{{{ {many}|select('in', 'x' * 3999999)|list }}}}",
            "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
            "{% for a in [1, 1] recursive %}{{ loop([1, 1]) if loop.depth < 40 }}{% endfor %}",
        )
    )


def strings(numbers: random.Random) -> str:
    count = 10 ** numbers.randrange(3, 12)
    piece = numbers.choice(("'aa'", "'\N{GRINNING FACE}'", "('a'|e)", "'%s'", "'{0}'"))
    steps = (
        *("ns.x + ns.x", "ns.x ~ ns.x", "ns.x * 2", "'%s%s' % (ns.x, ns.x)", "'{0}{0}'.format(ns.x)"),
        *(
            "ns.x.replace('a', 'aa')",
            "ns.x|replace('a', 'aa')",
            "[ns.x, ns.x]|join",
            "ns.x.join(['', '', ''])",
        ),
        *(
            "ns.x.format(ns.x) ~ ns.x",
            "(ns.x ~ ns.x)|escape",
            "ns.x|indent(9000, true)",
            "ns.x ~ (ns.x|tojson)",
        ),
        *(
            "(ns.x ~ ' ')|wordwrap(1, true, ns.x)",
            "ns.x.translate({97: 'aa'})",
            "ns.x.upper() ~ ns.x",
            "ns.x|list",
        ),
    )
    return numbers.choice(
        (
            _grow(piece, numbers.choice(steps)),
            f"{{% set a = {piece} * {count} %}}{{{{ a|{numbers.choice(_TEXT_FILTERS)} }}}}",
            "{% set a = 'x' * 4000000 %}" + "".join(f"{{% set b{i} = a ~ {i} %}}" for i in range(40)),
            "{% set a = 'x' * 1000000 %}{% for i in range(9999) %}{{ a }}{% endfor %}",
        )
    )


_TEXT_FILTERS = (
    *(
        "length",
        "upper",
        "title",
        "wordcount",
        "urlize",
        "striptags",
        "urlencode",
        "escape",
        "list|length",
        "trim",
    ),
    *(
        "center(9999)",
        "wordwrap(1)",
        "truncate(9)",
        "capitalize",
        "reverse",
        "string",
        "safe",
        "unique|list",
        "pprint",
    ),
    *(
        "sort",
        "batch(3)|list|length",
        "xmlattr",
        "tojson",
        "indent",
        "first",
        "max",
        "e|e|e|e",
        "int",
        "random",
    ),
)


def widths(numbers: random.Random) -> str:
    width = numbers.choice((9_999_999, 1_000_000_000, 10**18, 10**30))
    return numbers.choice(
        (
            f"{{{{ '%{width}d' % 1 }}}}",
            f"{{{{ '%.{width}f' % 1.5 }}}}",
            f"{{{{ '%*d' % ({width}, 1) }}}}",
            f"{{{{ '%{width}s'|format('x') }}}}",
            f"{{{{ '{{:>{width}}}'.format(1) }}}}",
            f"{{{{ '{{:{{w}}}}'.format(1, w={width}) }}}}",
            f"{{{{ ('{{:<{width}}}'|safe).format(1) }}}}",
            f"{{{{ '\t'.expandtabs(tabsize={width}) }}}}",
            f"{{{{ ('x'|e).ljust({width}) }}}}",
            f"{{{{ 'x'.{numbers.choice(('center', 'rjust', 'zfill', 'ljust'))}({width}) }}}}",
            f"{{{{ 'x'|center({width}) }}}}",
            f"{{{{ 'a\nb'|indent({width}) }}}}",
            f"{{{{ [1]|batch({width}, 'x')|list }}}}",
            f"{{{{ [[1]]|tojson(indent={width}) }}}}",
            "{{ ([1]*99999)|tojson(separators=('x' * 9999999, ':')) }}",
            f"{{{{ 'x' * {width} }}}}",
            f"{{{{ (5).to_bytes({width}, 'big') }}}}",
            f"{{{{ 'x'.encode().ljust({width}) }}}}",
            f"{{{{ strftime_now('%{width}Y' * 99) }}}}",
            f"{{{{ strftime_now('%c' * {min(width, 9_999_999)}) }}}}",
        )
    )


def integers(numbers: random.Random) -> str:
    large = "f" * numbers.choice((500, 5000, 20_000))
    return numbers.choice(
        (
            "{{ 9**9**9 }}",
            "{{ 2**-999999999 }}",
            f"{{{{ 0x{large} // 3 }}}}",
            f"{{{{ '{large}'|int(0, 16) ** 9 }}}}",
            f"{{{{ ('{large}' * 999)|int(0, 16) }}}}",
            "{{ 1|round(999999999, 'ceil') }}",
            "{{ 1.5|round(-999999999, 'floor') }}",
            "{{ (10**4000)|filesizeformat }}",
            _grow("9", numbers.choice(("ns.x * ns.x", "ns.x ** 9", "ns.x + ns.x", "ns.x * 10 ** 99"))),
            "{{ range(10**9)|sum }}",
            "{{ (1).from_bytes('x'.encode(), 'big') }}",
        )
    )


def recursion(numbers: random.Random) -> str:
    depth = numbers.choice((20, 60, 10**6))
    return numbers.choice(
        (
            "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
            "{% macro f(n) %}{{ f(n - 1) ~ f(n - 1) if n }}{% endmacro %}" + f"{{{{ f({depth}) }}}}",
            "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}",
            "{% block a %}{{ self.a() }}{% endblock %}",
            "{% block a %}{{ self.b() ~ self.b() }}{% endblock %}{% block b %}{{ self.a() }}{% endblock %}",
            "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}{{ ns|tojson }}",
            "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns|pprint }}{{ '%r' % ns }}",
        )
    )


def containers(numbers: random.Random) -> str:
    step = numbers.choice(
        (
            *(
                "[ns.x, ns.x]",
                "(ns.x, ns.x)",
                "{'a': ns.x, 'b': ns.x}",
                "dict(a=ns.x, b=ns.x)",
                "ns.x + ns.x",
            ),
            *(
                "{'a': ns.x, 'b': ns.x}.values()",
                "[ns.x, ns.x]|batch(2)|list",
                "ns.x * 2",
                "[ns.x, ns.x]|list",
            ),
            *("namespace(a=ns.x, b=ns.x)", "{'a': ns.x, 'b': ns.x}.items()", "{}.fromkeys('ab', ns.x)"),
            *(
                "{}.fromkeys('ab', ns.x).keys().mapping",
                "dict(a=ns.x, b=ns.x)|dictsort",
                "([ns.x] * 2)|groupby(0)",
            ),
        )
    )
    end = numbers.choice(
        (
            *(
                "{{ ns.x }}",
                "{{ ns.x|string }}",
                "{{ ns.x|tojson }}",
                "{{ ns.x|pprint }}",
                "{{ '%s' % ns.x }}",
            ),
            *(
                "{{ '{}'.format(ns.x) }}",
                "{{ '{0.x!r}'.format(ns) }}",
                "{{ ns.x|upper }}",
                "{{ ns.x == ns.x }}",
            ),
            *("{{ raise_exception(ns.x) }}", "{{ ns.x|join }}", "{{ ns.x ~ 1 }}", "{{ ns.x in [ns.x] }}"),
            *(
                "{{ [ns.x, [ns.x]]|sort }}",
                "{{ ns.x|urlencode }}",
                "{{ {'a': ns.x}|xmlattr }}",
                "{{ ns.x|safe }}",
            ),
        )
    )
    return _grow("['a']", step) + end


def comparing(numbers: random.Random) -> str:
    return numbers.choice(
        (
            "{% set s = 'a' * 9999999 %}{{ ([s ~ 1, s ~ 2] * 99999)|sort|length }}",
            "{% set s = 'a' * 9999999 %}{{ ([s ~ 1] * 999999).count(s ~ 2) }}",
            "{{ ('a' * 3999999).rfind('b' ~ 'a' * 1999999) }}",
            "{{ ('a' * 3999999).strip('b' * 1999999 ~ 'a') }}",
            "{{ ('a' * 3999999)|trim('b' * 1999999 ~ 'a') }}",
            "{{ ([[1]] * 99999)|sum(start=[]) }}",
            "{{ (['ab'] * 99999)|unique|list }}{{ (['ab'] * 99999)|groupby(0) }}",
            "{{ [{}]|sort(attribute='" + "a." * 9999 + "a') }}",
            "{{ range(99999)|map(attribute='" + "real." * 999 + "real')|sum }}",
            "{{ 'a b ' * 99999 in 'a b ' * 999999 }}",
        )
    )


def long(numbers: random.Random) -> str:
    count = numbers.choice((1000, 9000, 60_000))
    piece = numbers.choice(
        (
            *(
                "{{ a }}",
                "{% if a %}{% endif %}",
                "{#",
                "{% set a = b %}",
                "{% for a in b %}",
                "{% elif a %}",
                "\x00",
            ),
            *(
                "{% macro a() %}{% endmacro %}",
                "{{",
                "}}",
                "{%- ",
                "'",
                "\\",
                "{{ '\\N{DIGIT ONE}' }}",
                "\r\n",
                "é",
            ),
        )
    )
    inner = numbers.choice(
        ("a,", "a~", "a+", "a-", "a|e|", "a.", "a[", "(", "not ", "a if ", "a<", "-", "[", "{", "a and ")
    )
    return numbers.choice(
        (piece * count, "{% if 0 %}" + piece * count + "{% endif %}", "{{ " + inner * count + "a }}")
    )

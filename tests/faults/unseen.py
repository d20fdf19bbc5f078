"""Templates that make Python work, or hold much, in a single operation or in many that give little."""

from __future__ import annotations

import random


def _listed(text: str) -> list[str]:
    return [one.strip() for line in text.split("\n") for one in line.split(";") if one.strip()]


OPERANDS = (
    "{{% set s = '{letter}' * {many} %}}{{% set t = s ~ 'ɡ' %}}{{% set u = '{letter}' * 32700 %}}"
    "{{% set v = 'ɡ' * 32767 ~ '{letter}' %}}{{% set a = [1, 2.5][1:] * {some} %}}{{% set x = [0] * 1000 %}}"
    "{{% set y = [0] * 1000 %}}{{% set p = [x] * 1900 %}}{{% set q = [y] * 1900 %}}"
    "{{% set w = ((1,) * 1000,) * 1900 %}}{{% set r = range(99999) %}}{{% set e = {{1: 2}} %}}"
    "{{% set d = dict.fromkeys(r|map('string'), 1) %}}{{% set k = d.keys() %}}{{% set h = s|safe %}}"
    "{{% macro m(x) %}}{{{{ x is eq 1 }}}}{{% endmacro %}}"
)
OPERATIONS = _listed("""
    'zz' in a; 2 in a; 'zz' in r; 1.5 in r; p == q; p != q; p < q; s == t; t in s; w in [w]; e[w]; {w: 1}
    p is eq q; 'zz' is in a; 'zz' is in r; s is in t; (1, p) == (1, q); [s, s] == [t, t]; loop.changed(p, i)
    k - k; k - a; a - k; s[1:]; s[::-1]; a[1:]; h[1:]; w[1:]; u|trim(v); u.strip(v); u.rsplit(v); u.rfind(v)
    s|upper; s|length; s|reverse; s|trim; s|replace('z', 'y'); s|tojson; s|title; s|wordcount; s|indent
    s|float; s|int(0, 16); s|urlencode; a|selectattr('z')|list; a|rejectattr('z')|first; a|map('abs')|list
    a|unique|list; a|select('none')|list; a|sort; a|min; a|sum; a|list; a|slice(3)|list; a|batch(9000)|first
    a|join; a|groupby('z')|list; d|dictsort; d|items|list; [1]|select('in', r)|list; p|sum(start=[])
    p|tojson; p|tojson(indent=1); p|string; '%s' % (p,); '{}'.format(p); s.count('z'); s.find('z')
    s.isalpha(); s.upper(); s.split('z'); s.splitlines(); s.partition('z'); s.translate(e); a.count('z')
    a.index('z'); d.copy(); dict(d); dict(**d); namespace(d); m(p); m(*a); h.striptags(); h.unescape()
    s ~ i
""")
LOOPS = (
    "{{% for i in range(99999) %}}{body}{{% endfor %}}",
    "{{% for i in range(99999) %}}{{% for j in range(99999) %}}{body}{{% endfor %}}{{% endfor %}}",
    "{{% for i in r if {condition} %}}{{% endfor %}}",
    "{{% for i in range(99999) recursive %}}{body}{{{{ loop(r) if loop.depth0 < 2 }}}}{{% endfor %}}",
    "{{% macro f(n) %}}{body}{{{{ f(n + 1) if n < 9 }}}}{{% endmacro %}}"
    "{{% for i in r %}}{{{{ f(1) }}}}{{% endfor %}}",
    "{{% for i in d %}}{{% set z %}}{body}{{% endset %}}{{% endfor %}}",
    "{{% for i in r %}}{{% if loop.last or loop.length %}}{body}{{% endif %}}{{% endfor %}}",
)
BODIES = (
    "{{% if {operation} %}}{{% endif %}}",
    "{{% set z = {operation} %}}",
    "{{{{ '' if {operation} else '' }}}}",
    "{{% filter length %}}{{{{ {operation} }}}}{{% endfilter %}}",
)


def repeated(numbers: random.Random) -> str:
    """An operation that handles much and makes little of it, again and again."""
    operands = OPERANDS.format(
        letter=numbers.choice(("a", "š", "\N{GRINNING FACE}")),
        many=numbers.choice((20_000, 250_000, 1_000_000, 3_900_000)),
        some=numbers.choice((10_000, 100_000, 500_000)),
    )
    chosen = numbers.sample(OPERATIONS, numbers.choice((1, 1, 2, 5)))
    body = "".join(numbers.choice(BODIES).format(operation=operation) for operation in chosen)
    loop = numbers.choice(LOOPS)
    return operands + loop.format(body=body * numbers.choice((1, 1, 1, 200)), condition=chosen[0])


ONCE = _listed("""
    S|list|length; ''.join(S)|length; S|join|length; dict(*S); 1|default(*S); cycler(*S); m(*S)
    namespace(*S); 1 is divisibleby(*S); S|slice(3)|list; S|batch(3)|list; S|sort; S|unique|list
    S|map('e')|list; [*S]; (S ~ ' ').split(); ''.maketrans(S, S); S|groupby(0)|list; S|tojson|list
""")
KEPT = _listed("""
    S[@:]; S[:-@]; S.partition(S[0]); S.rsplit(S[0], @); S.split(S[0], @); (''|safe) + T; S ~ @; S.upper()
    S|e; S|replace(S[0], '@', 1); range(9999)|list - {}.keys(); '%s@' % S; S.join('ab')
""")


def held(numbers: random.Random) -> str:
    """Texts that are taken apart or copied, and kept."""
    letter = numbers.choice(("a", "š", "\N{GRINNING FACE}"))
    pieces = "{% if i %}x{% endif %}" * numbers.choice((10, 1500, 3000))
    kept = numbers.choice(KEPT)
    written = numbers.choice(
        (
            f"{{{{ {numbers.choice(ONCE)} }}}}",
            f"{{{{ {numbers.choice(ONCE)} }}}}",
            "{{ [" + ", ".join(kept.replace("@", str(at)) for at in range(1, 300)) + "]|length }}",
            f"{{% for i in range(99999) %}}{pieces}{{% endfor %}}",
            f"{{% set z %}}{{% for i in range(99999) %}}{pieces}{{% endfor %}}{{% endset %}}",
            f"{{% for i in range(99999) %}}{{{{ {numbers.choice(('S', 'T', '[S]'))} }}}}{{% endfor %}}",
        )
    )
    if numbers.random() < 0.4:
        written = f"{{% autoescape true %}}{written}{{% endautoescape %}}"
    return (
        "{% macro m() %}{{ varargs|length }}{% endmacro %}"
        f"{{% set S = '{letter}' * {numbers.choice((900_000, 3_900_000, 16_000_000))} %}}"
        f"{{% set T = '<' * {numbers.choice((200_000, 3_900_000))} ~ '{letter}' %}}{written}"
    )


COLLISIONS = _listed("""
    dict.fromkeys(n); {}.fromkeys(n, 1); dict(n|batch(2)); n|unique|list; (n * 50)|unique|list
    n - {}.keys(); {}.keys() - n; namespace(n|batch(2)); ({}.keys() - []).union(n); LITERAL
    LITERAL == LITERAL; LITERAL[0]
""")


def colliding(numbers: random.Random) -> str:
    """Numbers of one hash, each of which Python compares with all others."""
    count = numbers.choice((900, 3000, 20_000, 99_999))
    made = f"{{% for i in range({count}) %}}{{{{ i * 2305843009213693951 }}}} {{% endfor %}}"
    pairs = ", ".join(f"{at * (2**61 - 1)}: {at}" for at in range(numbers.choice((900, 3000, 6000))))
    use = f"{{% set z = {numbers.choice(COLLISIONS).replace('LITERAL', f'{{{pairs}}}')} %}}"
    if numbers.random() < 0.5:
        use = f"{{% for i in range(99999) %}}{use}{{% endfor %}}"
    return f"{{% set t %}}{made}{{% endset %}}{{% set n = t.split()|map('int')|list %}}{use}"

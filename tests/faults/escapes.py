"""Ways out of a template sandbox that public advisories describe, put together at random."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

SECRET_FILE = "CHATTERM_TEST_SECRET_FILE"
"""In the environment: the path of a file that no template may show."""

OBJECTS = (
    *(
        "''",
        "()",
        "[]",
        "{}",
        "1",
        "1.5",
        "true",
        "none",
        "messages",
        "messages[0]",
        "range",
        "range(3)",
        "dict",
    ),
    *(
        "namespace",
        "namespace()",
        "cycler",
        "cycler(1)",
        "joiner",
        "joiner()",
        "lipsum",
        "raise_exception",
        "self",
    ),
    *(
        "strftime_now",
        "undefined_thing",
        "m",
        "m()",
        "('x'|e)",
        "('x'|safe)",
        "{}.items()",
        "{}.values()",
        "loop",
    ),
    *(
        "[1]|map('string')",
        "'{}'.format",
        "''.join",
        "[].count",
        "caller",
        "varargs",
        "kwargs",
        "cycler(1).next",
    ),
    *(
        "messages|groupby('role')|first",
        "messages|map(attribute='role')",
        "({}|items)",
        "self._TemplateReference",
    ),
)
NAMES = (
    *(
        "__class__",
        "__mro__",
        "__base__",
        "__bases__",
        "__subclasses__",
        "__globals__",
        "__init__",
        "__dict__",
    ),
    *(
        "__builtins__",
        "__getattribute__",
        "__reduce_ex__",
        "__self__",
        "__func__",
        "__code__",
        "__wrapped__",
        "mro",
    ),
    *(
        "__call__",
        "__format__",
        "__module__",
        "__loader__",
        "__spec__",
        "__import__",
        "__getitem__",
        "__doc__",
    ),
    *(
        "_Namespace__attrs",
        "_TemplateReference__context",
        "environment",
        "_func",
        "_environment",
        "__closure__",
    ),
)
FRAMES = (
    *(
        "gi_frame",
        "gi_code",
        "gi_yieldfrom",
        "cr_frame",
        "cr_code",
        "cr_await",
        "ag_frame",
        "ag_code",
        "ag_await",
    ),
    *(
        "f_back",
        "f_globals",
        "f_builtins",
        "f_locals",
        "f_code",
        "tb_frame",
        "func_globals",
        "im_func",
        "throw",
    ),
)


def _spelled(numbers: random.Random, name: str) -> str:
    """A name as an expression, put together so that no search for it finds it."""
    middle = len(name) // 2
    return numbers.choice(
        (
            f"'{name}'",
            f"'{name[:middle]}' ~ '{name[middle:]}'",
            f"'{name[:middle]}' + '{name[middle:]}'",
            f"['{name[:middle]}', '{name[middle:]}']|join",
            f"'{name[::-1]}'|reverse",
            f"'{name[::-1]}'[::-1]",
            f"'{name.upper()}'|lower",
            "'" + "".join(f"\\x{ord(character):02x}" for character in name) + "'",
            f"'%s' % '{name}'",
            f"'{{}}{{}}'.format('{name[:middle]}', '{name[middle:]}')",
        )
    )


def dots(numbers: random.Random, base: str, name: str) -> str:
    return numbers.choice((f"({base}).{name}", f"({base})[{_spelled(numbers, name)}]"))


def attr(numbers: random.Random, base: str, name: str) -> str:
    return f"(({base})|attr({_spelled(numbers, name)}))"


def kin(numbers: random.Random, base: str, name: str) -> str:
    """The filters that take the name of an attribute."""
    spelled = _spelled(numbers, name)
    return numbers.choice(
        (
            f"([{base}]|map(attribute={spelled})|first)",
            f"([{base}]|map('attr', {spelled})|first)",
            f"([{base}]|groupby({spelled})|first|first)",
            f"([{base}]|sum(attribute={spelled}, start=''))",
            f"([{base}]|join(attribute={spelled}))",
            f"([{base}]|selectattr({spelled})|first)",
            f"([{base}]|sort(attribute={spelled})|first)",
            f"([{base}]|unique(attribute={spelled})|first)",
            f"([{base}]|max(attribute={spelled}))",
            f"([{base}]|map(attribute='x', default=({base})|attr({spelled}))|first)",
        )
    )


def chain(
    step: Callable[[random.Random, str, str], str], names: tuple[str, ...]
) -> Callable[[random.Random], str]:
    def made(numbers: random.Random) -> str:
        base = numbers.choice(OBJECTS)
        for _ in range(numbers.choice((1, 1, 2, 4))):
            base = step(numbers, base, numbers.choice(names))
        tail = numbers.choice(("", "()", "[0]", "()[0]", "['os']", ".environ", ".popen('id').read()"))
        return f"{{{{ {base}{tail} }}}}"

    return made


def formatted(numbers: random.Random) -> str:
    path = "".join(numbers.choice((f".{name}", f"[{name}]")) for name in numbers.choices(NAMES, k=2))
    base, kind = numbers.choice(OBJECTS), numbers.choice(("", "!r", "!s", ":>20"))
    text = f"'{{0{path}{kind}}}'"
    return numbers.choice(
        (
            f"{{{{ {text}.format({base}) }}}}",
            f"{{{{ ({text}|safe).format({base}) }}}}",
            f"{{{{ ({text}|e).format({base}) }}}}",
            f"{{{{ ({text} ~ '').format({base}) }}}}",
            f"{{{{ {text}|format({base}) }}}}",
        )
    )


def format_map(numbers: random.Random) -> str:
    text = f"'{{x.{numbers.choice(NAMES)}}}'"
    form = numbers.choice((text, f"({text}|safe)", f"({text}|upper|lower)"))
    return f"{{{{ {form}.format_map({{'x': {numbers.choice(OBJECTS)}}}) }}}}"


def format_by_reference(numbers: random.Random) -> str:
    text = f"'{{0.{numbers.choice(NAMES)}}}'"
    base = numbers.choice(OBJECTS)
    return numbers.choice(
        (
            f"{{% set f = {text}.format %}}{{{{ f({base}) }}}}",
            f"{{% set n = namespace(f={text}.format) %}}{{{{ n.f({base}) }}}}",
            f"{{{{ [{text}.format]|map('attr', '__call__')|list }}}}",
            f"{{{{ ({text}.format, 1)[0]({base}) }}}}",
            f"{{{{ {{'f': {text}.format}}['f']({base}) }}}}",
            f"{{% macro c(f, x) %}}{{{{ f(x) }}}}{{% endmacro %}}{{{{ c({text}.format, {base}) }}}}",
            f"{{% for f in [{text}.format, {text}['format']] %}}{{{{ f({base}) }}}}{{% endfor %}}",
            f"{{{{ [{base}]|map({text}.format)|list }}}}",
        )
    )


def format_by_attr(numbers: random.Random) -> str:
    text, base = f"'{{0.{numbers.choice(NAMES)}}}'", numbers.choice(OBJECTS)
    return numbers.choice(
        (
            f"{{{{ ({text}|attr('format'))({base}) }}}}",
            f"{{{{ ([{text}]|map(attribute='format')|first)({base}) }}}}",
            f"{{{{ ([{text}]|map('attr', 'format')|first)({base}) }}}}",
            f"{{{{ (({text}|safe)|attr('format'))({base}) }}}}",
            f"{{{{ ({text}|attr('format_map'))({{'x': {base}}}) }}}}",
        )
    )


def outside(numbers: random.Random) -> str:
    secret_file = os.environ[SECRET_FILE]
    target = numbers.choice((secret_file, "/etc/passwd", "os", "__init__.py", "../folder/config.json"))
    return numbers.choice(
        (
            f"{{% include '{target}' %}}",
            f"{{% include ['{target}', 'x'] ignore missing %}}",
            f"{{% import '{target}' as x %}}{{{{ x }}}}",
            f"{{% from '{target}' import environ %}}{{{{ environ }}}}",
            f"{{% extends '{target}' %}}",
            "{% include messages %}",
            "{% set x = self %}{% include x %}",
            f"{{{{ lipsum.__globals__.os.environ }}}}{{{{ open('{target}').read() }}}}",
            f"{{{{ cycler.__init__.__globals__.os.popen('cat {target}').read() }}}}",
            f"{{% trans %}}{target}{{% endtrans %}}{{% debug %}}",
            f"{{% do x.append('{target}') %}}",
        )
    )


def keywords(numbers: random.Random) -> str:
    name = numbers.choice((*NAMES, "__init__", "environment"))
    return numbers.choice(
        (
            f"{{{{ namespace(**{{'{name}': 1}}) }}}}",
            f"{{% set n = namespace() %}}{{% set n.{name} = 1 %}}{{{{ n.{name} }}}}",
            f"{{{{ dict(**{{'{name}': 1}}).{name} }}}}",
            f"{{% set {name} = 1 %}}{{{{ {name} }}}}",
            f"{{% macro {name}() %}}x{{% endmacro %}}{{{{ {name}.{name} }}}}",
            f"{{% for {name} in [1] %}}{{{{ {name}.{name} }}}}{{% endfor %}}",
            f"{{% block {name} %}}{{{{ self.{name}.{name} }}}}{{% endblock %}}",
            f"{{{{ m(**{{'{name}': 1}}) }}}}",
            f"{{{{ raise_exception({numbers.choice(OBJECTS)}) }}}}",
            "{{ x.__\N{FULLWIDTH LATIN SMALL LETTER C}lass__ }}",
        )
    )


def changed(numbers: random.Random) -> str:
    """What templates are given must stay as it is."""
    return numbers.choice(
        (
            "{{ messages.append(1) }}",
            "{{ messages.clear() }}{{ messages[0] }}",
            "{{ messages[0].update({'content': 'x'}) }}",
            "{{ messages[0].pop('content') }}",
            "{{ (messages|attr('append'))(1) }}",
            "{{ ([messages]|map(attribute='pop')|first)() }}",
            "{{ messages[0].setdefault('x', 1) }}",
        )
    )

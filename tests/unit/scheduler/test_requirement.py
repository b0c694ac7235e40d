"""Requirements of extra specs: text and value, and whether they agree."""

import pytest

from nova.scheduler.filters.requirement import parse


@pytest.mark.parametrize(
    "text, value",
    [
        ("5", 5),
        ("abc", "abc"),
        ("= 5", 6),
        ("=5", 5),
        ("== 5", 5.0),
        ("!= 5", 6),
        (">= 5", "5"),
        ("<= 5", 4),
        ("> 5", 6),
        ("< 5", 4),
        ("s== 2.1.0", "2.1.0"),
        ("s!= a", "b"),
        ("s>= b", "b"),
        ("s> a", "b"),
        ("s<= b", "b"),
        ("s< b", "a"),
        ("<in> gcc", "has gcc inside"),
        ("<in> aes", ["aes", "mmx"]),
        ("<all-in> aes mmx", ["mmx", "aes", "fpu"]),
        ("<or> fpu <or> gpu", "gpu"),
        ("  >= 5  ", 5),
    ],
)
def test_value_meets_requirement(text, value):
    assert parse(text)(value)


@pytest.mark.parametrize(
    "text, value",
    [
        ("5", 6),
        ("= 5", 4),
        ("== 5", 6),
        ("!= 5", 5),
        (">= 5", 4),
        (">= five", 5),
        (">= 5", "many"),
        (">= 5", None),
        ("s== a", "b"),
        ("s> b", "a"),
        ("<in> gcc", "clang"),
        ("<in> ae", ["aes"]),
        ("<all-in> aes sse", ["aes"]),
        ("<or> fpu <or> gpu", "cpu"),
        ("<or> fpu <or> gpu", "fpu <or> gpu"),
    ],
)
def test_value_does_not_meet_requirement(text, value):
    assert not parse(text)(value)

"""Finds the words that must be translated: in templates, in Python, and in the refusals of the cooperative.

`pybabel extract -F babel.cfg` and tests/pages/test_translations.py both call it.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

Found = tuple[int, str, str, list[str]]


def refusals(
    fileobj: IO[bytes],
    keywords: Mapping[str, object],
    comment_tags: Sequence[str],
    options: Mapping[str, str],
) -> Iterator[Found]:
    """Yield what a refusal says to a person: the first line of its docstring, its title, and words given when raised."""
    del keywords, comment_tags, options
    for node in ast.walk(ast.parse(fileobj.read())):
        if isinstance(node, ast.ClassDef):
            yield from _of_class(node)
        for words in _spoken(node):
            if isinstance(words, ast.Constant) and isinstance(words.value, str):
                yield words.lineno, "gettext", words.value, []


def _spoken(node: ast.AST) -> list[ast.expr]:
    """Return the expressions in `node` that a person will read, if they are literals."""
    match node:
        case ast.Call(func=ast.Name(id="marked" | "Sentence"), args=[words]):
            return [words]
        # What refusals say to people are sentences; programming errors are not, and stay as they are.
        case ast.Raise(exc=ast.Call(args=[ast.Constant(value=str(said)) as words, *_])) if said.endswith("."):
            return [words]
        case ast.Assign(targets=[ast.Subscript(value=ast.Name(id="errors"))], value=words):
            return [words]
        # The errors of a form, and a table that says what each kind of something means.
        case (
            ast.keyword(arg="errors", value=ast.Dict(values=values))
            | ast.AnnAssign(target=ast.Name(id="KINDS"), value=ast.Dict(values=values))
        ):
            return values
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(said)) as words) if (
            name.isupper() and " " in said and said.endswith(".")
        ):
            return [words]
        case _:
            return []


def _of_class(node: ast.ClassDef) -> Iterator[Found]:
    stated = {
        target.id: statement.value.value
        for statement in node.body
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.Constant)
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        if isinstance(target, ast.Name)
    }
    # Every refusal has a code; a form may have an empty field of that name.
    if not stated.get("code"):
        return
    documentation = ast.get_docstring(node)
    if documentation:
        yield node.lineno, "gettext", documentation.splitlines()[0], []
    if isinstance(stated.get("title"), str):
        yield node.lineno, "gettext", str(stated["title"]), []

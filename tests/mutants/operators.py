"""The usual small mistakes, made in a module one at a time."""

import ast
import copy
from collections.abc import Iterator
from typing import NamedTuple, cast

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_CALCULATED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}

_Node = tuple[ast.AST, str, int]


class Mutant(NamedTuple):
    """One mistake in ``function`` ("" outside of any): node number ``node`` of the module's tree.

    ``name`` tells it from all others of its module, whatever lines the code stands on.
    """

    module: str
    function: str
    node: int
    variant: int
    name: str
    line: int


def mutants(module: str, source: str) -> list[Mutant]:
    """Return all mistakes that can be made in a module."""
    found: list[Mutant] = []
    lines = source.splitlines()
    seen: dict[str, int] = {}
    for node, owner, number in _nodes(ast.parse(source)):
        for variant, changed in enumerate(_variants(node)):
            line = getattr(node, "lineno", 0)
            name = "{} | {} | {} -> {}".format(
                owner or "module", lines[line - 1].strip(), _text(node), _text(changed)
            )
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1:
                name += f" #{seen[name]}"
            found.append(Mutant(module, owner, number, variant, name, line))
    return found


def mutated(source: str, mutant: Mutant) -> ast.Module:
    """Return the module's tree with the mistake in it."""
    tree = ast.parse(source)
    target, _owner, _number = next(one for one in _nodes(tree) if one[2] == mutant.node)
    changed = list(_variants(target))[mutant.variant]

    class Change(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            if node is target:
                return ast.copy_location(changed, node)
            return self.generic_visit(node)

    return ast.fix_missing_locations(cast("ast.Module", Change().visit(tree)))


def _nodes(tree: ast.Module) -> Iterator[_Node]:
    """Yield the nodes that run, with their function's qualified name and their number."""
    counter = iter(range(1 << 30))

    def walk(
        node: ast.AST, scope: tuple[str, ...], owner: str
    ) -> Iterator[tuple[ast.AST, str, int]]:
        yield node, owner, next(counter)
        for name, child in _children(node):
            inner, within = scope, owner
            if isinstance(child, ast.ClassDef):
                inner = (*scope, child.name)
            if name == "body" and isinstance(node, ast.FunctionDef) and not owner:
                within = ".".join(scope)
            if isinstance(child, ast.FunctionDef):
                inner = (*scope, child.name)
            yield from walk(child, inner, within)

    yield from walk(tree, (), "")


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases"):
            continue
        for at, child in enumerate(value if isinstance(value, list) else [value]):
            docstring = at == 0 and name == "body" and _is_docstring(node, child)
            if isinstance(child, ast.AST) and not docstring:
                yield name, child


def _is_docstring(parent: ast.AST, node: object) -> bool:
    return (
        isinstance(parent, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            changed = copy.deepcopy(node)
            changed.ops[at] = _COMPARED[type(operator)]()
            yield changed
    elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _CALCULATED:
        yield _with(node, op=_CALCULATED[type(node.op)]())
    elif isinstance(node, ast.UnaryOp):
        yield copy.deepcopy(node.operand)
    elif isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        if not isinstance(node.test, (ast.Compare, ast.UnaryOp)):
            yield _with(node, test=ast.UnaryOp(ast.Not(), copy.deepcopy(node.test)))
    elif isinstance(node, ast.Return):
        if node.value is not None and ast.unparse(node.value) != "None":
            yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Expr):
        if isinstance(node.value, ast.Call):
            yield ast.Pass()
    elif isinstance(node, (ast.Break, ast.Continue)):
        yield ast.Continue() if isinstance(node, ast.Break) else ast.Break()


def _constants(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
    elif isinstance(value, str):
        yield ast.Constant("XX" + value)
    elif isinstance(value, bytes):
        yield ast.Constant(b"XX" + value)


def _with(node: ast.AST, **fields: ast.AST) -> ast.AST:
    changed = copy.deepcopy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _text(node: ast.AST) -> str:
    if isinstance(node, (ast.If, ast.While)):
        return "if " + ast.unparse(node.test)
    return " ".join(ast.unparse(node).split())

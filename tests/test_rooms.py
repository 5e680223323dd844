"""The rooms of the package: what each may import, so that work flows one way and there are no cycles.

Modules at the root (errors, records, registry, streams, devices ...) are open to all of them.
"""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import counterpoise

PACKAGE = Path(counterpoise.__file__).parent
ROOMS = {  # in the order of the work: a room may import some of those above it, and none below
    "reading": set(),
    "planning": set(),
    "data": set(),
    "scoring": {"data"},
    "training": {"data", "scoring"},
    "methods": {"data", "reading", "scoring", "training"},
    "judging": {"planning", "scoring"},
    "own_data": {"judging", "methods", "reading", "scoring"},
    "report": {"judging", "own_data", "scoring"},
    "stages": {"data", "judging", "planning", "report", "scoring", "training"},
    "jobs": {"planning", "stages"},
    "checking": {"data", "jobs", "judging", "planning", "reading", "scoring", "training"},
    "tracking": {"jobs", "planning"},
    "publishing": {"jobs", "judging", "planning", "report", "scoring"},
    "exporting": {"data", "judging", "own_data", "planning", "reading", "scoring", "stages", "training"},
}
ABOVE = {"commands", "devtools"}  # what people type may use everything
ROOT = {
    *(
        "__main__",
        "cli",
        "contracts",
        "devices",
        "digests",
        "errors",
        "gpu_locks",
        "numerals",
        "readers",
        "records",
        "registry",
    ),
    *("stopping", "streams"),
}


def imported(path):
    """Return the dotted names of the package that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "counterpoise":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("counterpoise."))


def test_every_folder_is_a_room_and_the_root_holds_few_modules():
    assert {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()} == {*ROOMS, *ABOVE}
    assert {p.stem for p in PACKAGE.glob("*.py")} - {"__init__"} == ROOT


def test_rooms_stand_in_an_order_without_cycles():
    order = list(ROOMS)
    for room, may in ROOMS.items():
        assert may <= set(order[: order.index(room)]), room


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(room):
    seen = 0
    for path in sorted((PACKAGE / room).rglob("*.py")):
        for dotted in imported(path):
            seen += 1
            other = dotted.split(".")[1]
            allowed = other in {room, "__version__", *ROOMS[room], *(ROOT - {"__main__"})}
            assert allowed, f"{path.relative_to(PACKAGE)} imports {dotted}; {room} may import {sorted(ROOMS[room])}"
    assert seen


def test_no_module_waits_for_itself():
    modules = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    graph = {
        name: {m for d in imported(path) for m in (d, d.rpartition(".")[0]) if m in modules and m != name}
        for name, path in modules.items()
    }
    order = TopologicalSorter(graph)
    order.prepare()  # raises CycleError, which names the modules

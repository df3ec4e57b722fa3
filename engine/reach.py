"""Who can reach whom, as one int per node: Tarjan's components, then one pass over them."""

from __future__ import annotations

from collections.abc import Sequence


def upstream(before: Sequence[Sequence[int]], within: int) -> dict[int, int]:
    """For each node of the set `within`: the set of nodes with a way to it inside `within`, itself included.

    `before[n]` are the nodes with an edge to n. Sets are ints with one bit per node.
    """
    found: dict[int, int] = {}
    for component in _components(before, within):
        mask = 0
        for node in component:
            mask |= 1 << node
        members = mask
        for node in component:
            for source in before[node]:
                if within >> source & 1 and not members >> source & 1:
                    mask |= found[source]
        for node in component:
            found[node] = mask
    return found


def on_cycles(before: Sequence[Sequence[int]]) -> int:
    """The set of nodes that lie on a cycle of two nodes or more."""
    mask = 0
    for component in _components(before, (1 << len(before)) - 1):
        if len(component) > 1:
            for node in component:
                mask |= 1 << node
    return mask


def _components(before: Sequence[Sequence[int]], within: int) -> list[list[int]]:
    """The strongly connected components inside `within`, each after those that lead to it."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    open_: list[int] = []
    is_open: set[int] = set()
    components: list[list[int]] = []
    for root in range(len(before)):
        if not within >> root & 1 or root in order:
            continue
        path = [(root, iter(before[root]))]
        while path:
            node, sources = path[-1]
            if node not in order:
                order[node] = low[node] = len(order)
                open_.append(node)
                is_open.add(node)
            step = next((s for s in sources if within >> s & 1), None)
            if step is not None:
                if step not in order:
                    path.append((step, iter(before[step])))
                elif step in is_open:
                    low[node] = min(low[node], order[step])
                continue
            path.pop()
            if path:
                low[path[-1][0]] = min(low[path[-1][0]], low[node])
            if low[node] == order[node]:
                components.append(_close(node, open_, is_open))
    return components


def _close(node: int, open_: list[int], is_open: set[int]) -> list[int]:
    """Take `node` and what was opened after it: one component."""
    component: list[int] = []
    while not component or component[-1] != node:
        component.append(open_.pop())
    is_open.difference_update(component)
    return component
